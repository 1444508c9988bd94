"""Common divisors and multiples, checked by the exponents of the numbers' primes."""

import re
from collections import Counter
from fractions import Fraction
from functools import lru_cache, reduce
from math import floor, prod
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.routes import Question, Step

PROOF_SIGNS = {"divided": " × gcd(", "multiples": " ÷ "}

_PAIR = re.compile(r"gcd\((\d+), (\d+)\)")
_MOD = re.compile(r"(\d+) mod (\d+)")
_FORMULA = re.compile(r"lcm\(\d+, \d+\)|(?:gcd\()+\d+(?:, \d+\))+")
_LEAST = ("least", "meeting")


def _numbers(question: Question) -> list[int]:
    text = question.slots.get("formula")
    if text is not None:
        if not _FORMULA.fullmatch(text) or ("lcm" in text) != (question.family in _LEAST):
            raise ValueError(f"`{text}` is no question of this kind")
        numbers = [int(number) for number in re.findall(r"\d+", text)]
        if (len(numbers) > 2) != (question.family == "several"):
            raise ValueError(f"`{text}` has {len(numbers)} numbers")
        return numbers
    return [int(question.slots[f"number{n}"]) for n in range(1, len(question.slots) + 1)]


def start(question: Question) -> str:
    if "formula" in question.slots:
        return question.slots["formula"]
    numbers = _numbers(question)
    if question.family in _LEAST:
        return f"lcm({numbers[0]}, {numbers[1]})"
    return "gcd(" * (len(numbers) - 1) + str(numbers[0]) + "".join(f", {n})" for n in numbers[1:])


@lru_cache(maxsize=4_000)
def _primes(number: int) -> Counter[int]:
    """How often each prime divides a number."""
    found: Counter[int] = Counter()
    prime = 2
    while prime * prime <= number:
        while number % prime == 0:
            found[prime] += 1
            number //= prime
        prime += 1
    if number > 1:
        found[number] += 1
    return found


def _shared(numbers: list[int]) -> int:
    """The smallest exponent of each prime."""
    exponents = reduce(lambda a, b: a & b, map(_primes, numbers))
    return prod(prime**exponent for prime, exponent in exponents.items())


def _multiple(numbers: list[int]) -> int:
    """The largest exponent of each prime."""
    exponents = reduce(lambda a, b: a | b, map(_primes, numbers))
    return prod(prime**exponent for prime, exponent in exponents.items())


def answer_fault(question: Question, answer: str) -> str:
    numbers = _numbers(question)
    least = question.family in _LEAST
    right = _multiple(numbers) if least else _shared(numbers)
    what = "least common multiple" if least else "greatest common divisor"
    return "" if answer == str(right) else f"the {what} is {right}, and not {answer}"


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if rule == "through_gcd":
        a, b = _numbers(question)
        expected = f"{a} ÷ gcd({a}, {b}) × {b}"
        return "" if after == expected else f"expected `{expected}`"
    if rule in ("swap", "divides"):
        pair = _PAIR.search(before)
        if not pair:
            return f"`{before}` has no two numbers to compare"
        small, large = sorted(map(int, pair.groups()))
        if slots and (slots.get("large", str(large)), slots.get("small", str(small))) != (
            str(large),
            str(small),
        ):
            return f"the words do not name {large} and {small}"
        evenly = large // small * small == large
        if evenly != (rule == "divides"):
            return f"{small} {'divides' if evenly else 'does not divide'} {large}"
        new = str(small) if evenly else f"gcd({small}, {large} mod {small})"
        expected = before.replace(pair[0], new)
        return "" if after == expected else f"expected `{expected}`"
    if rule == "rest":
        found = _MOD.search(before)
        if not found:
            return f"`{before}` has no remainder to work out"
        large, small = int(found[1]), int(found[2])
        expected = before.replace(found[0], str(large - large // small * small))
        return "" if after == expected else f"expected `{expected}`"
    parts = re.fullmatch(
        r"(\d+) ÷ (\d+) × (\d+)" if rule == "quotient" else r"(\d+) × (\d+)", before
    )
    if rule not in ("quotient", "product") or not parts:
        return f"{rule!r} is not what `{before}` asks for"
    numbers = [int(part) for part in parts.groups()]
    expected = str(numbers[0] * numbers[1])
    if rule == "quotient":
        expected = f"{Fraction(numbers[0], numbers[1])} × {numbers[2]}"
    return "" if after == expected else f"expected `{expected}`"


def link_fault(question: Question, step: Step) -> str:
    """A step told in short has to be what one rule does; its first part says which."""
    before = step["before"]
    pair = _PAIR.search(before)
    if before.startswith("lcm"):
        rule = "through_gcd"
    elif _MOD.search(before):
        rule = "rest"
    elif pair:
        small, large = sorted(map(int, pair.groups()))
        rule = "divides" if Fraction(large, small).denominator == 1 else "swap"
    else:
        rule = "quotient" if "÷" in before else "product"
    return step_fault(question, {**step, "rule": rule}, {})


def proof_fault(question: Question, proof: str) -> str:
    """The proof takes the answer out of every number, or every number out of the answer."""
    numbers = _numbers(question)
    if question.family in _LEAST:
        least = _multiple(numbers)
        expected = f"gcd({least} ÷ {numbers[0]}, {least} ÷ {numbers[1]}) = 1"
    else:
        shared = _shared(numbers)
        inside = str(numbers[0] // shared)
        for number in numbers[1:]:
            inside = f"gcd({inside}, {number // shared})"
        expected = f"{shared} × {inside} = {shared}"
    return "" if proof == expected else f"expected `{expected}`"


def _quotients(first: int, second: int) -> list[int]:
    """The continued fraction of the larger number by the smaller."""
    left, found = Fraction(max(first, second), min(first, second)), list[int]()
    while True:
        found.append(floor(left))
        if left == found[-1]:
            return found
        left = 1 / (left - found[-1])


def wrongs(question: Question) -> dict[str, Any]:
    numbers = _numbers(question)
    shared = _shared(numbers)
    if question.family in _LEAST:
        whole = {"product": prod(numbers), "larger_number": max(numbers)}
        return {**whole, "greatest_instead": shared}
    found = {"smaller_number": min(numbers), "least_instead": _multiple(numbers)}
    if shared > 1:
        found["one_prime"] = min(_primes(shared))
    if len(numbers) > 2:
        found["first_two"] = _shared(numbers[:2])
    else:
        found["early_stop"] = shared * _quotients(*numbers)[-1]
    return found


def measure(question: Question) -> dict[str, Any]:
    numbers = _numbers(question)
    rounds = 0
    for n, number in enumerate(numbers[1:], 1):
        rounds += len(_quotients(_shared(numbers[:n]), number)) - 1
    kind = "lcm" if question.family in _LEAST else "gcd" if len(numbers) == 2 else "several"
    return {
        "kind": kind,
        "terms": len(numbers),
        "numbers": (min(numbers), max(numbers)),
        "rounds": rounds,
    }
