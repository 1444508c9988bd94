"""Linear equations in x, solved by doing the same to both sides."""

import re
from fractions import Fraction
from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step


class Side(NamedTuple):
    """Brackets `factor(x + shift)`, then `x` times x, then a number; all of it over `bar`."""

    brackets: tuple[tuple[int, int], ...]
    x: int
    number: int
    bar: int = 1


def _join(terms: list[tuple[int, str]]) -> str:
    """Terms as (sign, text without it)."""
    text = ""
    for sign, term in terms:
        if text:
            text += (" + " if sign > 0 else " - ") + term
        else:
            text = term if sign > 0 else f"-{term}"
    return text or "0"


def _x(times: int) -> str:
    return "x" if abs(times) == 1 else f"{abs(times)}x"


def _write(side: Side) -> str:
    terms = []
    for factor, shift in side.brackets:
        inside = _join([(1, "x"), (shift, str(abs(shift)))])
        terms.append((factor, f"{'' if abs(factor) == 1 else abs(factor)}({inside})"))
    if side.x:
        terms.append((side.x, _x(side.x)))
    if side.number or not terms:
        terms.append((side.number or 1, str(abs(side.number))))
    text = _join(terms)
    if side.bar == 1:
        return text
    return f"({text})/{side.bar}" if len(terms) > 1 else f"{text}/{side.bar}"


def _equation(left: Side, right: Side) -> str:
    return f"{_write(left)} = {_write(right)}"


def _sums(side: Side) -> tuple[int, int]:
    """The side as (times x, number), without its bar."""
    x, number = side.x, side.number
    for factor, shift in side.brackets:
        x, number = x + factor, number + factor * shift
    return x, number


def _fraction(value: Fraction) -> str:
    return str(value)


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    low, high = limits["number"]

    def some() -> int:
        value = dice.between(low, high)
        return value if dice.fraction() < 0.6 else -value

    while True:
        form = dice.pick(limits["form"])
        root = dice.between(*limits["root"])
        left, right = Side((), 1, 0), Side((), 0, 0)
        if form == "shift":
            left = Side((), 1, some())
        elif form == "scale":
            left = Side((), dice.between(2, 12), 0)
        elif form == "two_steps":
            left = Side((), dice.between(2, 9), some())
        elif form == "both_sides":
            left, right = Side((), dice.between(3, 12), some()), Side((), dice.between(2, 9), 0)
        elif form == "bracket":
            left = Side(((dice.between(2, 9), some()),), 0, 0)
        elif form == "bracket_and_x":
            left = Side(((dice.between(2, 7), some()),), 0, some())
            right = Side((), dice.between(2, 9), 0)
        elif form == "over":
            bar = dice.between(2, 9)
            left = Side((), 1, some(), bar)
            if (root + left.number) % bar:
                root += bar - (root + left.number) % bar
        elif form == "two_brackets":
            left = Side(((dice.between(2, 7), some()), (-dice.between(2, 6), some())), 0, 0)
        elif form == "brackets_both_sides":
            left = Side(((dice.between(2, 9), some()),), 0, some())
            right = Side(((dice.between(2, 6), some()),), 0, 0)
        elif form == "many_brackets":
            first, second = dice.between(2, 7), -dice.between(2, 6)
            left = Side(((first, some()), (second, some())), 0, some())
            x = dice.pick((0, 1)) * dice.between(2, 9)
            right = Side(((dice.between(2, 6), some()),), x, 0)
        (a, b), (c, d) = _sums(left), _sums(right)
        if a == c or (form != "over" and form != "shift" and abs(a) < 2):
            continue
        if "fraction" in limits["answer"]:
            # Any number on the right gives a solution; only its denominator decides.
            right = right._replace(number=dice.between(-high, high))
            solved = Fraction(right.number + d - b, a - c)
            if not 1 < solved.denominator <= 12 or abs(solved) > 12:
                continue
        else:
            number = Fraction((a - c) * root + b, left.bar) - d
            if number.denominator != 1:
                continue
            right = right._replace(number=int(number))
        low_plain, high_plain = limits["largest"]
        if not low_plain <= max(abs(right.number), abs(left.number)) <= high_plain:
            continue
        if form in ("many_brackets", "over") and not right.number:
            continue
        return Instance("plain", {"equation": _equation(left, right)}, (left, right))


def solve(instance: Instance) -> Solution:
    left, right = instance.given
    steps: list[Step] = []
    now = _equation(left, right)

    def move(rule: str, new_left: Side, new_right: Side, **slots: str) -> None:
        nonlocal left, right, now
        left, right = new_left, new_right
        before, now = now, _equation(left, right)
        steps.append(Step(rule, (before, now), slots, " → "))

    if left.bar > 1:
        bar = left.bar
        scaled = Side((), right.x * bar, right.number * bar)
        move("multiply_both", left._replace(bar=1), scaled, term=str(bar))
    if left.brackets or right.brackets:
        # First the brackets alone, with every term still there, then like terms together.
        spread_left, spread_right = _spread(left), _spread(right)
        before = now
        now = f"{spread_left} = {spread_right}"
        steps.append(Step("expand", (before, now), {}, " → "))
        left, right = Side((), *_sums(left)), Side((), *_sums(right))
        if _equation(left, right) != now:
            move("collect", left, right)
    if right.x:
        rule = "subtract_both" if right.x > 0 else "add_both"
        rest = Side((), left.x - right.x, left.number)
        move(rule, rest, Side((), 0, right.number), term=_x(right.x))
    if left.number:
        rule = "subtract_both" if left.number > 0 else "add_both"
        rest = Side((), 0, right.number - left.number)
        move(rule, Side((), left.x, 0), rest, term=str(abs(left.number)))
    answer = Fraction(right.number, left.x)
    if left.x != 1:
        before, now = now, f"x = {_fraction(answer)}"
        slots = {"term": str(left.x)}
        steps.append(Step("divide_both", (before, now), slots, " → "))
    return Solution(steps, now, ("substitute", {"proof": _put(instance, answer)}))


def _spread(side: Side) -> str:
    terms: list[tuple[int, str]] = []
    for factor, shift in side.brackets:
        terms += [(factor, _x(factor)), (factor * shift, str(abs(factor * shift)))]
    if side.x:
        terms.append((side.x, _x(side.x)))
    if side.number or not terms:
        terms.append((side.number or 1, str(abs(side.number))))
    return _join(terms)


def _put(instance: Instance, answer: Fraction) -> str:
    """The equation with the solution in the place of x."""
    text = _fraction(answer)
    value = f"({text})" if answer < 0 or answer.denominator > 1 else text
    put = re.sub(r"(\d)x", rf"\1 × {value}", instance.slots["equation"]).replace("x", value)
    return put.replace(f"({value} ", f"({text} ")  # the first number in brackets needs no more


def mistakes(instance: Instance) -> list[Slip]:
    left, right = instance.given
    bar = left.bar
    (a, b), (c, d) = _sums(left), _sums(right)
    c, d = c * bar, d * bar
    found: list[tuple[str, Fraction]] = []
    if b:
        found.append(("sign_kept", Fraction(d + b, a - c)))
    if c and a + c:
        found.append(("x_sign_kept", Fraction(d - b, a + c)))
    if abs(a - c) > 1:
        found.append(("subtracts_factor", Fraction(d - b - (a - c))))
    if left.brackets:
        first = left.brackets[0]
        less = first[0] * first[1] - first[1]
        found.append(("first_term_only", Fraction(d - (b - less), a - c)))
    if bar > 1:
        found.append(("bar_ignored", Fraction(d // bar - b, a - c)))
    return [Slip(name, "x", _fraction(value)) for name, value in found]
