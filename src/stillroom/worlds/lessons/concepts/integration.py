"""Integrals of polynomials, told by the rules that SymPy's manual integration finds."""

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

_LONGEST = 6  # rules, one inside the other, that one term may take


class Term(NamedTuple):
    """times × (a x + b)^exponent; plain powers of x have a = 1 and b = 0."""

    times: Fraction
    exponent: int
    a: int = 1
    b: int = 0


@cache
def _shape(times: bool, power: bool, brackets: bool) -> tuple[str, ...]:
    """SymPy's rules for c, [c] x^n or [c] (a x + b)^n, outermost first.

    The numbers stay letters, so that SymPy is asked only once for each of these few shapes.
    Raises ValueError where SymPy knows no short way.
    """
    if times and brackets:  # a factor is found without the brackets, which are slow
        factor = [one for one in _shape(True, True, False) if one == "factor"]
        return (*factor, *_shape(False, True, True))
    from sympy import Symbol
    from sympy.integrals import manualintegrate as sympy

    x, n = Symbol("x"), Symbol("n", positive=True, integer=True)
    a, b, c = (Symbol(name, positive=True) for name in "abc")
    part = (a * x + b if brackets else x) ** n if power else 1
    rule: Any = sympy.integral_steps(c * part if times or not power else part, x)
    found: list[str] = []
    while len(found) < _LONGEST:
        if isinstance(rule, sympy.PiecewiseRule):
            rule = rule.subfunctions[0][0]
        if isinstance(rule, sympy.URule):
            found.append("substitute")
            rule = rule.substep
        elif isinstance(rule, sympy.ConstantTimesRule) and rule.constant == 1 / a:
            rule = rule.substep  # what the substitution brought
        elif isinstance(rule, sympy.ConstantTimesRule) and rule.constant == c:
            found.append("factor")
            rule = rule.substep
        elif isinstance(rule, sympy.PowerRule) and rule.exp == n:
            return (*found, "power")
        elif isinstance(rule, sympy.ConstantRule):
            return (*found, "number")
        else:
            break
    raise ValueError("no short way to integrate this")


@cache
def _rules(times: int, exponent: int, a: int) -> tuple[tuple[str, Fraction], ...]:
    """The rules for times × (a x + b)^exponent, each with its number."""
    numbers = {
        "factor": Fraction(times),
        "power": Fraction(exponent),
        "number": Fraction(times),
        "substitute": Fraction(1, a),
    }
    return tuple((rule, numbers[rule]) for rule in _shape(times != 1, exponent > 0, a != 1))


def _join(parts: list[tuple[Any, str]]) -> str:
    text = "".join(f" {'+' if sign > 0 else '-'} {part}" for sign, part in parts)
    return text[3:] if text.startswith(" +") else f"-{text[3:]}"


def _number(value: Fraction) -> str:
    return f"{value}" if value.denominator == 1 else f"({value})"


def _letter(term: Term) -> str:
    """The term without its factor."""
    if term.exponent == 0:
        return ""
    base = "x" if (term.a, term.b) == (1, 0) else f"({_inside(term, 'x')})"
    return base if term.exponent == 1 else f"{base}^{term.exponent}"


def _inside(term: Term, x: str) -> str:
    first = x if term.a == 1 else f"{term.a}x" if x == "x" else f"{term.a} × {x}"
    return f"{first} {'+' if term.b > 0 else '-'} {abs(term.b)}"


def _one(term: Term) -> str:
    """The term without its sign."""
    size, letter = abs(term.times), _letter(term)
    return str(size) if not letter else f"{'' if size == 1 else _number(size)}{letter}"


def _write(terms: list[Term]) -> str:
    return _join([(term.times, _one(term)) for term in terms])


def _raised(term: Term) -> Term:
    """The antiderivative of a term, by the numbers of its rules."""
    factor, exponent = Fraction(1), 0
    for rule, number in _rules(int(abs(term.times)), term.exponent, term.a):
        if rule in ("factor", "substitute", "number"):
            factor *= number
        if rule == "power":
            exponent = int(number)
    sign = 1 if term.times > 0 else -1
    return term._replace(times=sign * factor / (exponent + 1), exponent=exponent + 1)


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    low, high = limits["largest"]
    while True:
        form = dice.pick(limits["form"])
        count, degree = dice.between(*limits["terms"]), dice.between(*limits["degree"])
        powers = {"power": 1, "power_sum": 1, "powers": 2}.get(form, 0)
        terms = [_power(dice, degree - n, n) for n in range(powers)]
        count -= 2 * powers
        if count:
            top = degree if not powers else max(count - 1, 2)
            whole = limits["result"][0] == "whole"
            terms += _polynomial(dice, count, top, low, high, whole)
        inner = _write(terms)
        sizes = [int(abs(term.times)) for term in terms]
        if max(sizes) > high or (max(sizes) < low and not powers) or sizes[0] < 1:
            continue
        results = [_raised(term).times.denominator == 1 for term in terms]
        if ("whole" if all(results) else "fraction") not in limits["result"]:
            continue
        ends = None
        text = f"I({inner})"
        if form == "definite":
            start = dice.between(*limits["lower"])
            ends = start, start + dice.between(2, 5)
            text = f"I({inner}, {ends[0]}, {ends[1]})"
        return Instance("definite" if ends else "open", {"formula": text}, (terms, ends))


def _power(dice: Dice, exponent: int, place: int) -> Term:
    sign = dice.pick((1, -1)) if place else 1
    a, b = dice.between(2, 6), dice.pick((1, -1)) * dice.between(1, 9)
    return Term(Fraction(sign * dice.between(1, 12)), max(2, exponent), a, b)


def _polynomial(
    dice: Dice, count: int, degree: int, low: int, high: int, whole: bool
) -> list[Term]:
    places = sorted([degree, *dice.some(range(degree), min(count - 1, degree))], reverse=True)
    found: list[Term] = []
    for n in places:
        unit = n + 1 if whole else 1
        times = unit * dice.between(max(1, -(-low // unit)), max(1, min(high // unit, max(9, low))))
        sign = dice.pick((1, 1, -1)) if found else 1
        found.append(Term(Fraction(sign * times), n))
    return found


def solve(instance: Instance) -> Solution:
    terms, ends = instance.given
    inner = _write(terms)
    steps: list[Step] = []
    now = f"I({inner})"

    def step(rule: str, after: str) -> None:
        nonlocal now
        if after != now:
            steps.append(Step(rule, (f"{now} = {after}",)))
        now = after

    rules = [_rules(int(abs(term.times)), term.exponent, term.a) for term in terms]
    texts = [f"I({_one(term)})" for term in terms]

    def now_is(rule: str) -> None:
        step(rule, _join([(term.times, text) for term, text in zip(terms, texts, strict=True)]))

    now_is("sum")
    raised = [_raised(term) for term in terms]
    for name in ("number", "factor", "power", "substitute"):
        for i, (term, found) in enumerate(zip(terms, rules, strict=True)):
            known = [rule for rule, _ in found]
            factor = f"{abs(term.times)} × " if "factor" in known else ""
            up = raised[i]._replace(times=Fraction(1, raised[i].exponent))
            if name == "number" and known == ["number"]:
                texts[i] = _one(raised[i])
            elif name == "factor" and factor:
                texts[i] = f"{factor}I({_letter(term)})"
            elif name == "power" and known[-1] == "power" and "substitute" not in known:
                texts[i] = f"{factor}{_one(up)}"
            elif name == "substitute" and name in known:
                texts[i] = f"{factor}({Fraction(1, term.a)}) × {_one(up)}"
        now_is(name)
    step("tidy", _write(raised))
    if not ends:
        proof = f"D({now}) = {inner}"
        return Solution(steps, now, ("differentiate", {"proof": proof}))
    low, high = ends
    now = instance.slots["formula"]
    upper, lower = _value(raised, high), _value(raised, low)
    step("limits", f"({_put(raised, high)}) - ({_put(raised, low)})")
    step("values", f"{upper} - {f'({lower})' if lower < 0 else lower}")
    step("difference", f"{upper - lower}")
    middle = (low + high) // 2
    cut = _value(raised, middle)
    parts = f"I({inner}, {low}, {middle}) + I({inner}, {middle}, {high})"
    second = upper - cut
    sums = f"{cut - lower} + {f'({second})' if second < 0 else second}"
    return Solution(steps, now, ("split", {"proof": f"{parts} = {sums} = {now}"}))


def _value(terms: list[Term], x: int) -> Fraction:
    return sum((t.times * (t.a * x + t.b) ** t.exponent for t in terms), Fraction(0))


def _put(terms: list[Term], x: int) -> str:
    """The terms with a number in the place of x."""
    place, parts = f"({x})" if x < 0 else f"{x}", []
    for term in terms:
        power = place if term.exponent == 1 else f"{place}^{term.exponent}"
        size = abs(term.times)
        parts.append((term.times, power if size == 1 else f"{_number(size)} × {power}"))
    return _join(parts)


def mistakes(instance: Instance) -> list[Slip]:
    terms, ends = instance.given
    left = instance.slots["formula"]
    raised = [_raised(term) for term in terms]
    loose = [term._replace(times=term.times * term.exponent) for term in raised]
    if not ends:
        found = {"not_divided": loose}
        if any(term.a > 1 for term in terms):
            found["inner_ignored"] = [term._replace(times=term.times * term.a) for term in raised]
        else:
            found["old_exponent"] = [
                up._replace(times=old.times / max(1, old.exponent))
                for old, up in zip(terms, raised, strict=True)
            ]
            found["differentiated"] = [
                term._replace(times=term.times * term.exponent, exponent=term.exponent - 1)
                for term in terms
                if term.exponent
            ]
        return [Slip(name, left, _write(wrong)) for name, wrong in found.items() if wrong]
    low, high = ends
    upper, lower = _value(raised, high), _value(raised, low)
    slips = {
        "not_divided": _value(loose, high) - _value(loose, low),
        "not_integrated": _value(terms, high) - _value(terms, low),
    }
    if lower:
        slips |= {"lower_ignored": upper, "limits_added": upper + lower}
    return [Slip(name, left, str(wrong)) for name, wrong in slips.items()]
