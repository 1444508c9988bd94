"""Products of fractions, checked by undoing the operations, last first, from the answer back."""

import re
from fractions import Fraction
from math import gcd, lcm, prod
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.routes import Question, Step

_TERM = re.compile(r"([×÷]) (\d+)(?:/(\d+))?(?= |$)")
_SIDE = r"(\d+|\(\d+(?: × \d+)+\))"
_BAR = re.compile(rf"{_SIDE}/{_SIDE}")

PROOF_SIGNS = {"divide_back": " ÷ ", "multiply_back": " × "}


def start(question: Question) -> str:
    return question.slots["formula"]


def _terms(text: str) -> list[tuple[str, str]]:
    """Sign and number of each factor; ValueError when it is no such product."""
    found = [(m[1], m[0][2:]) for m in _TERM.finditer(f"× {text}")]
    if " ".join(f"{sign} {number}" for sign, number in found) != f"× {text}":
        raise ValueError(f"`{text}` is no product of fractions")
    return found


def answer_fault(question: Question, answer: str) -> str:
    left = Fraction(answer)
    if str(left) != answer:
        return f"{answer} is not in lowest terms, which is {left}"
    first, *rest = _terms(question.slots["formula"])
    for sign, number in reversed(rest):
        left = left / Fraction(number) if sign == "×" else left * Fraction(number)
    if left != Fraction(first[1]):
        return f"going back from {answer} leads to {left}, and not to {first[1]}"
    return ""


def _sides(text: str) -> tuple[list[int], list[int]]:
    """The numbers above and below one bar."""
    found = _BAR.fullmatch(text)
    if not found:
        raise ValueError(f"`{text}` has no single bar")
    above, below = ([int(n) for n in side.strip("()").split(" × ")] for side in found.groups())
    return above, below


LINK_RULES = ("flip", "one_bar", "cancel", "multiply_out")


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if rule == "flip":
        return _flip_fault(_terms(before), _terms(after), slots)
    if rule == "one_bar":
        terms = _terms(before)
        if any(sign == "÷" for sign, _ in terms):
            return "there still is a division"
        numbers = [number.partition("/") for _, number in terms]
        above = [int(top) for top, _, _ in numbers]
        below = [int(bottom) for _, _, bottom in numbers if bottom]
        return "" if _sides(after) == (above, below) else f"expected {above} above {below}"
    if rule == "cancel":
        return _cancel_fault(_sides(before), _sides(after), slots)
    if rule == "multiply_out":
        above, below = _sides(before)
        if gcd(prod(above), prod(below)) > 1:
            return "there still is a factor to cancel"
        right = Fraction(prod(above), prod(below))
        return "" if after == str(right) else f"expected `{right}`"
    return f"no rule {rule!r} here"


def _flip_fault(old: list[tuple[str, str]], new: list[tuple[str, str]], slots: Slots) -> str:
    changed = [n for n, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    if len(changed) != 1:
        return f"{len(changed)} factors changed, and not one"
    (sign, number), (other, flipped) = old[changed[0]], new[changed[0]]
    if (sign, other) != ("÷", "×") or str(1 / Fraction(number)) != flipped:
        return f"{sign} {number} became {other} {flipped}"
    right = {"divisor": number, "reciprocal": flipped}
    return "" if slots in ({}, right) else f"{slots} is said, and {right} is right"


def _cancel_fault(
    old: tuple[list[int], list[int]], new: tuple[list[int], list[int]], slots: Slots
) -> str:
    if slots:
        said = [int(slots["above"]), int(slots["below"])]
        factor = int(slots["factor"])
    else:  # told in short: the numbers that have changed
        said = [
            next((a for a, b in zip(x, y, strict=True) if a != b), 1)
            for x, y in zip(old, new, strict=True)
        ]
        factor = gcd(*said)
    if factor < 2 or gcd(*said) != factor:
        return f"{said[0]} and {said[1]} share {gcd(*said)}, and not {factor}"
    for numbers, others, number in zip(old, new, said, strict=True):
        pairs = [(a, b) for a, b in zip(numbers, others, strict=True) if a != b]
        if pairs != [(number, number // factor)]:
            return f"expected {number} to become {number // factor}, and found {pairs}"
    return ""


def proof_fault(question: Question, proof: str) -> str:
    """A proof is a single operation."""
    fits = re.fullmatch(r"[\d/]+ [×÷] [\d/]+ = [\d/]+", proof)
    return "" if fits else "this is not one operation that goes back"


def wrongs(question: Question) -> dict[str, Any]:
    terms = [(sign, Fraction(n), "/" not in n) for sign, n in _terms(question.slots["formula"])]
    numbers = [number for _, number, _ in terms]
    straight = prod(numbers, start=Fraction(1))
    if any(sign == "÷" for sign, _, _ in terms):
        found = {"no_flip": straight, "flip_all": 1 / straight}
        if len(numbers) == 2:
            found["wrong_flip"] = numbers[1] / numbers[0]
        return found
    found = {}
    whole = [number for _, number, plain in terms if plain]
    if whole:
        found["whole_twice"] = straight / prod(whole, start=Fraction(1))
    else:
        bottoms = [number.denominator for number in numbers]
        found["bottoms_added"] = Fraction(prod(n.numerator for n in numbers), sum(bottoms))
        found["common_kept"] = straight * lcm(*bottoms)
    if len(numbers) == 2:
        found["crosswise"] = numbers[0] / numbers[1]
    return found


def measure(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    terms = _terms(text)
    return {
        "factors": len(terms),
        "number": max(map(int, re.findall(r"\d+", text))),
        "divisions": text.count("÷"),
        "whole": sum("/" not in number for _, number in terms),
    }
