"""Swapped cups, checked by where each thing is, and by tracing places from the end backwards."""

import re
from functools import lru_cache
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step

_ROW = re.compile(r'\["\w+"(, "\w+")*\]')
_SWAPS = re.compile(r"\[\[\d, \d\](, \[\d, \d\])*\]")

Swaps = list[list[int]]


def start(question: Question) -> str:
    return question.slots["start"]


def _text(row: list[str]) -> str:
    return str(row).replace("'", '"')


@lru_cache(maxsize=64)
def _given(start: str, swaps: str) -> tuple[list[str], Swaps]:
    """The row and the swaps of a question; ValueError when they are none."""
    if not _ROW.fullmatch(start) or not _SWAPS.fullmatch(swaps):
        raise ValueError(f"`{start}` and `{swaps}` are no row with swaps")
    row, pairs = value(start), value(swaps)
    if len(set(row)) != len(row):
        raise ValueError(f"`{start}` and `{swaps}` are no row of different things with swaps")
    for pair in pairs:
        if len(set(pair)) != 2 or not set(pair) <= set(range(1, len(row) + 1)):
            raise ValueError(f"`{pair}` are no two places of the row")
    return row, pairs


@lru_cache(maxsize=64)
def _states(start: str, swaps: str) -> list[str]:
    """The row after each swap, from a table that says of each thing where it is."""
    row, pairs = _given(start, swaps)
    places = {thing: n for n, thing in enumerate(row, 1)}
    states = [start]
    for a, b in pairs:
        places = {t: b if n == a else a if n == b else n for t, n in places.items()}
        states.append(_text(sorted(row, key=lambda thing: places[thing])))
    if len(set(states)) != len(states):
        raise ValueError("a state comes up twice")
    return states


def _of(question: Question) -> tuple[list[str], Swaps]:
    return _given(question.slots["start"], question.slots["swaps"])


def _end(question: Question) -> str:
    return _states(question.slots["start"], question.slots["swaps"])[-1]


def _traced(row: list[str], swaps: Swaps, pushed: bool = False) -> list[str]:
    """What ends up in each place: the place is followed back to where it was filled from."""
    found = []
    for place in range(1, len(row) + 1):
        at = place
        for a, b in reversed(swaps):
            if at == b:
                at = a
            elif pushed:
                at += (a <= at < b) - (b < at <= a)
            elif at == a:
                at = b
        found.append(row[at - 1])
    return found


def _read(question: Question, row: list[str]) -> Any:
    if question.family == "row":
        return row
    if question.family == "ball":
        return 1 + row.index("ball")
    one, other = question.slots["one"][1:-1], question.slots["other"][1:-1]
    return len(row[min(row.index(one), row.index(other)) : max(row.index(one), row.index(other))])


def answer_fault(question: Question, answer: str) -> str:
    """Each place followed backwards through the swaps."""
    right = _read(question, _traced(*_of(question)))
    written = _text(right) if isinstance(right, list) else str(right)
    return "" if answer == written else f"it ends in `{written}`, and not in `{answer}`"


def link_fault(question: Question, step: Step) -> str:
    states = _states(question.slots["start"], question.slots["swaps"])
    if step["before"] in states[:-1]:
        right = states[states.index(step["before"]) + 1]
        return "" if step["after"] == right else f"expected `{right}`"
    end = states[-1]
    if question.family == "ball":
        expected = f'place({end}, "ball")'
    elif question.family == "apart":
        one, other = question.slots["one"], question.slots["other"]
        expected = f"spread([place({end}, {one}), place({end}, {other})])"
    else:
        return "the row is at its end already"
    right = str(value(expected))
    if (step["before"], step["after"]) != (expected, right):
        return f"expected `{expected} = {right}`"
    return ""


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    fault = link_fault(question, step)
    if fault:
        return fault
    states = _states(question.slots["start"], question.slots["swaps"])
    if step["before"] not in states:
        return "" if step["rule"] == question.family else f"this is {question.family!r}"
    if step["rule"] != "swap":
        return f"two things change places here, which is not {step['rule']!r}"
    row = value(step["before"])
    a, b = _of(question)[1][states.index(step["before"])]
    right = {"a": str(a), "b": str(b), "pair": f"[{a}, {b}]"}
    right |= {"p": f'"{row[a - 1]}"', "q": f'"{row[b - 1]}"'}
    for name, text in slots.items():
        if right.get(name) != text:
            return f"`{text}` should be `{right.get(name)}`"
    return ""


def wrongs(question: Question) -> dict[str, Any]:
    row, swaps = _of(question)
    right = _read(question, _traced(row, swaps))
    # Swapping by name is the same as swapping places in the opposite order.
    found = {
        "by_name": _read(question, _traced(row, swaps[::-1])),
        "pushed_in": _read(question, _traced(row, swaps, pushed=True)),
        "one_short": _read(question, _traced(row, swaps[:-1])),
    }
    if question.family == "apart":
        found["both_ends"] = right + 1
    if question.family == "ball":
        found["from_zero"] = len(_traced(row, swaps)[: right - 1])
        found["other_end"] = len(_traced(row, swaps)[right - 1 :])
        found["one_sided"] = _one_sided(1 + row.index("ball"), swaps)
    return found


def _one_sided(place: int, swaps: Swaps) -> int:
    """From swap to swap: the next one whose first place is the ball's."""
    for n, (a, b) in enumerate(swaps):
        if a == place:
            return _one_sided(b, swaps[n + 1 :])
    return place


def measure(question: Question) -> dict[str, Any]:
    row, swaps = _of(question)
    if question.family == "apart" and question.slots["one"] == question.slots["other"]:
        raise ValueError("one thing is asked for twice")
    return {"cups": len(row), "swaps": len(swaps)}
