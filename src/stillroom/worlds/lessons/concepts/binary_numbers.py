"""Binary numbers: halved into, added up from place values, and added column by column."""

from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    kind = dice.pick(limits["kind"])
    low, high = limits["bits"]
    count = 1 if kind in ("to", "from") else dice.between(*limits["terms"])
    count = max(2, count) if kind == "add" else count
    while True:
        digits = []
        for _ in range(count):
            bits = dice.between(low, high)
            number = dice.between(2 ** (bits - 1) + 1, 2**bits - 2)
            digits.append(f"{number:b}")
        if len(set(digits)) == count:
            break
    if kind == "to":
        return Instance("to", {"formula": f"bin({int(digits[0], 2)})"}, (kind, digits))
    if kind == "from":
        return Instance("from", {"formula": f'dec("{digits[0]}")'}, (kind, digits))
    return Instance("add", {"formula": f"bin({_sum(digits, 0)})"}, (kind, digits))


def _sum(digits: list[str], carry: int) -> str:
    """What is still to be added; numbers that are used up are left out."""
    parts = [f'dec("{one}")' for one in digits if one]
    return " + ".join([*parts, str(carry)] if carry or not parts else parts)


def solve(instance: Instance) -> Solution:
    kind, digits = instance.given
    if kind == "to":
        return _to(int(digits[0], 2))
    return _from(digits[0]) if kind == "from" else _add(digits)


def _to(number: int) -> Solution:
    steps, left, done = [], number, ""
    before = f"bin({number})"
    while left > 1:
        bit, half = left % 2, left // 2
        done = f"{bit}{done}"
        after = f'bin({half}) + "{done}"'
        slots = {"number": str(left), "half": f"{left} div 2 = {half}"}
        steps.append(Step("odd" if bit else "even", (f"{before} = {after}",), slots))
        left, before = half, after
    answer = f'"1{done}"'
    steps.append(Step("top", (f"{before} = {answer}",)))
    return Solution(steps, answer, ("places", {"proof": f"dec({answer}) = {number}"}))


def _from(digits: str) -> Solution:
    places = [2**n for n in range(len(digits))][::-1]
    before = f'dec("{digits}")'
    products = " + ".join(f"{d} × {place}" for d, place in zip(digits, places, strict=True))
    steps = [Step("weigh", (f"{before} = {products}",))]
    kept = [place for d, place in zip(digits, places, strict=True) if d == "1"]
    after = " + ".join(map(str, kept))
    steps.append(Step("keep", (f"{products} = {after}",)))
    while len(kept) > 1:
        before, kept = after, [kept[0] + kept[1], *kept[2:]]
        after = " + ".join(map(str, kept))
        steps.append(Step("total", (f"{before} = {after}",)))
    return Solution(steps, after, ("halves", {"proof": f'bin({after}) = "{digits}"'}))


def _add(digits: list[str]) -> Solution:
    steps, left, carry, done = [], digits, 0, ""
    before = f"bin({_sum(left, 0)})"
    while any(left):
        column = [int(one[-1]) for one in left if one]
        total = sum(column) + carry
        slots = {"column": " + ".join(map(str, [*column, carry] if carry else column))}
        left, carry, done = [one[:-1] for one in left], total // 2, f"{total % 2}{done}"
        if len(slots["column"]) > 1:
            slots["column"] += f" = {total}"
        after = f'"{done}"'
        if any(left) or carry:
            after = f"bin({_sum(left, carry)}) + {after}"
        rule = "carry" if carry else "column"
        steps.append(Step(rule, (f"{before} = {after}",), slots))
        before = after
    answer = before
    if carry:
        answer = f'"{carry:b}{done}"'
        steps.append(Step("front", (f"{before} = {answer}",), {"rest": str(carry)}))
    total = sum(int(one, 2) for one in digits)
    parts = " + ".join(str(int(one, 2)) for one in digits)
    return Solution(steps, answer, ("decimal", {"proof": f"dec({answer}) = {parts} = {total}"}))


def mistakes(instance: Instance) -> list[Slip]:
    kind, digits = instance.given
    left = instance.slots["formula"]
    if kind == "to":
        right = digits[0]
        wrong = {
            "read_downwards": right[::-1],
            "last_one_lost": right[1:],
            "signs_swapped": "".join("10"[int(bit)] for bit in right),
        }
    elif kind == "from":
        right = str(int(digits[0], 2))
        wrong = {
            "doubled": str(int(digits[0], 2) * 2),
            "from_the_left": str(int(digits[0][::-1], 2)),
            "ones_counted": str(digits[0].count("1")),
        }
    else:
        total = sum(int(one, 2) for one in digits)
        right = f"{total:b}"
        both = 0
        for one in digits:
            both ^= int(one, 2)
        places = sum(int(one) for one in digits)
        wrong = {"carry_lost": f"{both:b}", "as_decimals": str(places)}
        wrong["last_carry_lost"] = right[-max(map(len, digits)) :]
        if not set(wrong["as_decimals"]) - {"0", "1"}:
            wrong.pop("as_decimals")
    quote = '"{}"' if kind != "from" else "{}"
    return [Slip(n, left, quote.format(w)) for n, w in wrong.items() if w != right]
