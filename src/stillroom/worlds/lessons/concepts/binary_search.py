"""Binary search: the part that is left, halved until the item is found or nothing is left.

A state is the item, a number, and the part of the list that is left; the number is the place at
which the part begins, or how many looks there have been.
"""

from typing import NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step


class Given(NamedTuple):
    family: str
    items: list[int]
    item: int


class Look(NamedTuple):
    """One look at the middle: where the part begins, the part, and the place in it."""

    begin: int
    part: list[int]
    half: int


def sample(dice: Dice, limits: dict[str, tuple[int, ...]], content: Content) -> Instance:
    fewest, most = limits["looks"]
    while True:
        size = dice.between(*limits["items"])
        low, high = limits["numbers"]
        spread = min(high - low, 12 * size)
        base = dice.between(low, high - spread)
        items = sorted(dice.some(range(base, base + spread + 1), size))
        family = dice.pick(("place", "looks", "looks_absent", "gap"))
        item = dice.pick(items)
        if family in ("looks_absent", "gap"):
            item = dice.between(base, base + spread)
            if item in items:
                continue
        family = family.removesuffix("_absent")
        looks, _ = _search(items, item)
        if fewest <= len(looks) <= most:
            slots = {"items": str(items), "item": str(item)}
            return Instance(family, slots, Given(family, items, item))


def _search(items: list[int], item: int, reverse: bool = False) -> tuple[list[Look], int]:
    """All looks, and the place where the search ends."""
    begin, part = 0, items
    looks = []
    while part:
        half = len(part) // 2
        looks.append(Look(begin, part, half))
        if part[half] == item:
            return looks, begin + half
        if (part[half] > item) != reverse:
            part = part[:half]
        else:
            begin, part = begin + half + 1, part[half + 1 :]
    return looks, begin


def solve(instance: Instance) -> Solution:
    family, items, item = instance.given
    looks, place = _search(items, item)
    steps = []
    before = f"[{item}, 0, {items}]"
    for n, look in enumerate(looks, 1):
        middle = look.part[look.half]
        if middle == item:
            break
        left = middle > item
        part = look.part[: look.half] if left else look.part[look.half + 1 :]
        begin = look.begin if left else look.begin + look.half + 1
        after = f"[{item}, {n if family == 'looks' else begin}, {part}]"
        slots = {
            "half": f"{len(look.part)} div 2 = {look.half}",
            "compared": f"{middle} {'>' if left else '<'} {item}",
        }
        steps.append(Step("left" if left else "right", (before, after), slots, " → "))
        before = after
    found = bool(looks) and looks[-1].part[looks[-1].half] == item
    rule = f"{family}_found" if found else f"{family}_empty"
    answer, more = str(len(looks) if family == "looks" else place), ""
    if found:
        more = " + 1" if family == "looks" else f" + {len(looks[-1].part)} div 2"
    steps.append(Step(rule, (f"{before}[1]{more} = {answer}",)))
    return Solution(steps, answer, _proof(instance, answer))


def _proof(instance: Instance, answer: str) -> tuple[str, dict[str, str]]:
    family, items, item = instance.given
    place = int(answer)
    if family == "place":
        return "index", {"proof": f"{items}[{answer}] = {item}"}
    if family == "gap" and place == len(items):
        return "edge", {"proof": f"length({items}) = {answer}"}
    if family == "gap":
        return "larger", {"proof": f"{items}[{answer}] > {item}"}
    return "strokes", {"proof": f"{' + '.join(['1'] * place)} = {answer}"}


def mistakes(instance: Instance) -> list[Slip]:
    family, items, item = instance.given
    looks, place = _search(items, item)
    answer = str(len(looks) if family == "looks" else place)
    astray, other = _search(items, item, reverse=True)
    wrong: dict[str, int] = {"wrong_half": len(astray) if family == "looks" else other}
    if family == "looks":
        wrong["last_look_forgotten"] = len(looks) - 1
        wrong["from_the_start"] = sum(1 for one in items if one < item) + (item in items)
        wrong["half_the_items"] = len(items) // 2
    else:
        wrong["counted_from_one"] = place + 1
        last = looks[-1]
        wrong["place_in_part"] = last.half if family == "place" else place - last.begin
    return [
        Slip(name, answer, str(number)) for name, number in wrong.items() if str(number) != answer
    ]
