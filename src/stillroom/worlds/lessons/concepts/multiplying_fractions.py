"""Products and quotients of fractions: flip the divisors, join above one bar, cancel, multiply."""

from math import gcd, prod
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Term = tuple[str, int, int]  # sign before it, numerator, denominator


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    low, high = limits["number"]
    largest = limits["result"][1]
    while True:
        count = dice.between(*limits["factors"])
        whole = dice.between(*limits["whole"])
        divisors = dice.between(*limits["divisions"])
        at = dice.between(0, count - 1) if whole else -1
        divided = dice.some(range(1, count), divisors)
        terms: list[Term] = []
        for n in range(count):
            bottom = 1 if n == at else dice.between(2, high)
            top = dice.between(2 if n == at else 1, high)
            terms.append(("÷" if n in divided else "×", top, bottom))
        if any(gcd(top, bottom) > 1 for _, top, bottom in terms):
            continue
        if not low <= max(max(top, bottom) for _, top, bottom in terms):
            continue
        tops, bottoms = _bars(_flipped(terms))
        above, below = prod(tops), prod(bottoms)
        common = gcd(above, below)
        # Something has to cancel, or the lesson has nothing to show; and something has to stay.
        if common == 1 or above == below or not bottoms or max(above, below) > largest * common:
            continue
        return Instance("plain", {"formula": _write(terms)}, terms)


def _one(top: int, bottom: int) -> str:
    return str(top) if bottom == 1 else f"{top}/{bottom}"


def _write(terms: list[Term]) -> str:
    text = "".join(f" {sign} {_one(top, bottom)}" for sign, top, bottom in terms)
    return text[3:]


def _flipped(terms: list[Term]) -> list[Term]:
    return [("×", b, t) if sign == "÷" else (sign, t, b) for sign, t, b in terms]


def _bars(terms: list[Term]) -> tuple[list[int], list[int]]:
    """What stands above the bar and what below; whole numbers bring nothing below it."""
    return [top for _, top, _ in terms], [bottom for _, _, bottom in terms if bottom > 1]


def _bar(tops: list[int], bottoms: list[int]) -> str:
    parts = [" × ".join(map(str, numbers)) for numbers in (tops, bottoms)]
    above, below = (f"({part})" if "×" in part else part for part in parts)
    return f"{above}/{below}"


def _cancelled(tops: list[int], bottoms: list[int]) -> tuple[int, int, int] | None:
    """Where the first two numbers stand that share a factor, and the largest such factor."""
    for i, top in enumerate(tops):
        for j, bottom in enumerate(bottoms):
            if (factor := gcd(top, bottom)) > 1:
                return i, j, factor
    return None


def _value(terms: list[Term]) -> str:
    tops, bottoms = _bars(_flipped(terms))
    return _lowest(prod(tops), prod(bottoms))


def _lowest(top: int, bottom: int) -> str:
    common = gcd(top, bottom)
    return _one(top // common, bottom // common)


def solve(instance: Instance) -> Solution:
    terms: list[Term] = list(instance.given)
    steps, before = [], _write(terms)

    def step(rule: str, after: str, **slots: str) -> None:
        nonlocal before
        steps.append(Step(rule, (f"{before} = {after}",), slots))
        before = after

    for n, (sign, top, bottom) in enumerate(terms):
        if sign == "÷":
            terms[n] = ("×", bottom, top)
            step("flip", _write(terms), divisor=_one(top, bottom), reciprocal=_one(bottom, top))
    tops, bottoms = _bars(terms)
    step("one_bar", _bar(tops, bottoms))
    while found := _cancelled(tops, bottoms):
        i, j, factor = found
        above, below = str(tops[i]), str(bottoms[j])
        tops[i], bottoms[j] = tops[i] // factor, bottoms[j] // factor
        slots = {"above": above, "below": below, "factor": str(factor)}
        step("cancel", _bar(tops, bottoms), **slots)
    after = _one(prod(tops), prod(bottoms))
    if after != before:
        step("multiply_out", after)
    sign, top, bottom = instance.given[-1]
    kind, back = ("multiply_back", "×") if sign == "÷" else ("divide_back", "÷")
    rest = _value(instance.given[:-1])
    return Solution(steps, after, (kind, {"proof": f"{after} {back} {_one(top, bottom)} = {rest}"}))


def mistakes(instance: Instance) -> list[Slip]:
    terms: list[Term] = instance.given
    text = instance.slots["formula"]
    signs = [sign for sign, _, _ in terms[1:]]
    found: list[tuple[str, int, int]] = []
    if "÷" in signs:
        plain = [("×", top, bottom) for _, top, bottom in terms]
        found.append(("no_flip", prod(t for _, t, _ in plain), prod(b for _, _, b in plain)))
        _, top, bottom = found[0]
        found.append(("flip_all", bottom, top))
        if len(terms) == 2:  # the first one upside down, and the divisor left as it is
            (_, a, b), (_, c, d) = terms
            found.append(("wrong_flip", b * c, a * d))
    else:
        tops, bottoms = [t for _, t, _ in terms], [b for _, _, b in terms]
        whole = [t for _, t, b in terms if b == 1]
        if whole:
            found.append(("whole_twice", prod(tops), prod(bottoms) * prod(whole)))
        else:
            found.append(("bottoms_added", prod(tops), sum(bottoms)))
            common = prod(bottoms) // gcd(*bottoms) if len(bottoms) == 2 else 0
            if common:
                scaled = [t * (common // b) for _, t, b in terms]
                found.append(("common_kept", prod(scaled), common))
        if len(terms) == 2:
            (_, a, b), (_, c, d) = terms
            found.append(("crosswise", a * d, b * c))
    return [Slip(name, text, _lowest(top, bottom)) for name, top, bottom in found]
