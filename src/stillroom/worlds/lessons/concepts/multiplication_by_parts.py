"""Long multiplication by place values: split, multiply every pair of parts, add."""

from itertools import pairwise
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    while True:
        first, second = dice.between(*limits["first"]), dice.between(*limits["second"])
        if not (first % 10 and second % 10):
            continue
        low, high = limits["products"]
        if low <= len(_parts(first)) * len(_parts(second)) <= high:
            return Instance("plain", {"formula": f"{first} × {second}"}, (first, second))


def _parts(number: int) -> list[int]:
    """347 -> 300, 40, 7; empty places are left out."""
    digits = str(number)
    return [int(d) * 10 ** (len(digits) - i) for i, d in enumerate(digits, 1) if d != "0"]


def _sum(terms: list[Any]) -> str:
    return " + ".join(map(str, terms))


def _bracket(parts: list[int]) -> str:
    return f"({_sum(parts)})" if len(parts) > 1 else str(parts[0])


def solve(instance: Instance) -> Solution:
    first, second = instance.given
    left, right = _parts(first), _parts(second)
    stages = [
        ("", f"{first} × {second}"),
        ("split", f"{_bracket(left)} × {_bracket(right)}"),
        ("distribute", _sum([f"{a} × {b}" for a in left for b in right])),
        ("products", _sum([a * b for a in left for b in right])),
    ]
    if len(right) > 1:
        rows = []
        for a in left:
            row = 0
            for b in right:
                row += a * b
            rows.append(row)
        stages.append(("rows", _sum(rows)))
        stages.append(("total", str(sum(rows))))
    else:
        stages.append(("total", str(sum(a * right[0] for a in left))))
    steps = [
        Step(rule, (f"{before} = {after}",)) for (_, before), (rule, after) in pairwise(stages)
    ]
    answer = stages[-1][1]
    # The larger number is looked for: dividing by the smaller one is less work.
    if first < second:
        return Solution(
            steps, answer, ("divide_first", {"proof": f"{answer} ÷ {first} = {second}"})
        )
    return Solution(steps, answer, ("divide", {"proof": f"{answer} ÷ {second} = {first}"}))


def mistakes(instance: Instance) -> list[Slip]:
    first, second = instance.given
    left, right = _parts(first), _parts(second)
    text = instance.slots["formula"]
    slips = [Slip("forgotten_part", text, str(left[0] * second + sum(left[1:])))]
    if len(left) > 1 and len(right) > 1:
        like = sum(a * b for a in left for b in right if len(str(a)) == len(str(b)))
        slips.append(Slip("like_places_only", text, str(like)))
    lost = int(str(left[0]).rstrip("0")) * second
    slips.append(Slip("lost_zeros", text, str(lost + sum(a * second for a in left[1:]))))
    slips.append(Slip("zero_too_many", text, str(left[0] * 10 * second + sum(left[1:]) * second)))
    return slips
