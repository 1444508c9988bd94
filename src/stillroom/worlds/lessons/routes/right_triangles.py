"""Right triangles, proved by Heron's formula for the area and by squares as sums of odd numbers."""

import re
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.routes import Question, Step

_LEGS = ("leg", "ladder", "mast")
_POINTS = ("distance", "route_2", "route_4")


def _numbers(question: Question) -> list[int]:
    slots = question.slots
    return [int(slots[f"number{n}"]) for n in range(1, 1 + sum("number" in s for s in slots))]


@lru_cache(maxsize=4_000)
def _side(square: int) -> int:
    """The side of a square: odd numbers 1, 3, 5, ... taken away until nothing is left."""
    side, odd = 0, 1
    while square > 0:
        square, odd, side = square - odd, odd + 2, side + 1
    if square:
        raise ValueError("a root that is no whole number")
    return side


def _right_angled(a: int, b: int, c: int) -> bool:
    """Heron: half of a times b is the area of a triangle with these sides, c the longest."""
    return (a + b + c) * (a + b - c) * (c + a - b) * (c - a + b) == 4 * a * a * b * b


def _parts(question: Question) -> list[tuple[int, ...]]:
    """The legs of every right triangle in the question (its hypotenuse and leg for a leg)."""
    numbers = _numbers(question)
    if question.family not in _POINTS:
        return [tuple(numbers)]
    points = [complex(*numbers[n : n + 2]) for n in range(0, len(numbers), 2)]
    ways = [b - a for a, b in pairwise(points)]
    return [(int(abs(way.real)), int(abs(way.imag))) for way in ways]


def start(question: Question) -> str:
    numbers = _numbers(question)
    if question.family in _POINTS:
        places = [(numbers[n], numbers[n + 1]) for n in range(0, len(numbers), 2)]
        texts = []
        for one, other in pairwise(places):
            gaps = [sorted(pair, reverse=True) for pair in zip(one, other, strict=True)]
            texts.append(f"sqrt({' + '.join(f'({far} - {near})^2' for far, near in gaps)})")
        return " + ".join(texts)
    sign = " - " if question.family in _LEGS else " + "
    text = f"sqrt({sign.join(f'{n}^2' for n in numbers)})"
    return f"{numbers[0]} + {numbers[1]} + {text}" if question.family == "round" else text


def answer_fault(question: Question, answer: str) -> str:
    parts, family, found = _parts(question), question.family, int(answer)
    if family in _LEGS:
        good = _right_angled(found, parts[0][1], parts[0][0])
    elif family in ("round", *_POINTS):
        rest = found - (sum(parts[0]) if family == "round" else 0)
        rest -= sum(_side(a * a + b * b) for a, b in parts[:-1])
        good = rest > 0 and _right_angled(parts[-1][0], parts[-1][1], rest)
    elif family == "box":
        good = _side(sum(side * side for side in parts[0])) == found
    else:
        good = _right_angled(parts[0][0], parts[0][1], found)
    return "" if good and str(found) == answer else f"{answer} does not close the right triangle"


def proof_fault(question: Question, proof: str) -> str:
    """The squares of the sides as the question has them, the answer among them."""
    parts = _parts(question)
    wanted = [f"{side}^2" for side in parts[-1]]
    found = re.findall(r"\d+\^2", proof)
    missing = [one for one in wanted if one not in found]
    count = len(re.findall(r"\^2", proof)) == len(wanted) + 1
    return "" if not missing and count else f"this leaves out {', '.join(missing)}"


_WORK: dict[str, tuple[str, Any]] = {
    "sides": (r"\((\d+) - (\d+)\)", lambda a, b: a - b),
    "square": (r"(\d+)\^2", lambda a: sum(range(1, 2 * a, 2))),
    "subtract": (r"(?<=sqrt\()(\d+) - (\d+)(?=\))", lambda a, b: a - b),
    "add": (r"(?<=sqrt\()(\d+)((?: \+ \d+)+)(?=\))", None),
    "root": (r"sqrt\((\d+)\)", _side),
}


LINK_RULES = (*_WORK, "total")


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    """Each rule works on all places of one pattern, and on nothing else."""
    before, rule = step["before"], step["rule"]
    if rule == "total":
        good = re.fullmatch(r"\d+( \+ \d+)+", before) and step["after"].isdigit()
        return "" if good else "there is no plain sum to work out"
    pattern, work = _WORK[rule]

    def new(match: re.Match[str]) -> str:
        if work is None:
            return str(sum(int(n) for n in re.findall(r"\d+", match[0])))
        return str(work(*map(int, match.groups())))

    expected = re.sub(pattern, new, before)
    if expected == before or (rule == "square" and "(0" in before):
        return f"there is nothing to do for {rule!r}"
    return "" if step["after"] == expected else f"expected `{expected}`"


def wrongs(question: Question) -> dict[str, Any]:
    parts, family = _parts(question), question.family
    if family in _LEGS:
        long, short = parts[0]
        squares = (long - short) * (long + short)
        found: dict[str, Any] = {"sides_subtracted": long - short, "root_forgotten": squares}
        return found | {"halved": Fraction(squares, 2)}
    extra = sum(parts[0]) if family == "round" else 0
    squares = sum(side**2 for part in parts for side in part)
    found = {"legs_added": extra + sum(map(sum, parts)), "root_forgotten": extra + squares}
    if family == "round":
        return found | {"part_missing": extra}
    if len(parts) > 1:
        return found | {"part_missing": sum(_side(a * a + b * b) for a, b in parts[:-1])}
    return found | {"halved": Fraction(squares, 2)}


def measure(question: Question) -> dict[str, Any]:
    parts = _parts(question)
    if question.family in _LEGS:
        sizes = [parts[0][0]]
    else:
        sizes = [_side(sum(side * side for side in part)) for part in parts]
    return {"family": question.family, "size": (min(sizes), max(sizes)), "roots": len(parts)}
