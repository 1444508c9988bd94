"""Derivatives of polynomials, one rule at a time: sums, factors, powers, products, chains."""

from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Terms = list[tuple[int, int]]  # coefficient, exponent; descending exponents
Power = tuple[int, Terms, int]  # factor, what stands in the brackets, exponent


def _one(times: int, exponent: int) -> str:
    """A term without its sign."""
    letter = "" if exponent == 0 else "x" if exponent == 1 else f"x^{exponent}"
    return f"{abs(times)}" if not letter else letter if abs(times) == 1 else f"{abs(times)}{letter}"


def _join(parts: list[tuple[int, str]]) -> str:
    text = "".join(f" {'+' if sign > 0 else '-'} {part}" for sign, part in parts)
    return (text[3:] if text.startswith(" +") else f"-{text[3:]}") if text else "0"


def _write(terms: Terms) -> str:
    return _join([(times, _one(times, exponent)) for times, exponent in terms])


def _derived(terms: Terms) -> Terms:
    return [(times * exponent, exponent - 1) for times, exponent in terms if exponent]


def _times(left: Terms, right: Terms) -> Terms:
    return [(a * b, m + n) for a, m in left for b, n in right]


def _collected(terms: Terms) -> Terms:
    found: dict[int, int] = {}
    for times, exponent in terms:
        found[exponent] = found.get(exponent, 0) + times
    return [(times, exponent) for exponent, times in sorted(found.items(), reverse=True) if times]


def _power(times: int, inner: Terms, exponent: int) -> str:
    """A power without its sign."""
    factor = "" if abs(times) == 1 else f"{abs(times)}"
    return f"{factor}({_write(inner)})" + (f"^{exponent}" if exponent > 1 else "")


def _polynomial(dice: Dice, count: int, degree: int, low: int, high: int) -> Terms:
    places = sorted([degree, *dice.some(range(degree), min(count - 1, degree))], reverse=True)
    signs = [1, *(dice.pick((1, 1, -1)) for _ in places[1:])]
    return [(sign * dice.between(low, high), n) for sign, n in zip(signs, places, strict=True)]


def _binomial(dice: Dice, low: int, high: int) -> Terms:
    return [(dice.between(max(2, low), high), 1), (dice.pick((1, -1)) * dice.between(low, high), 0)]


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    form = dice.pick(limits["form"])
    low, high = limits["largest"][0], limits["largest"][1]
    count, degree = dice.between(*limits["terms"]), dice.between(*limits["degree"])
    if form == "chain":
        count = 2
    given: Any
    if form in ("sum", "multiple"):
        terms = _polynomial(dice, count, degree, low, high)
        if form == "sum":
            given, text = terms, _write(terms)
        else:
            factor = dice.between(2, min(high, 9)) if low < 9 else dice.between(low, high)
            given, text = (factor, terms), f"{factor}({_write(terms)})"
    elif form == "product":
        first = _binomial(dice, low, high)
        second = _polynomial(dice, count - 2, degree - 1, low, high)
        given, text = (first, second), f"({_write(first)}) × ({_write(second)})"
    else:
        powers, rest = _powers(dice, limits, form, count, degree)
        parts = [(factor, _power(factor, inner, n)) for factor, inner, n in powers]
        parts += [(times, _one(times, exponent)) for times, exponent in rest]
        given, text = (powers, rest), _join(parts)
    return Instance("plain", {"formula": f"D({text})"}, (form, given))


def _powers(
    dice: Dice, limits: dict[str, tuple[Any, ...]], form: str, count: int, degree: int
) -> tuple[list[Power], Terms]:
    low, high = limits["largest"][0], limits["largest"][1]
    if form == "inner":
        inner = [(dice.between(1, 2), 2), *_binomial(dice, low, high)]
        return [(dice.between(1, 3), inner if count > 2 else [inner[0], inner[2]], degree)], []
    many = 2 if form == "chains" else 1
    powers = []
    for n in range(many):
        factor = dice.between(1, 5) * (dice.pick((1, -1)) if n else 1)
        powers.append((factor, _binomial(dice, low, high), degree - n if degree - n > 1 else 2))
    left = count - 2 * many
    return powers, _polynomial(dice, left, max(left, 2), low, min(high, 9)) if left else []


def solve(instance: Instance) -> Solution:
    form, given = instance.given
    steps: list[Step] = []
    now = instance.slots["formula"]

    def step(rule: str, after: str) -> None:
        nonlocal now
        if after != now:
            steps.append(Step(rule, (f"{now} = {after}",)))
        now = after

    if form == "sum":
        back = _by_term(given, step)
    elif form == "multiple":
        factor, terms = given
        inner = _write(_derived(terms))
        step("outer", f"{factor} × D({_write(terms)})")
        step("terms", f"{factor} × ({inner})")
        step("expand", _write([(factor * times, n) for times, n in _derived(terms)]))
        back = f"{factor}({_write([term for term in terms if term[1]])})"
    elif form == "product":
        first, second = given
        a, b = _write(first), _write(second)
        step("product", f"D({a}) × ({b}) + ({a}) × D({b})")
        da, db = _derived(first), _derived(second)
        right = f"({_write(db)})" if len(db) > 1 else _write(db)
        step("terms", f"{_write(da)} × ({b}) + ({a}) × {right}")
        spread = _times(da, second) + _times(first, db)
        step("expand", _write(spread))
        step("collect", _write(_collected(spread)))
        back = f"({a}) × ({b})"
    else:
        back = _chained(given[0], given[1], step)
    return Solution(steps, now, ("integrate", {"proof": f"I({now}) = {back}"}))


def _by_term(terms: Terms, step: Any) -> str:
    moving = [term for term in terms if term[1]]
    step("sum", _join([(c, f"D({_one(c, n)})") for c, n in terms]))
    step("drop", _join([(c, f"D({_one(c, n)})") for c, n in moving]))
    parts = [(c, f"D({_one(1, n)})", "" if abs(c) == 1 else f"{abs(c)} × ") for c, n in moving]
    step("factor", _join([(c, f"{factor}{inner}") for c, inner, factor in parts]))
    step(
        "power",
        _join([(c, f"{'' if abs(c) == 1 else f'{abs(c)} × '}{_one(n, n - 1)}") for c, n in moving]),
    )
    step("tidy", _write(_derived(terms)))
    return _write(moving)


def _chained(powers: list[Power], rest: Terms, step: Any) -> str:
    whole = [(f, f"D({_power(f, inner, n)})") for f, inner, n in powers]
    moving = [term for term in rest if term[1]]
    if len(powers) > 1 or rest:
        bits = whole + ([(1, f"D({_write(rest)})")] if rest and rest[0][0] > 0 else [])
        step("sum", _join(bits))
    tail = f"D({_write(rest)})" if rest else ""
    ends = [f" + {tail}"] if rest else [""]
    derived = _derived(rest)
    if rest:
        ends.append(f" + ({_write(derived)})" if len(derived) > 1 else f" + {_write(derived)}")
    else:
        ends.append("")
    links = [(f, _power(f * n, inner, n - 1), inner, n) for f, inner, n in powers]
    step("chain", _join([(f, f"{outer} × D({_write(i)})") for f, outer, i, _ in links]) + ends[0])
    slopes = [_derived(inner) for _, inner, _ in powers]
    done = []
    for (f, outer, _, _), slope in zip(links, slopes, strict=True):
        inside = f"({_write(slope)})" if len(slope) > 1 else _write(slope)
        done.append((f, f"{outer} × {inside}"))
    step("terms", _join(done) + ends[1])
    if all(len(slope) == 1 and slope[0][1] == 0 for slope in slopes):
        parts = [
            (f, _power(f * n * slope[0][0], inner, n - 1))
            for (f, inner, n), slope in zip(powers, slopes, strict=True)
        ]
        step("tidy", _join(parts + [(c, _one(c, n)) for c, n in derived]))
    return _join(
        [(f, _power(f, inner, n)) for f, inner, n in powers] + [(c, _one(c, n)) for c, n in moving]
    )


def mistakes(instance: Instance) -> list[Slip]:
    form, given = instance.given
    left, slips = instance.slots["formula"], []

    def slip(name: str, wrong: str) -> None:
        slips.append(Slip(name, left, wrong))

    if form in ("sum", "multiple"):
        factor, terms = (1, given) if form == "sum" else given

        def all_of(found: Terms) -> str:
            return _write([(factor * times, n) for times, n in found])

        slip("exponent_kept", all_of([(c * n, n) for c, n in terms if n]))
        slip("factor_forgotten", all_of([(c, n - 1) for c, n in terms if n]))
        if terms[-1][1] == 0:
            slip("number_kept", all_of(_collected([*_derived(terms), terms[-1]])))
    elif form == "product":
        slip("each_alone", _write(_collected(_times(*map(_derived, given)))))
        slip("first_only", _write(_collected(_times(_derived(given[0]), given[1]))))
    else:
        powers, rest = given
        tail = [(c, _one(c, n)) for c, n in _derived(rest)]
        slip("inner_forgotten", _join([(f, _power(f * n, i, n - 1)) for f, i, n in powers] + tail))
        inside = [
            (f, f"{abs(f * n)}({_write(_derived(i))})" + (f"^{n - 1}" if n > 2 else ""))
            for f, i, n in powers
        ]
        slip("inside_replaced", _join(inside + tail))
        kept = [(f, f"{_power(f * n, i, n)} × ({_write(_derived(i))})") for f, i, n in powers]
        slip("exponent_kept", _join(kept + [(c * n, _one(c * n, n)) for c, n in rest if n]))
    return slips
