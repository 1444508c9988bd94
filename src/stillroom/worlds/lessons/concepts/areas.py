"""Areas and perimeters of shapes made of rectangles and triangles, worked out line by line."""

import re
from math import prod
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step


def _size(family: str) -> int:
    """How many rooms or holes the family's name speaks of."""
    return int(family[-1]) if family[-1].isdigit() else 0


def _scale(family: str, numbers: list[int], content: Content) -> str:
    """Units for which the shape has a size that such a thing can have."""
    if family in content.data["units"]:
        return family
    if family in content.data["plain"]:
        return "plain"
    return "large" if max(numbers) > 100 else "small"


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    low, high = limits["side"]
    while True:
        family = dice.pick(limits["family"])
        a, b = dice.between(low, high), dice.between(low, high)
        numbers = sorted((a, b), reverse=True) if family != "triangle" else [a, b]
        a, b = numbers
        if family == "triangle":
            if a * b % 2:
                continue
        elif family in ("cut_corner", "round_cut"):
            numbers += [dice.between(low, max(low, a - 1)), dice.between(low, max(low, b - 1))]
            if numbers[2] >= a or numbers[3] >= b:
                continue
        elif family == "other_side":
            numbers = [a * b, a]
        elif family == "house":
            numbers.append(dice.between(low, high))
            if a * numbers[2] % 2:
                continue
        elif family == "frame":
            numbers.append(dice.between(low, max(low, min(12, min(a, b) // 2))))
        elif family.startswith("rooms"):
            numbers += [dice.between(low, high) for _ in range(2 * _size(family) - 2)]
        elif family.startswith("holes"):
            # The holes lie side by side, so each is narrower than its share.
            count = _size(family)
            wide, tall = a // count - 1, b - 1
            if wide < low or tall < low:
                continue
            for _ in range(count):
                numbers += [dice.between(low, wide), dice.between(low, tall)]
        slots = {"unit": dice.pick(content.data["units"][_scale(family, numbers, content)])}
        if family.startswith(("cut", "round", "rooms", "holes")):
            pairs = zip(numbers[::2], numbers[1::2], strict=True)
            slots |= {f"size{n}": f"{x} × {y}" for n, (x, y) in enumerate(pairs, 1)}
        else:
            slots |= {f"number{n}": str(number) for n, number in enumerate(numbers, 1)}
        return Instance(family, slots, numbers)


def _formula(family: str, numbers: list[int]) -> str:
    a, b, *more = numbers
    if family in ("perimeter", "round_cut"):
        return f"2 × ({a} + {b})"
    if family == "triangle":
        return f"{a} × {b} ÷ 2"
    if family == "other_side":
        return f"2 × ({b} + {a} ÷ {b})"
    if family == "house":
        return f"{a} × {b} + {a} × {more[0]} ÷ 2"
    if family == "frame":
        return f"({a} + 2 × {more[0]}) × ({b} + 2 × {more[0]}) - {a} × {b}"
    sign = " + " if family.startswith("rooms") else " - "
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return sign.join(f"{x} × {y}" for x, y in pairs)


def solve(instance: Instance) -> Solution:
    family, numbers = instance.family, instance.given
    steps: list[Step] = []
    now = _formula(family, numbers)

    def step(rule: str, found: str, new: Any) -> None:
        nonlocal now
        after = re.sub(found, lambda match: str(new(*map(int, match.groups()))), now)
        if after != now:
            steps.append(Step(rule, (f"{now} = {after}",)))
        now = after

    if family in ("perimeter", "round_cut", "other_side"):
        step("share", r"(\d+) ÷ (\d+)", lambda x, y: x // y)
        step("halfway", r"\((\d+) \+ (\d+)\)", lambda x, y: x + y)
        step("twice", r"2 × (\d+)$", lambda x: 2 * x)
    else:
        step("margins", r"2 × (\d+)(?=\))", lambda x: 2 * x)
        step("outside", r"\((\d+) \+ (\d+)\)", lambda x, y: x + y)
        step("rectangles", r"(\d+) × (\d+)", lambda x, y: x * y)
        step("halve", r"(\d+) ÷ 2", lambda x: x // 2)
        parts = re.split(" [-+] ", now)
        if len(parts) > 1:
            first, *others = map(int, parts)
            total = first + sum(others) if "+" in now else first - sum(others)
            steps.append(Step("together" if "+" in now else "remove", (f"{now} = {total}",)))
            now = str(total)
    return Solution(steps, now, _proof(family, numbers, now))


def _proof(family: str, numbers: list[int], answer: str) -> tuple[str, dict[str, str]]:
    a, b, *more = numbers
    pairs = [f"{x} × {y}" for x, y in zip(numbers[::2], numbers[1::2], strict=False)]
    if family == "rectangle":
        return "divide", {"proof": f"{answer} ÷ {b} = {a}"}
    if family == "perimeter":
        return "sides", {"proof": f"{a} + {b} + {a} + {b} = {answer}"}
    if family == "other_side":
        return "side", {"proof": f"({answer} ÷ 2 - {b}) × {b} = {a}"}
    if family == "round_cut":
        c, d = more
        return "sides", {"proof": f"{a} + {b - d} + {c} + {d} + {a - c} + {b} = {answer}"}
    if family == "triangle":
        return "double", {"proof": f"{answer} + {answer} = {a} × {b}"}
    if family == "house":
        return "take_off", {"proof": f"{answer} - {a} × {more[0]} ÷ 2 = {a} × {b}"}
    if family == "frame":
        w = more[0]
        return "put_back", {"proof": f"{answer} + {a} × {b} = {a + 2 * w} × {b + 2 * w}"}
    if family.startswith("rooms"):
        return "take_off", {"proof": f"{answer} - {' - '.join(pairs[1:])} = {pairs[0]}"}
    return "put_back", {"proof": f"{answer} + {' + '.join(pairs[1:])} = {pairs[0]}"}


def mistakes(instance: Instance) -> list[Slip]:
    family, numbers = instance.family, instance.given
    a, b, *more = numbers
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    found: dict[str, int] = {}
    if family == "rectangle":
        found["edge_for_area"] = 2 * (a + b)
        found["sides_added"] = a + b
    elif family in ("perimeter", "round_cut"):
        found["area_for_edge"] = a * b
        found["sides_added"] = a + b
        if family == "round_cut":
            found["corner_taken"] = 2 * (a + b) - more[0] - more[1]
    elif family == "other_side":
        found["sides_added"] = b + a // b
        found["area_for_edge"] = a
    elif family in ("triangle", "house"):
        found["not_halved"] = a * (b + (more[0] if more else 0))
        if family == "triangle":
            found["sides_added"] = a + b
    elif family == "frame":
        found["one_margin"] = (a + more[0]) * (b + more[0]) - a * b
        found["added_instead"] = (a + 2 * more[0]) * (b + 2 * more[0]) + a * b
    elif family.startswith("rooms"):
        found["one_missing"] = sum(map(prod, pairs[:-1]))
        found["sums_multiplied"] = sum(numbers[::2]) * sum(numbers[1::2])
    else:
        found["added_instead"] = sum(map(prod, pairs))
        if len(pairs) > 2:
            found["one_missing"] = a * b - sum(map(prod, pairs[1:-1]))
    answer = solve(instance).answer
    return [Slip(name, answer, str(wrong)) for name, wrong in found.items()]
