"""Prime factors, checked by multiplying back and by a sieve that knows the primes."""

import re
from functools import cache
from math import prod
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.routes import Question, Step

PROOF_SIGNS = {"powers": " = ", "back": " × "}

_QUESTION = re.compile(r"\d+(?: × \d+)?")
_PRODUCT = re.compile(r"\d+(?: × \d+)*")
_POWERS = re.compile(r"\d+(?:\^\d+)?(?: × \d+(?:\^\d+)?)*")
_LIMIT = 100_000


def start(question: Question) -> str:
    return question.slots["formula"]


@cache
def _sieve() -> bytearray:
    """The sieve of Eratosthenes: at each place whether the number is prime."""
    found = bytearray([1]) * (_LIMIT + 1)
    found[0] = found[1] = 0
    for n in range(2, int(_LIMIT**0.5) + 1):
        if found[n]:
            found[n * n :: n] = bytes(len(found[n * n :: n]))
    return found


def _is_prime(number: int) -> bool:
    if number > _LIMIT:
        raise ValueError(f"{number} is larger than the sieve")
    return bool(_sieve()[number])


def _factors(text: str) -> list[int]:
    if not _PRODUCT.fullmatch(text):
        raise ValueError(f"`{text}` is no product of whole numbers")
    return [int(part) for part in text.split(" × ")]


def _powers(text: str) -> list[tuple[int, int]]:
    if not _POWERS.fullmatch(text):
        raise ValueError(f"`{text}` is no product of powers")
    parts = [part.partition("^") for part in text.split(" × ")]
    return [(int(base), int(exponent or 1)) for base, _, exponent in parts]


def _given(question: Question) -> list[int]:
    text = question.slots["formula"]
    numbers = _factors(text)
    if not _QUESTION.fullmatch(text) or (len(numbers) == 2) != (question.family == "product"):
        raise ValueError(f"`{text}` is no question of this kind")
    return numbers


def answer_fault(question: Question, answer: str) -> str:
    number, powers = prod(_given(question)), _powers(answer)
    bases = [base for base, _ in powers]
    if bases != sorted(set(bases)):
        return f"the primes of `{answer}` are to be in order, each once"
    for base in bases:
        if not _is_prime(base):
            return f"{base} is not prime"
    value = prod(base**exponent for base, exponent in powers)
    if value != number:
        return f"`{answer}` is {value}, and not {number}"
    short = " × ".join(f"{b}^{n}" if n > 1 else str(b) for b, n in powers)
    return "" if answer == short else f"expected `{short}`"


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    old = _factors(before)
    if rule == "split":
        new = _factors(after)
        place = next(i for i, factor in enumerate(old) if not _is_prime(factor))
        prime, rest = new[place], old[place]
        if new != [*old[:place], prime, rest // prime, *old[place + 1 :]]:
            return f"the first number that is not prime is {rest}"
        if not _is_prime(prime) or any(
            rest % smaller == 0 for smaller in range(2, prime) if _is_prime(smaller)
        ):
            return f"{prime} is not the smallest prime of {rest}"
        if slots and (slots.get("prime", str(prime)), slots.get("rest", str(rest))) != (
            str(prime),
            str(rest),
        ):
            return f"the words do not name {prime} and {rest}"
        return ""
    if not all(map(_is_prime, old)):
        return f"`{before}` is not taken apart yet"
    if rule == "order":
        return "" if _factors(after) == sorted(old) else "the primes are not in order"
    if rule == "gather":
        if old != sorted(old):
            return "the primes are to be put in order first"
        counts = [(base, old.count(base)) for base in dict.fromkeys(old)]
        return "" if _powers(after) == counts else f"the powers are {counts}"
    return f"no rule {rule!r} here"


def link_fault(question: Question, step: Step) -> str:
    """A step told in short has to be what one rule does; its first part says which."""
    factors = _factors(step["before"])
    rule = "gather" if factors == sorted(factors) else "order"
    if not all(map(_is_prime, factors)):
        rule = "split"
    return step_fault(question, {**step, "rule": rule}, {})


def _exponents(number: int) -> list[tuple[int, int]]:
    """The primes of a number with their exponents, by the sieve's list of primes."""
    found, prime = [], 2
    while number > 1:
        if number <= _LIMIT and _is_prime(number):
            prime = number
        count = 0
        while number % prime == 0:
            number, count = number // prime, count + 1
        if count:
            found.append((prime, count))
        prime += 1
    return found


def wrongs(question: Question) -> dict[str, Any]:
    given = _given(question)
    powers = _exponents(prod(given))
    top = max(n for _, n in powers)
    found = {
        "each_once": prod(p for p, _ in powers),
        "times_for_power": prod(p * n for p, n in powers),
        "added": sum(p * n for p, n in powers),
        "one_exponent": prod(p for p, _ in powers) ** top,
    }
    if len(given) == 2:
        return found | {"first_only": given[0]}
    return found | {"last_forgotten": given[0] // powers[-1][0]}


def measure(question: Question) -> dict[str, Any]:
    given = _given(question)
    powers = _exponents(prod(given))
    return {
        "kind": question.family if question.family == "product" else "number",
        "number": prod(given),
        "factors": sum(n for _, n in powers),
        "largest": powers[-1][0],
    }
