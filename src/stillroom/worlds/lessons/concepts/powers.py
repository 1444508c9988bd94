"""Products and quotients of powers, made one power by the rules for exponents."""

from functools import cache
from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

_BASES = (2, 3, 5, 6, 7, 10, 11, 12)
_DISGUISED = {2: (2, 3, 4, 5), 3: (2, 3, 4), 5: (2, 3), 6: (2,), 7: (2,), 10: (2, 3)}
_LARGEST = 64  # no exponent is larger


class Term(NamedTuple):
    """base^exponent, or (base^inner)^exponent; `hidden` when base^inner is written as a number."""

    sign: str
    base: int
    inner: int
    exponent: int
    hidden: bool = False

    def text(self) -> str:
        if self.hidden:
            return f"{self.base**self.inner}^{self.exponent}"
        return _power(self.base, self.inner, self.exponent)


def _power(base: int, inner: int, exponent: int) -> str:
    return f"({base}^{inner})^{exponent}" if inner > 1 else f"{base}^{exponent}"


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    while True:
        kind = dice.pick(limits["kind"])
        count = dice.between(*limits["terms"])
        terms = _like(dice, limits, count) if kind == "like" else _same(dice, limits, kind, count)
        if terms:
            return Instance("plain", {"formula": _write(terms)}, terms)


def _like(dice: Dice, limits: dict[str, tuple[Any, ...]], count: int) -> list[Term]:
    """Powers of different bases with one exponent; nothing when no whole base comes out."""
    exponent = dice.between(*limits["exponent"])
    bases = [dice.between(*limits["base"])]
    signs = ["×"]
    result = bases[0]
    for _ in range(count - 1):
        base = dice.between(2, limits["base"][1])
        sign = "÷" if dice.fraction() < 0.5 else "×"
        if sign == "÷" and (result % base or result == base):
            return []
        result = result // base if sign == "÷" else result * base
        bases, signs = [*bases, base], [*signs, sign]
    # Powers of one number are another kind of question.
    if len(set(bases)) < count or result > 100 or len(set(map(_root, bases))) == 1:
        return []
    return [Term(sign, base, 1, exponent) for sign, base in zip(signs, bases, strict=True)]


@cache
def _root(number: int) -> int:
    """The smallest number that has this one among its powers."""
    for root in range(2, number):
        power = root
        while power < number:
            power *= root
        if power == number:
            return root
    return number


def _same(dice: Dice, limits: dict[str, tuple[Any, ...]], kind: str, count: int) -> list[Term]:
    """Powers of one base; nothing when an exponent is too small or too large."""
    low, high = limits["base"]
    base = dice.between(low, high) if low > 12 else dice.pick(_BASES)
    nested = min(count, 1 + (count > 2 and dice.fraction() < 0.4))
    odd = dice.some(range(count), nested) if kind in ("nested", "hidden") else []
    if kind == "hidden" and base not in _DISGUISED:
        return []
    terms: list[Term] = []
    total = 0
    for n in range(count):
        share = {"product": 0.0, "quotient": 1.0}.get(kind, 0.5)
        sign = "÷" if n and dice.fraction() < share else "×"
        if n in odd and kind == "hidden":
            inner = dice.pick(_DISGUISED[base])
            term = Term(sign, base, inner, dice.between(2, 6), True)
        elif n in odd:
            term = Term(sign, base, dice.between(2, 6), dice.between(2, 6))
        else:
            term = Term(sign, base, 1, dice.between(*limits["exponent"]))
        terms.append(term)
        total += term.inner * term.exponent * (1 if sign == "×" else -1)
        if total < 2 or total > _LARGEST or base**term.inner > 10**12:
            return []
    signs = {term.sign for term in terms[1:]}
    return [] if kind == "mixed" and len(signs) < 2 and count > 2 else terms


def _write(terms: list[Term]) -> str:
    return "".join(f" {term.sign} {term.text()}" for term in terms)[3:]


def _joined(terms: list[Term], numbers: list[int], signs: str) -> str:
    """Numbers with + for × and - for ÷ between them, or as the signs are."""
    text = str(numbers[0])
    for term, number in zip(terms[1:], numbers[1:], strict=True):
        text += f" {signs['×÷'.index(term.sign)]} {number}"
    return text


def _result(terms: list[Term]) -> tuple[int, int]:
    """Base and exponent of the whole."""
    first = terms[0]
    if len({term.base for term in terms}) > 1:
        base = first.base
        for term in terms[1:]:
            base = base * term.base if term.sign == "×" else base // term.base
        return base, first.exponent
    total = 0
    for term in terms:
        total += term.inner * term.exponent * (1 if term.sign == "×" else -1)
    return first.base, total


def solve(instance: Instance) -> Solution:
    terms: list[Term] = list(instance.given)
    steps, before = [], _write(terms)

    def step(rule: str, after: str, **slots: str) -> None:
        nonlocal before
        steps.append(Step(rule, (f"{before} = {after}",), slots))
        before = after

    base, exponent = _result(terms)
    if any(term.base != terms[0].base for term in terms):
        bases = _joined(terms, [term.base for term in terms], "×÷")
        step("like", f"({bases})^{exponent}", exponent=str(exponent))
        step("bases", f"{base}^{exponent}")
    else:
        for n, term in enumerate(terms):
            if term.hidden:
                terms[n] = term._replace(hidden=False)
                number, power = str(base**term.inner), f"{base}^{term.inner}"
                step("disguise", _write(terms), number=number, power=power)
        for n, term in enumerate(terms):
            if term.inner > 1:
                product = f"{term.inner} × {term.exponent}"
                shown = [one.text() for one in terms]
                shown[n] = f"{base}^({product})"
                joined = "".join(f" {t.sign} {s}" for t, s in zip(terms, shown, strict=True))
                step("nested", joined[3:])
                terms[n] = term._replace(inner=1, exponent=term.inner * term.exponent)
                step("times", _write(terms), product=product)
        if len(terms) > 1:
            signs = {term.sign for term in terms[1:]}
            rule = "mixed" if len(signs) == 2 else "product" if "×" in signs else "quotient"
            sum_ = _joined(terms, [term.exponent for term in terms], "+-")
            step(rule, f"{base}^({sum_})")
            step("exponents", f"{base}^{exponent}", sum=sum_)
    return Solution(steps, before, _proof(instance.given, before))


def _proof(terms: list[Term], answer: str) -> tuple[str, dict[str, str]]:
    *rest, last = terms
    if not rest:
        factors = " × ".join([f"{last.base}^{last.inner}"] * last.exponent)
        return "written_out", {"proof": f"{factors} = {answer}"}
    base, exponent = _result(rest)
    left = f"{base}^{exponent}"
    if last.sign == "×":
        return "divide_back", {"proof": f"{answer} ÷ {last.text()} = {left}"}
    return "multiply_back", {"proof": f"{answer} × {last.text()} = {left}"}


def mistakes(instance: Instance) -> list[Slip]:
    terms: list[Term] = instance.given
    text = instance.slots["formula"]
    base, exponent = _result(terms)
    signs = {term.sign for term in terms[1:]}
    found: list[tuple[str, int, int]] = []
    like = any(term.base != base for term in terms) and len({t.base for t in terms}) > 1
    if like and signs == {"×"}:
        found.append(("like_added", base, exponent * len(terms)))
    elif like and len(terms) == 2:
        found.append(("like_subtracted", base, 0))
    elif not like and any(term.inner > 1 for term in terms):
        total = sum(
            (t.inner + t.exponent if t.inner > 1 else t.exponent) * (1 if t.sign == "×" else -1)
            for t in terms
        )
        if total > 0:
            found.append(("nested_added", base, total))
    elif not like and signs == {"×"}:
        product = 1
        for term in terms:
            product *= term.exponent
        found.append(("exponents_multiplied", base, product))
        found.append(("bases_multiplied", base ** len(terms), exponent))
    elif not like:
        found.append(("minus_forgotten", base, sum(term.exponent for term in terms)))
        if len(terms) == 2 and terms[0].exponent % terms[1].exponent == 0:
            found.append(("exponents_divided", base, terms[0].exponent // terms[1].exponent))
    slips = [Slip(name, text, f"{b}^{e}") for name, b, e in found if e <= _LARGEST and b <= 10**12]
    return [*slips, Slip("base_times_exponent", text, str(base * exponent))]
