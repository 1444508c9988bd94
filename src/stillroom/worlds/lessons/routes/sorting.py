"""Sorting by swaps, checked without any: heaps for passes, slices for states, pairs for counts."""

import re
from bisect import bisect
from functools import lru_cache
from heapq import heappushpop
from itertools import combinations
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step, told_as

Items = list[Any]

_LIST = re.compile(r'\[(?:\d+(?:, \d+)*|"[a-z]+"(?:, "[a-z]+")*)\]')
_RULES = {"swaps": "tally", "insertion": "slide"}


def start(question: Question) -> str:
    text = question.slots["list"]
    return f"[{text}, 0]" if question.family == "swaps" else text


def _text(items: Any) -> str:
    return str(items).replace("'", '"')


def _given(question: Question) -> tuple[Items, int]:
    """The list, and how many passes or items are asked for; ValueError when that is senseless."""
    items = value(question.slots["list"]) if _LIST.fullmatch(question.slots["list"]) else []
    if not items or len(set(items)) != len(items):
        raise ValueError(f"`{question.slots['list']}` is no list of different items")
    count = int(question.slots.get("count", len(items)))
    low, high = {"passes": (2, len(items) - 2), "insertion": (2, len(items) - 1)}.get(
        question.family, (len(items), len(items))
    )
    if not low <= count <= high:
        raise ValueError(f"{count} is too many or too few of {len(items)} items")
    return items, count


def _after(family: str, items: Items, count: int, key: dict[Any, int]) -> Any:
    """What is asked for when items are compared by `key`, found without a single swap."""
    pairs = combinations(items, 2)
    if family == "swaps":
        return sum(key[a] > key[b] for a, b in pairs)
    if family == "insertion":
        return sorted(items[:count], key=key.__getitem__) + items[count:]
    if family == "sorted":
        return sorted(items, key=key.__getitem__)
    # A pass holds back the largest item so far; so many passes hold back so many of them.
    places = [(key[item], n) for n, item in enumerate(items)]
    held = sorted(places[:count])
    found = [heappushpop(held, place) for place in places[count:]] + sorted(held)
    return [items[n] for _, n in found]


def _ranks(items: Items, key: Any = None) -> dict[Any, int]:
    """The rank of each item; items that the key finds equal share theirs."""
    if key is None:
        return {item: n for n, item in enumerate(sorted(items))}
    ranks = {found: n for n, found in enumerate(sorted({key(item) for item in items}))}
    return {item: ranks[key(item)] for item in items}


def answer_fault(question: Question, answer: str) -> str:
    items, count = _given(question)
    right = _text(_after(question.family, items, count, _ranks(items)))
    return "" if answer == right else f"expected `{right}`, and not `{answer}`"


@lru_cache(maxsize=64)
def _states(family: str, text: str, count: int) -> list[Items]:
    """The list after each swap: an item is carried on, and the others close up behind it."""
    items = value(text)
    states = [items]
    if family == "insertion":
        for n in range(1, count):
            item, front, rest = items[n], sorted(items[:n]), items[n + 1 :]
            for place in range(n - 1, bisect(front, item) - 1, -1):
                states.append([*front[:place], item, *front[place:], *rest])
        return states
    for _ in range(count):
        row = states[-1]
        peaks = [n for n in range(len(row)) if row[n] == max(row[: n + 1])]
        done: Items = []
        for peak, after in zip(peaks, [*peaks[1:], len(row)], strict=True):
            for n in range(peak + 1, after):
                states.append([*done, *row[peak + 1 : n + 1], row[peak], *row[n + 1 :]])
            done += [*row[peak + 1 : after], row[peak]]
    return states


def _of(question: Question) -> list[Items]:
    _, count = _given(question)
    return _states(question.family, question.slots["list"], count)


def _expected(question: Question, before: str) -> tuple[str, str, int]:
    """The rule and the result of the step that begins with `before`, and its number."""
    states, counted = _of(question), question.family == "swaps"
    texts = [_text([row, n] if counted else row) for n, row in enumerate(states)]
    if before not in texts:
        raise ValueError(f"`{before}` does not come up in this sorting")
    n = texts.index(before)
    if n == len(states) - 1:
        if not counted:
            raise ValueError(f"`{before}` is the end already")
        return "total", str(n), n
    return _RULES.get(question.family, "swap"), texts[n + 1], n


def link_fault(question: Question, step: Step) -> str:
    _, right, _ = _expected(question, step["before"])
    return told_as(step, "", right)


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    rule, right, n = _expected(question, step["before"])
    fault = told_as(step, rule, right)
    if fault or not slots:
        return fault
    states = _of(question)
    old, new = states[n], states[n + 1]
    place = 1 + min(i for i, item in enumerate(old) if new[i] != item)
    known = {"a": _text([old[place - 1]])[1:-1], "b": _text([old[place]])[1:-1]}
    known |= {"i": str(place), "j": str(place + 1)}
    for slot, text in slots.items():
        if known.get(slot) != text:
            return f"`{text}` should be `{known.get(slot)}`"
    return ""


def wrongs(question: Question) -> dict[str, Any]:
    items, count = _given(question)
    family, ranks = question.family, _ranks(items)
    found = {"falling": _after(family, items, count, {k: -n for k, n in ranks.items()})}
    if isinstance(items[0], str):
        found["by_length"] = _after(family, items, count, _ranks(items, len))
    else:
        found["as_words"] = _after(family, items, count, _ranks(items, str))
    once = _after("passes", items, 1, ranks)
    if family == "swaps":
        after = _after("swaps", once, count, ranks)
        found["first_pass"] = _after("swaps", items, count, ranks) - after
        found["misplaced"] = sum(items[n] != item for item, n in ranks.items())
    if family == "sorted":
        found["first_pass"] = once
    if family in ("passes", "insertion"):
        found["to_the_end"] = sorted(items)
        found["one_less"] = _after(family, items, count - 1, ranks)
        found["one_more"] = _after(family, items, count + 1, ranks)
    return found


def measure(question: Question) -> dict[str, Any]:
    items, _ = _given(question)
    found: dict[str, Any] = {"items": len(items), "swaps": len(_of(question)) - 1}
    if isinstance(items[0], str):
        return found | {"kinds": "words"}
    return found | {"kinds": "numbers", "size": (min(items), max(items))}
