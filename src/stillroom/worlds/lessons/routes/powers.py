"""Powers, checked by taking every base apart into primes and counting the primes on both sides."""

import re
from collections import Counter
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import Node, difference, evaluate
from stillroom.worlds.lessons.routes import Question, Step
from stillroom.worlds.lessons.routes.chains import side

_TERM = re.compile(r"([×÷]) (\d+|\((\d+)\^(\d+)\))\^(\d+|\([^()]+\))(?= |$)")
_ALL = ("disguise", "nested", "times", "product", "quotient", "mixed", "exponents", "like", "bases")
_RULES = {"×": "product", "÷": "quotient", "×÷": "mixed"}

PROOF_SIGNS = {"divide_back": " ÷ ", "multiply_back": " × ", "written_out": " × "}


def start(question: Question) -> str:
    return question.slots["formula"]


@lru_cache(maxsize=5000)
def _factored(number: int) -> tuple[tuple[int, int], ...]:
    """The primes of a number with their exponents, by trial division."""
    found: Counter[int] = Counter()
    prime = 2
    while number > 1:
        while number % prime == 0:
            found[prime] += 1
            number //= prime
        prime = prime + 1 if prime * prime <= number else max(number, 2)
    return tuple(sorted(found.items()))


def _primes(node: Node, times: int = 1) -> Counter[int]:
    """How often each prime is a factor of a product of powers; below the bar counts as minus."""
    head = node[0]
    if head == "num":
        return Counter({prime: n * times for prime, n in _factored(int(node[1]))})
    if head == "()":
        return _primes(node[1], times)
    if head == "^":
        inside = node[2][1] if node[2][0] == "()" else node[2]
        return _primes(node[1], times * _whole(inside))
    if head in ("×", "÷"):
        found = _primes(node[1], times)
        for prime, n in _primes(node[2], times if head == "×" else -times).items():
            found[prime] += n
        return found
    raise ValueError(f"{head!r} has no place in a product of powers")


def _whole(node: Node) -> int:
    if node[0] == "num":
        return int(node[1])
    left, right = _whole(node[1]), _whole(node[2])
    return {"+": left + right, "-": left - right, "×": left * right}[str(node[0])]


@lru_cache(maxsize=5000)
def _counted(text: str) -> dict[int, int]:
    return {prime: n for prime, n in _primes(side(text)).items() if n}


def _terms(text: str) -> list[tuple[str, str, str]]:
    """Sign, base and exponent of each power, the base perhaps a power in brackets."""
    found = [(m[1], m[2], m[5]) for m in _TERM.finditer(f"× {text}")]
    if " ".join(f"{sign} {base}^{exponent}" for sign, base, exponent in found) != f"× {text}":
        raise ValueError(f"`{text}` is no product of powers")
    return found


def answer_fault(question: Question, answer: str) -> str:
    formula = question.slots["formula"]
    base, _, exponent = answer.partition("^")
    if not (base.isdigit() and exponent.isdigit() and int(exponent) > 1):
        return f"`{answer}` is not one power"
    if _counted(answer) != _counted(formula):
        return f"`{answer}` has other prime factors than `{formula}`: {_counted(formula)}"
    terms = _terms(formula)
    bases = {int(term.strip("()").partition("^")[0]) for _, term, _ in terms}
    if len(set(map(_root, bases))) == 1:
        return "" if int(base) == min(bases) else f"the base is {min(bases)}"
    same = {exponent for _, _, exponent in terms}
    return "" if same == {exponent} else f"the exponent is {same}"


def _root(number: int) -> tuple[tuple[int, Fraction], ...]:
    """What all powers of one number have in common: their primes in the same proportions."""
    factors = _factored(number)
    return tuple((prime, Fraction(n, factors[0][1])) for prime, n in factors)


LINK_RULES = tuple(_ALL)


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if _counted(before) != _counted(after):
        return f"`{after}` has other prime factors than `{before}`"
    if rule in _RULES.values():
        terms = _terms(before)
        signs = "".join(sorted({sign for sign, _, _ in terms[1:]}))
        if _RULES.get(signs) != rule:
            return f"what was done is {_RULES.get(signs)!r}, and not {rule!r}"
        text = "".join(f" {'+-'['×÷'.index(s)]} {e}" for s, _, e in terms)[3:]
        same = len({base for _, base, _ in terms}) == 1 and "(" not in before
        expected = f"{terms[0][1]}^({text})"
        return "" if same and after == expected else f"expected `{expected}`"
    if rule == "like":
        terms = _terms(before)
        text = "".join(f" {sign} {base}" for sign, base, _ in terms)[3:]
        expected = f"({text})^{terms[0][2]}"
        exponents = {exponent for _, _, exponent in terms}
        if exponents != {slots.get("exponent", terms[0][2])}:
            return f"the exponents are {exponents}"
        return "" if after == expected else f"expected `{expected}`"
    found = difference(side(before), side(after))
    if found is None:
        return "nothing changed"
    old, new, _ = found
    return _part_fault(rule, old, new, slots, before)


def _part_fault(rule: str, old: Node, new: Node, slots: Slots, before: str) -> str:
    """The rules that change one part of the formula."""
    if rule == "disguise":
        fits = old[0] == "num" and new[0] == "()" and new[1][0] == "^"
        if slots:
            fits = (old, new) == (("num", slots["number"]), ("()", side(slots["power"])))
        return "" if fits else f"`{before}`: no number became a power"
    if rule == "nested":
        fits = old[0] == new[0] == "^" and old[1][0] == "()" and old[1][1][0] == "^"
        product = ("()", ("×", old[1][1][2], old[2])) if fits else None
        fits = fits and new == ("^", old[1][1][1], product)
        return "" if fits else "this is not a power of a power made one"
    if rule in ("times", "exponents"):
        said = slots.get("product" if rule == "times" else "sum")
        fits = old[0] in ("×" if rule == "times" else "+-") and new[0] == "num"
        fits = fits and evaluate(old) == evaluate(new) and (said is None or side(said) == old)
        return "" if fits else f"`{said}` is not what was worked out in the exponent"
    if rule == "bases":
        inside = re.search(r"\((.+)\)\^\d+$", before)
        fits = inside is not None and old == side(inside[1]) and new[0] == "num"
        return "" if fits else "this is not the base worked out"
    return f"no rule {rule!r} here"


def proof_fault(question: Question, proof: str) -> str:
    """A proof is one statement that does not begin with the question again."""
    again = proof.count(" = ") != 1 or question.slots.get("formula", proof + "?") in proof
    return "this repeats the steps" if again else ""


def wrongs(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    terms = _terms(text)
    signs = {sign for sign, _, _ in terms[1:]}
    bases = [base.strip("()").partition("^") for _, base, _ in terms]
    least = min(int(base) for base, _, _ in bases)
    found: dict[str, Any] = {}
    counted = _counted(text)
    if len({_root(int(base)) for base, _, _ in bases}) > 1:
        exponent = int(terms[0][2])
        least = int(prod(Fraction(p) ** Fraction(n, exponent) for p, n in counted.items()))
        if signs == {"×"}:
            found["like_added"] = least ** (exponent * len(terms))
        elif len(terms) == 2:
            found["like_subtracted"] = 1
        return found | {"base_times_exponent": least * exponent}
    unit = dict(_factored(least))
    whole = next(n // unit[prime] for prime, n in counted.items())
    inner = [
        int(up or 1) * dict(_factored(int(b))).get(p, 0) // unit[p]
        for b, _, up in bases
        for p in [next(iter(unit))]
    ]
    outer = [int(exponent) for _, _, exponent in terms]
    turns = [1 if sign == "×" else -1 for sign, _, _ in terms]
    found["base_times_exponent"] = least * whole
    if max(inner) > 1:
        sums = [(a + b if a > 1 else b) * t for a, b, t in zip(inner, outer, turns, strict=True)]
        ways = {"nested_added": (least, sum(sums))}
    elif signs == {"×"}:
        ways = {
            "exponents_multiplied": (least, prod(outer)),
            "bases_multiplied": (least ** len(terms), whole),
        }
    else:
        ways = {"minus_forgotten": (least, sum(outer))}
        if len(outer) == 2 and outer[0] % outer[1] == 0:
            ways["exponents_divided"] = (least, outer[0] // outer[1])
    return found | {name: base**up for name, (base, up) in ways.items() if 0 < up <= 64}


def measure(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    terms = _terms(text)
    bases = [base.strip("()").partition("^") for _, base, _ in terms]
    numbers = [int(base) for base, _, _ in bases]
    signs = {sign for sign, _, _ in terms[1:]}
    kind = "mixed" if len(signs) == 2 else "product" if "×" in signs else "quotient"
    if any(up for _, _, up in bases):
        kind = "nested"
    elif len({_root(number) for number in numbers}) > 1:
        kind = "like"
    elif len(set(numbers)) > 1:
        kind = "hidden"
    ups = [int(one) for one in re.findall(r"\^(\d+)", text)]
    return {"terms": len(terms), "kind": kind, "base": max(numbers), "exponent": max(ups)}
