"""Amounts from one unit to another, one unit factor after the other."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

# Each unit, and how many of it make the next one.
_LADDERS: dict[str, tuple[tuple[str, int], ...]] = {
    "length": (("mm", 10), ("cm", 100), ("m", 1000), ("km", 0)),
    "mass": (("mg", 1000), ("g", 1000), ("kg", 1000), ("t", 0)),
    "volume": (("ml", 10), ("cl", 100), ("l", 0)),
    "time": (("s", 60), ("min", 60), ("h", 24), ("day", 7), ("week", 0)),
}


def _amount(value: Fraction, unit: str) -> str:
    """2.5 km; one third has no finite decimals and stays 1/3 h."""
    if unit in ("day", "week") and value != 1:
        unit += "s"
    return f"{_number(value)} {unit}"


def _number(value: Fraction) -> str:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest > 1:
        return f"{value.numerator}/{value.denominator}"
    return format((Decimal(value.numerator) / Decimal(value.denominator)).normalize(), "f")


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    names: dict[str, str] = content.data["names"]
    while True:
        kind = dice.pick(content.data["kinds"])
        ladder = _LADDERS[kind]
        terms, rungs = dice.between(*limits["terms"]), dice.between(*limits["factors"])
        upwards = dice.between(*limits["upwards"]) == 1
        if terms == 1:
            if rungs >= len(ladder):
                continue
            low = dice.between(0, len(ladder) - 1 - rungs)
            start, goal = (low, low + rungs) if upwards else (low + rungs, low)
            number = (
                _nice(dice, ladder, start, goal, limits["decimals"][1])
                if limits["digits"][0] == 1
                else _long(dice, kind, limits["decimals"][1])
            )
            if _digits(number) not in range(limits["digits"][0], limits["digits"][1] + 1):
                continue
            amounts = [(number, start)]
        else:
            # The larger units come first, as one says it; the goal is the smallest of them.
            if len(ladder) < terms:
                continue
            goal = dice.between(0, len(ladder) - terms)
            amounts = [
                (Fraction(dice.between(2, 12 if place > goal else 40)), place)
                for place in range(goal + terms - 1, goal - 1, -1)
            ]
            if sum(place - goal for _, place in amounts) != rungs:
                continue
        if any(not 0 < number < 100_000 for number, _ in amounts):
            continue
        slots = {"target": names[ladder[goal][0]]}
        for n, (number, place) in enumerate(amounts, 1):
            value, _, unit = _amount(number, ladder[place][0]).partition(" ")
            slots |= {f"number{n}": value, f"unit{n}": unit}
        family = kind if terms == 1 else f"{kind}_{terms}"
        if family not in content.questions:
            continue
        return Instance(family, slots, (kind, amounts, goal))


def _nice(
    dice: Dice, ladder: tuple[tuple[str, int], ...], start: int, goal: int, decimals: int
) -> Fraction:
    """A number that a person would be given: going up, one that does not end in crumbs."""
    if start > goal:
        if not decimals:
            return Fraction(dice.between(2, 60))
        part = dice.pick((2, 4) if ladder[0][0] == "s" else (2, 4, 5, 10))
        return Fraction(dice.between(part + 1, 24 * part), part)
    factor = 1
    for place in range(start, goal):
        factor *= ladder[place][1]
    if factor == 7:
        return Fraction(7 * dice.between(2, 30))
    parts = [p for p in (2, 4, 5, 10) if factor % p == 0] or [1]
    return Fraction(factor, dice.pick(parts)) * dice.between(3, 40)


def _long(dice: Dice, kind: str, decimals: int) -> Fraction:
    """A number of many digits; times are whole."""
    return Fraction(
        dice.between(10_001, 99_999), 10 ** dice.between(0, decimals * (kind != "time"))
    )


def _digits(number: Fraction) -> int:
    """How many digits the number has that are no zeros at its end or its beginning."""
    return len(_number(number).replace(".", "").strip("0"))


def _sum(amounts: list[str]) -> str:
    return " + ".join(amounts)


def solve(instance: Instance) -> Solution:
    kind, amounts, goal = instance.given
    ladder = _LADDERS[kind]
    terms = [_amount(number, ladder[place][0]) for number, place in amounts]
    now, steps, values = _sum(terms), [], []

    def step(rule: str, n: int, new: str, **slots: str) -> None:
        nonlocal now
        terms[n] = new
        before, now = now, _sum(terms)
        steps.append(Step(rule, (f"{before} = {now}",), slots))

    for n, (number, place) in enumerate(amounts):
        while place != goal:
            up = place < goal
            to = place + 1 if up else place - 1
            factor = Fraction(1, ladder[place][1]) if up else Fraction(ladder[to][1])
            worth = f"{factor} {ladder[to][0]}"
            if ladder[to][0] in ("day", "week") and factor > 1:
                worth += "s"
            one = f"1 {ladder[place][0]} = {worth}"
            step("larger" if up else "smaller", n, f"{_number(number)} × {worth}", one=one)
            number, place = number * factor, to
            step("multiply", n, _amount(number, ladder[place][0]))
        values.append(number)
    if len(amounts) > 1:
        total = _amount(sum(values, Fraction(0)), ladder[goal][0])
        steps.append(Step("add", (f"{now} = {total}",)))
        now = total
    number, place = amounts[0]
    if len(amounts) > 1:
        rest = _amount(sum(values[1:], Fraction(0)), ladder[goal][0])
        return Solution(steps, now, ("take_away", {"proof": f"{now} - {rest} = {terms[0]}"}))
    # The way back at once: the answer's unit is worth so much of the unit in the question.
    factor = number / values[0]
    unit = ladder[place][0] + ("s" if ladder[place][0] in ("day", "week") and factor > 1 else "")
    proof = f"{now} = {_number(values[0])} × {factor} {unit} = {_amount(number, ladder[place][0])}"
    return Solution(steps, now, ("back", {"proof": proof}))


def _total(instance: Instance, factors: dict[int, Fraction], down: bool = True) -> Fraction:
    """The answer with these factors between rungs instead of the right ones."""
    kind, amounts, goal = instance.given
    total = Fraction(0)
    for number, place in amounts:
        low, high = min(place, goal), max(place, goal)
        factor = Fraction(1)
        for rung in range(low, high):
            factor *= factors.get(rung, Fraction(_LADDERS[kind][rung][1]))
        total += number * factor if (place > goal) == down else number / factor
    return total


def mistakes(instance: Instance) -> list[Slip]:
    kind, amounts, goal = instance.given
    ladder = _LADDERS[kind]
    unit = ladder[goal][0]
    left = solve(instance).answer
    hundred = {rung: Fraction(100) for rung in range(len(ladder))}
    slips = [
        Slip("wrong_way", left, _amount(_total(instance, {}, down=False), unit)),
        Slip("always_hundred", left, _amount(_total(instance, hundred), unit)),
    ]
    if len(amounts) > 1:
        plain = sum((number for number, _ in amounts), Fraction(0))
        slips.append(Slip("units_ignored", left, _amount(plain, unit)))
    if kind == "time":
        ten = {rung: Fraction(10) for rung in range(len(ladder))}
        slips.append(Slip("always_ten", left, _amount(_total(instance, ten), unit)))
    return slips
