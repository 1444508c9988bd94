"""Sums and differences of fractions: one size of pieces, then the numerators, then lowest terms."""

from math import gcd, lcm
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Term = tuple[str, int, int]  # sign, numerator, denominator


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    low, high = limits["denominator"]
    while True:
        terms: list[Term] = []
        for n in range(dice.between(*limits["terms"])):
            bottom = dice.between(low, high)
            if limits["relation"][0] == "same" and terms:
                bottom = terms[0][2]
            top = dice.between(1, bottom - 1)
            sign = "-" if n and dice.fraction() < 0.4 else "+"
            terms.append((sign, top, bottom))
        if any(gcd(top, bottom) > 1 for _, top, bottom in terms):
            continue
        common, total = _common(terms), 0
        for sign, top, bottom in terms:
            total += top * (common // bottom) * (1 if sign == "+" else -1)
            if total <= 0:
                break
        if total <= 0 or common > limits["common"][1] or common < limits["common"][0]:
            continue
        if _relation(terms) not in limits["relation"]:
            continue
        return Instance("plain", {"formula": _write(terms)}, terms)


def _common(terms: list[Term]) -> int:
    return lcm(*[bottom for _, _, bottom in terms])


def _relation(terms: list[Term]) -> str:
    bottoms = {bottom for _, _, bottom in terms}
    if len(bottoms) == 1:
        return "same"
    return "multiple" if _common(terms) in bottoms else "different"


def _write(terms: list[Term]) -> str:
    text = f"{terms[0][1]}/{terms[0][2]}"
    return text + "".join(f" {sign} {top}/{bottom}" for sign, top, bottom in terms[1:])


def _number(top: int, bottom: int) -> str:
    return str(top // bottom) if top % bottom == 0 else f"{top}/{bottom}"


def _inner(terms: list[Term]) -> str:
    return str(terms[0][1]) + "".join(f" {sign} {top}" for sign, top, _ in terms[1:])


def _total(terms: list[Term]) -> int:
    return sum(top if sign == "+" else -top for sign, top, _ in terms)


def solve(instance: Instance) -> Solution:
    terms: list[Term] = instance.given
    common = _common(terms)
    scaled = [(sign, top * (common // bottom), common) for sign, top, bottom in terms]
    steps, before = [], _write(terms)
    if scaled != terms:
        after = _write(scaled)
        steps.append(Step("common", (f"{before} = {after}",), {"denominator": str(common)}))
        before = after
    after = f"({_inner(scaled)})/{common}"
    steps.append(Step("one_bar", (f"{before} = {after}",)))
    before, total = after, _total(scaled)
    after = f"{total}/{common}"
    signs = {sign for sign, _, _ in terms[1:]}
    rule = "add" if signs == {"+"} else "subtract" if signs == {"-"} else "combine"
    steps.append(Step(rule, (f"{before} = {after}",)))
    factor = gcd(total, common)
    if factor > 1:
        before, after = after, _number(total // factor, common // factor)
        steps.append(Step("lowest", (f"{before} = {after}",), {"factor": str(factor)}))
    sign, top, bottom = terms[-1]
    rest = _total(scaled[:-1])
    factor = gcd(rest, common)
    kind = "take_away" if sign == "+" else "add_back"
    undone = f"{after} {'-' if sign == '+' else '+'} {top}/{bottom}"
    proof = f"{undone} = {_number(rest // factor, common // factor)}"
    return Solution(steps, after, (kind, {"proof": proof}))


def mistakes(instance: Instance) -> list[Slip]:
    terms: list[Term] = instance.given
    text, common = instance.slots["formula"], _common(terms)
    tops, bottoms = _total(terms), sum(b if s == "+" else -b for s, _, b in terms)
    slips = []
    if bottoms > 0 and tops >= 0:
        slips.append(Slip("tops_and_bottoms", text, _number(tops, bottoms)))
    scaled = [(sign, top * (common // bottom), common) for sign, top, bottom in terms]
    if any(bottom != common for _, _, bottom in terms) and tops >= 0:
        slips.append(Slip("unscaled_tops", text, _number(tops, common)))
    if all(sign == "+" for sign, _, _ in terms):
        slips.append(Slip("bottoms_added", text, _number(_total(scaled), common * len(terms))))
    else:
        slips.append(Slip("all_added", text, _number(sum(top for _, top, _ in scaled), common)))
    return slips
