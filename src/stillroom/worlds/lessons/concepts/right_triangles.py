"""Sides of right triangles by the theorem of Pythagoras, with exact roots only."""

import re
from functools import cache
from itertools import pairwise
from math import gcd, isqrt
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

_LEGS = ("leg", "ladder", "mast")


@cache
def _triples(low: int, high: int) -> tuple[tuple[int, int, int], ...]:
    """All right triangles with whole sides and the longest between two numbers (Euclid)."""
    found = set()
    for m in range(2, isqrt(high) + 1):
        for n in range(1, m):
            if gcd(m, n) == 1 and (m - n) % 2:
                a, b, c = m * m - n * n, 2 * m * n, m * m + n * n
                for k in range(-(-low // c), high // c + 1):
                    found |= {(k * a, k * b, k * c), (k * b, k * a, k * c)}
    return tuple(sorted(found))


@cache
def _boxes(low: int, high: int) -> tuple[tuple[int, int, int, int], ...]:
    """Boxes with whole sides and a whole diagonal."""
    found = []
    for a in range(2, high):
        for b in range(2, high):
            for c in range(2, high):
                square = a * a + b * b + c * c
                if square > high * high:
                    break
                d = isqrt(square)
                if d * d == square and d >= low:
                    found.append((a, b, c, d))
    return tuple(found)


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    family, (low, high) = dice.pick(limits["family"]), limits["size"]
    units = content.data["units"].get(family)
    slots: dict[str, str] = {"unit": dice.pick(units)} if units else {}
    numbers: list[int]
    if family == "box":
        numbers = list(dice.pick(_boxes(low, high))[:3])
    elif family in ("distance", "route_2", "route_4"):
        count = 1 if family == "distance" else int(family[-1])
        numbers = [dice.between(0, 30), dice.between(0, 30)]
        while len(numbers) < 2 * count + 2:
            a, b, _ = dice.pick(_triples(low, high))
            x, y = numbers[-2:]
            x = x - a if x >= a and dice.fraction() < 0.5 else x + a
            y = y - b if y >= b and dice.fraction() < 0.5 else y + b
            numbers += [x, y]
    else:
        a, b, c = dice.pick(_triples(low, high))
        numbers = [c, a] if family in _LEGS else [a, b]
    slots |= {f"number{n}": str(number) for n, number in enumerate(numbers, 1)}
    return Instance(family, slots, numbers)


def _pairs(numbers: list[int]) -> list[tuple[int, int, int, int]]:
    """Each two points after one another, as x and x', y and y', the larger number first."""
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    found = []
    for (x, y), (u, v) in pairwise(points):
        found.append((max(x, u), min(x, u), max(y, v), min(y, v)))
    return found


def _legs(instance: Instance) -> list[tuple[int, ...]]:
    """The sides below each root."""
    numbers = instance.given
    if instance.family in ("distance", "route_2", "route_4"):
        return [(x - u, y - v) for x, u, y, v in _pairs(numbers)]
    return [tuple(numbers)]


def solve(instance: Instance) -> Solution:
    family, numbers = instance.family, instance.given
    steps: list[Step] = []
    if family in ("distance", "route_2", "route_4"):
        now = " + ".join(f"sqrt(({x} - {u})^2 + ({y} - {v})^2)" for x, u, y, v in _pairs(numbers))
    else:
        sign = " - " if family in _LEGS else " + "
        now = f"sqrt({sign.join(f'{n}^2' for n in numbers)})"
        if family == "round":
            now = f"{numbers[0]} + {numbers[1]} + {now}"

    def step(rule: str, found: str, new: Any) -> None:
        nonlocal now
        after = re.sub(found, lambda match: str(new(*map(int, match.groups()))), now)
        if after != now:
            steps.append(Step(rule, (f"{now} = {after}",)))
        now = after

    step("sides", r"\((\d+) - (\d+)\)", lambda a, b: a - b)
    legs = _legs(instance)
    step("square", r"(\d+)\^2", lambda a: a * a)
    if family in _LEGS:
        step("subtract", r"(?<=\()(\d+) - (\d+)", lambda a, b: a - b)
    elif family == "box":
        step("add", r"(?<=\()(\d+) \+ (\d+) \+ (\d+)", lambda a, b, c: a + b + c)
    else:
        step("add", r"(?<=\()(\d+) \+ (\d+)", lambda a, b: a + b)
    step("root", r"sqrt\((\d+)\)", isqrt)
    total = str(sum(map(int, now.split(" + "))))
    if total != now:
        steps.append(Step("total", (f"{now} = {total}",)))
    return Solution(steps, total, _proof(instance, legs, int(total), now))


def _proof(
    instance: Instance, legs: list[tuple[int, ...]], total: int, parts: str
) -> tuple[str, dict[str, str]]:
    numbers = instance.given
    if instance.family in _LEGS:
        return "squares", {"proof": f"{total}^2 + {numbers[1]}^2 = {numbers[0]}^2"}
    if instance.family == "round":
        rest = f"{total} - {numbers[0]} - {numbers[1]}"
        return "last_side", {"proof": f"({rest})^2 = {numbers[0]}^2 + {numbers[1]}^2"}
    if len(legs) > 1:
        *others, _ = parts.split(" + ")
        squares = " + ".join(f"{side}^2" for side in legs[-1])
        return "last_part", {"proof": f"({total} - {' - '.join(others)})^2 = {squares}"}
    return "squares", {"proof": f"{total}^2 = {' + '.join(f'{side}^2' for side in legs[0])}"}


def mistakes(instance: Instance) -> list[Slip]:
    answer, family = solve(instance).answer, instance.family
    legs = _legs(instance)
    found: dict[str, int] = {}
    if family in _LEGS:
        hypotenuse, leg = legs[0]
        found["sides_subtracted"] = hypotenuse - leg
        found["root_forgotten"] = hypotenuse**2 - leg**2
    else:
        plus = sum(legs[0]) if family == "round" else 0
        found["legs_added"] = plus + sum(sum(one) for one in legs)
        found["root_forgotten"] = plus + sum(a * a for one in legs for a in one)
        if family == "round":
            found["part_missing"] = plus
        if len(legs) > 1:
            found["part_missing"] = sum(isqrt(a * a + b * b) for a, b in legs[:-1])
    slips = [Slip(name, answer, str(wrong)) for name, wrong in found.items()]
    if family not in ("round", "route_2", "route_4"):
        half = found["root_forgotten"]
        text = str(half // 2) if half % 2 == 0 else f"{half}/2"
        slips.append(Slip("halved", answer, text))
    return slips
