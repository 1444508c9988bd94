"""Greatest common divisors and least common multiples, by Euclid's algorithm."""

from math import gcd
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

_WORDS = {"gcd": "strings", "lcm": "meeting", "several": "bags"}  # the kinds' word problems


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    kind = dice.pick(limits["kind"])
    low, high = limits["numbers"]
    terms = dice.between(max(3, limits["terms"][0]), limits["terms"][1])
    terms = terms if kind == "several" else 2
    while True:
        # Every number is a multiple of `share`, or hardly any three would have one in common.
        share = dice.between(2, max(2, min(high // 5, 60)))
        numbers = [share * dice.between(-(-low // share), high // share) for _ in range(terms)]
        if len(set(numbers)) == terms and _fits(numbers, limits["rounds"]):
            break
    told = dice.fraction() < 0.35 and terms < 4
    if told:
        slots = {f"number{n}": str(number) for n, number in enumerate(numbers, 1)}
        return Instance(_WORDS[kind], slots, (kind, numbers))
    family = {"gcd": "greatest", "lcm": "least"}.get(kind, kind)
    return Instance(family, {"formula": _formula(kind, numbers)}, (kind, numbers))


def _fits(numbers: list[int], rounds: tuple[Any, ...]) -> bool:
    """Whether Euclid's algorithm takes a number of rounds that is wanted."""
    count, shared = 0, numbers[0]
    for number in numbers[1:]:
        large, small = max(shared, number), min(shared, number)
        while large % small:
            large, small, count = small, large % small, count + 1
        shared = small
    return shared > 1 and bool(rounds[0] <= count <= rounds[1])


def _formula(kind: str, numbers: list[int]) -> str:
    if kind == "lcm":
        return f"lcm({numbers[0]}, {numbers[1]})"
    text = str(numbers[0])
    for number in numbers[1:]:
        text = f"gcd({text}, {number})"
    return text


def solve(instance: Instance) -> Solution:
    kind, numbers = instance.given
    before, steps = _formula(kind, numbers), []
    frame = "{}"
    if kind == "lcm":
        frame = f"{numbers[0]} ÷ {{}} × {numbers[1]}"
        after = frame.format(f"gcd({numbers[0]}, {numbers[1]})")
        steps.append(Step("through_gcd", (f"{before} = {after}",)))
    shared = numbers[0]
    for n, number in enumerate(numbers[1:], 2):
        around = frame
        for later in numbers[n:][::-1]:
            around = around.replace("{}", f"gcd({{}}, {later})")
        shared = _euclid(shared, number, around, steps)
    answer = shared
    if kind == "lcm":
        factor = numbers[0] // shared
        answer = factor * numbers[1]
        rest = f"{factor} × {numbers[1]}"
        steps.append(Step("quotient", (f"{frame.format(shared)} = {rest}",)))
        steps.append(Step("product", (f"{rest} = {answer}",)))
        proof = f"gcd({answer} ÷ {numbers[0]}, {answer} ÷ {numbers[1]}) = 1"
        return Solution(steps, str(answer), ("multiples", {"proof": proof}))
    quotients = _formula(kind, [number // shared for number in numbers])
    proof = f"{shared} × {quotients} = {shared}"
    return Solution(steps, str(answer), ("divided", {"proof": proof}))


def _euclid(first: int, second: int, around: str, steps: list[Step]) -> int:
    """The rounds for two numbers, inside of what stands around them; the common divisor."""
    before = f"gcd({first}, {second})"
    large, small = max(first, second), min(first, second)
    while large % small:
        slots = {"large": str(large), "small": str(small)}
        after = f"gcd({small}, {large} mod {small})"
        steps.append(Step("swap", (f"{around.format(before)} = {around.format(after)}",), slots))
        before, large, small = after, small, large % small
        after = f"gcd({large}, {small})"
        steps.append(Step("rest", (f"{around.format(before)} = {around.format(after)}",)))
        before = after
    slots = {"large": str(large), "small": str(small)}
    steps.append(Step("divides", (f"{around.format(before)} = {around.format(small)}",), slots))
    return small


def mistakes(instance: Instance) -> list[Slip]:
    kind, numbers = instance.given
    shared = gcd(*numbers)
    multiple = numbers[0]
    for number in numbers[1:]:
        multiple = multiple * number // gcd(multiple, number)
    left = instance.slots.get("formula", str(multiple if kind == "lcm" else shared))
    if kind == "lcm":
        wrong = {
            "product": numbers[0] * numbers[1],
            "greatest_instead": shared,
            "larger_number": max(numbers),
        }
    else:
        wrong = {"smaller_number": min(numbers), "least_instead": multiple}
        prime = 2
        while shared % prime:
            prime += 1
        wrong["one_prime"] = prime
        if len(numbers) > 2:
            wrong["first_two"] = gcd(*numbers[:2])
        else:
            large, small = max(numbers), min(numbers)
            while large % small:
                large, small = small, large % small
            wrong["early_stop"] = large
    right = multiple if kind == "lcm" else shared
    return [Slip(name, left, str(value)) for name, value in wrong.items() if value != right]
