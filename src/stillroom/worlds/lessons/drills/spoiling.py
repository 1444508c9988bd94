"""Faults as small language models make them, planted in drills that are right."""

import re
from collections.abc import Callable

import numpy as np

from stillroom.world import Data
from stillroom.worlds.lessons.drills.solving import solve

_Fault = Callable[[Data, np.random.Generator], Data | None]


def spoil(data: Data, rng: np.random.Generator) -> tuple[str, Data]:
    """One fault of a kind that fits: (its name, the faulty data)."""
    for place in rng.permutation(len(_KINDS)):
        name, fault = _KINDS[int(place)]
        made = fault(data, rng)
        if made is not None and made != data:
            return name, made
    return "another answer", _another_answer(data, rng)


def _one(items: "list[int] | range", rng: np.random.Generator) -> int:
    return items[int(rng.integers(len(items)))]


def _another_digit(data: Data, text: str, rng: np.random.Generator, begin: int = 0) -> str:
    """The text with a digit from `begin` on replaced: for cups, by one of the question's."""
    places = [place for place in range(begin, len(text)) if text[place].isdigit()]
    place = _one(places, rng)
    known = "0123456789"
    if data["family"] == "cups":
        known = "".join(sorted(set(re.findall("[0-9]", data["question"]))))
    others = known.replace(text[place], "")
    return text[:place] + others[int(rng.integers(len(others)))] + text[place + 1 :]


def _result(step: str) -> int:
    """Where the part of a step begins that is worked out, behind what is read off."""
    return max(step.find(":"), step.rfind("=")) + 1


def _carried_on(data: Data, at: int, change: Callable[[str], str]) -> Data:
    """What comes of it when step `at` is written otherwise and all later ones go on from it."""
    steps, answer = solve(
        data["question"], lambda place, step: change(step) if place == at else step
    )
    return {**data, "steps": None if data["steps"] is None else steps, "answer": answer}


def _slip(data: Data, rng: np.random.Generator) -> Data:
    """A digit off in one step, and carried on."""
    steps, _ = solve(data["question"])
    at = _one(range(len(steps)), rng)
    return _carried_on(data, at, lambda step: _another_digit(data, step, rng, _result(step)))


def _carry_lost(data: Data, rng: np.random.Generator) -> Data | None:
    """A carry or borrow that is there and not counted."""
    if data["family"] not in ("add", "times", "solve"):
        return None
    steps, _ = solve(data["question"])
    carried = [place for place, step in enumerate(steps) if _without_carry(step) != step]
    return _carried_on(data, _one(carried, rng), _without_carry) if carried else None


def _without_carry(step: str) -> str:
    product = re.fullmatch(r"(.):(..)\+.=..", step)
    if product:
        return f"{product[1]}:{product[2]}+0={product[2]}"
    return step[:-1] + "0" if ":" in step else step


def _step_left_out(data: Data, rng: np.random.Generator) -> Data | None:
    steps = data["steps"]
    if not steps:
        return None
    at = _one(range(len(steps)), rng)
    return {**data, "steps": steps[:at] + steps[at + 1 :]}


def _steps_swapped(data: Data, rng: np.random.Generator) -> Data | None:
    steps = list(data["steps"] or ())
    unequal = [n for n in range(len(steps) - 1) if steps[n] != steps[n + 1]]
    if not unequal:
        return None
    at = _one(unequal, rng)
    steps[at : at + 2] = steps[at + 1], steps[at]
    return {**data, "steps": steps}


def _step_earlier(data: Data, rng: np.random.Generator) -> Data:
    """The answer as it was before the last step: without its swap, digit, carry or division."""
    steps, answer = solve(data["question"])
    if data["family"] in ("add", "times"):
        return {**data, "answer": answer[1:]}
    if data["family"] == "solve":
        return {**data, "answer": steps[-1].partition("=")[2][-2:]}
    start = data["question"].partition(" ")[2][0]
    return {**data, "answer": [start, *steps][-2]}


def _another_answer(data: Data, rng: np.random.Generator) -> Data:
    return {**data, "answer": _another_digit(data, data["answer"], rng)}


def _wrong_between(data: Data, rng: np.random.Generator) -> Data | None:
    """The right answer behind a step that is wrong."""
    steps = list(data["steps"] or ())
    if not steps:
        return None
    at = _one(range(len(steps)), rng)
    steps[at] = _another_digit(data, steps[at], rng)
    return {**data, "steps": steps}


_KINDS: list[tuple[str, _Fault]] = [
    ("a slip that is carried on", _slip),
    ("a carry lost", _carry_lost),
    ("a step left out", _step_left_out),
    ("steps swapped", _steps_swapped),
    ("the answer of a step earlier", _step_earlier),
    ("another answer", _another_answer),
    ("a wrong step before a right answer", _wrong_between),
]
