"""Remainders of sums, products and powers, every number being reduced as soon as it can be."""

from math import prod
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Factor = tuple[int, int]  # base and exponent
Terms = list[list[Factor]]  # a sum of products
_WORDS = {"weekday": "number", "clock": "sum", "heaps": "sum", "boxes": "product"}
_WORDS |= {"repeats": "product"}
_PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31)


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    kind = dice.pick(limits["kind"])
    low, high = limits["numbers"]
    powers = kind in ("power", "powers")
    modulus = dice.between(*limits["modulus"])
    if kind in ("weekday", "repeats", "clock"):
        modulus = 24 if kind == "clock" else 7
    elif powers:
        allowed = limits["modulus"]
        modulus = dice.pick([p for p in _PRIMES if allowed[0] <= p <= allowed[1]])
    count = 2 if kind in _WORDS else dice.between(*limits["operands"])
    if kind in ("number", "weekday", "power"):
        count = 1
    elif kind == "mixed":
        count = 3
    numbers: list[Factor] = []
    while len(numbers) < count:
        base = dice.between(low, high)
        if kind == "clock" and not numbers:
            base = dice.between(1, 23)
        exponent = 1
        if powers and (len(numbers) % 2 == 0 or dice.fraction() < 0.5):
            exponent = dice.between(*limits["exponent"])
        if base % modulus and base > 1:
            numbers.append((base, exponent))
    if kind == "mixed" or (kind == "powers" and count > 1):
        terms, at = [], 0
        while at < count:
            size = dice.between(1, 2) if at or kind == "powers" else 2
            terms.append(numbers[at : at + size])
            at += size
    elif _WORDS.get(kind, kind) in ("sum", "number", "power"):
        terms = [[number] for number in numbers]
    else:
        terms = [numbers]
    if kind not in _WORDS:
        return Instance("plain", {"formula": _write(terms, modulus)}, (kind, terms, modulus, ""))
    plain = [base for base, _ in numbers]
    if kind in ("heaps", "boxes"):
        plain.append(modulus)
    slots = {f"number{n}": str(number) for n, number in enumerate(plain, 1)}
    day = ""
    if modulus == 7 and kind in ("weekday", "repeats"):
        day = slots["day"] = dice.pick(content.data["words"]["day"])
    return Instance(kind, slots, (kind, terms, modulus, day))


def _inside(terms: Terms) -> str:
    return " + ".join(
        " × ".join(f"{base}^{n}" if n > 1 else str(base) for base, n in term) for term in terms
    )


def _write(terms: Terms, modulus: int) -> str:
    text = _inside(terms)
    lone = len(terms) == len(terms[0]) == 1
    return f"{text} mod {modulus}" if lone else f"({text}) mod {modulus}"


def _reduced(terms: Terms, modulus: int) -> tuple[str, Terms, dict[str, str]] | None:
    """The next step that makes the expression smaller: its rule, what comes, its slots."""
    lone = len(terms) == len(terms[0]) == 1
    new = [list(term) for term in terms]
    for i, term in enumerate(terms):
        for j, (base, n) in enumerate(term):
            if base >= modulus and not (lone and n == 1):
                new[i][j] = (base % modulus, n)
                rest = f"{base} mod {modulus} = {base % modulus}"
                return "replace", new, {"number": str(base), "rest": rest}
    for i, term in enumerate(terms):
        if len(term) > 1 and term[0][1] == term[1][1] == 1:
            new[i][:2] = [(term[0][0] * term[1][0], 1)]
            return "multiply", new, {}
        for j, (base, n) in enumerate(term):
            if n > 1 and base == 1:
                new[i][j] = (1, 1)
                return "one", new, {}
            if n > 1 and n % 2 == 0:
                new[i][j] = (base * base, n // 2)
                return "square", new, {"base": str(base)}
            if n > 1:
                new[i][j : j + 1] = [(base, 1), (base, n - 1)]
                return "split_off", new, {"base": str(base)}
    if len(terms) > 1:
        return "add", [[(sum(term[0][0] for term in terms), 1)]], {}
    return None


def _total(terms: Terms) -> int:
    return sum(prod(base**n for base, n in term) for term in terms)


def _week(day: str, days: list[str]) -> str:
    at = days.index(day)
    return "[" + ", ".join(f'"{one}"' for one in days[at:] + days[:at]) + "]"


_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def solve(instance: Instance) -> Solution:
    _, terms, modulus, day = instance.given
    total = _total(terms)
    before, steps = _write(terms, modulus), []
    whole = terms
    while found := _reduced(terms, modulus):
        rule, terms, slots = found
        after = _write(terms, modulus)
        steps.append(Step(rule, (f"{before} = {after}",), slots))
        before = after
    last = terms[0][0][0]
    rest = last % modulus
    if last >= 3 * modulus:
        after = f"({last // modulus} × {modulus} + {rest}) mod {modulus}"
        steps.append(Step("multiples", (f"{before} = {after}",), {"modulus": str(modulus)}))
        steps.append(Step("drop", (f"{after} = {rest}",)))
    else:
        steps.append(Step("below" if last < modulus else "last", (f"{before} = {rest}",)))
    if day:
        week = _week(day, _DAYS)
        answer = f'"{_DAYS[(_DAYS.index(day) + rest) % 7]}"'
        steps.append(Step("name", (f"{week}[{rest}] = {answer}",), {"day": f'"{day}"'}))
        proof = f"{total // 7} × 7 + place({week}, {answer}) - 1 = {_inside(whole)}"
        return Solution(steps, answer, ("week", {"proof": proof}))
    if any(n > 1 for term in whole for _, n in term):
        proof = f"({_inside(whole)} - {rest}) mod {modulus} = 0"
        return Solution(steps, str(rest), ("taken", {"proof": proof}))
    proof = f"{total // modulus} × {modulus} + {rest} = {_inside(whole)}"
    return Solution(steps, str(rest), ("whole", {"proof": proof}))


def mistakes(instance: Instance) -> list[Slip]:
    kind, terms, modulus, day = instance.given
    total = _total(terms)
    right = total % modulus
    wrong: dict[str, int] = {}
    if day or kind == "clock":
        wrong["counted_start"] = (total - 1) % modulus
    if day:
        wrong["counted_too_far"] = (total + 1) % modulus
        at = _DAYS.index(day)
        left = f'"{_DAYS[(at + right) % 7]}"'
        return [Slip(k, left, f'"{_DAYS[(at + n) % 7]}"') for k, n in wrong.items()]
    left = instance.slots.get("formula", str(right))
    if any(n > 1 for term in terms for _, n in term):
        wrong["exponent_reduced"] = (
            _total([[(base, n % modulus) for base, n in term] for term in terms]) % modulus
        )
        wrong["times_exponent"] = (
            _total([[(base * n, 1) for base, n in term] for term in terms]) % modulus
        )
    else:
        wrong["last_digit"] = total % 10 % modulus
        wrong["quotient"] = total // modulus
        if len(terms) > 1 or len(terms[0]) > 1:
            wrong["not_again"] = _total([[(b % modulus, n) for b, n in term] for term in terms])
        if total >= 2 * modulus:
            wrong["one_round"] = total - modulus
    return [Slip(name, left, str(value)) for name, value in wrong.items() if value != right]
