"""The second reader's formulas: one loop over tokens with a stack of open brackets, no recursion.

Operators are looked up by the types of their operands (docs/lessons.md has the notation).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache, reduce
from itertools import zip_longest
from typing import Any


class Unreadable(ValueError):
    """A formula that the notation does not cover, or that has no value."""


@dataclass(frozen=True, slots=True)
class Poly:
    """A polynomial in x: coefficients from the constant up, whole ones as int, no last zeros."""

    coefs: tuple[int | Fraction, ...]
    free: bool = False  # an antiderivative: any constant may be added


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount of one dimension, counted in its smallest unit."""

    dimension: str
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Formula:
    """What a formula says: the values of its sides, the relations (or arrows) between them."""

    sides: tuple[Any, ...]
    relations: tuple[str, ...]
    worked: bool  # something was computed: it is more than a value written down

    def links(self) -> list[tuple[Any, str, Any]]:
        """Every claim of a chain by itself."""
        links = zip(self.sides, self.relations, self.sides[1:], strict=False)
        return [link for link in links if link[1] != "→"]


@dataclass(slots=True)
class Frame:
    """What is still open inside one bracket."""

    opener: str
    values: list[Any] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)


X = Poly((0, 1))
DAY = 86400
UNITS = {
    **{u: ("length", n) for u, n in (("mm", 1), ("cm", 10), ("m", 1000), ("km", 10**6))},
    **{u: ("mass", n) for u, n in (("mg", 1), ("g", 1000), ("kg", 10**6), ("t", 10**9))},
    **{u: ("volume", n) for u, n in (("ml", 1), ("cl", 10), ("l", 1000))},
    **{u: ("time", n) for u, n in (("s", 1), ("min", 60), ("h", 3600), ("day", DAY))},
    **{u: ("time", n) for u, n in (("days", DAY), ("week", 7 * DAY), ("weeks", 7 * DAY))},
}
CLOSES = {"[": "]", "index": "]", "{": "}", "": ""}
BINDING = {
    **{"iff": 0, "implies": 1, "or": 2, "xor": 3, "and": 4, "not": 5, "neg": 8, "implied": 9},
    **dict.fromkeys(("+", "-", "∪", "∩", "\\"), 6),
    **dict.fromkeys(("×", "÷", "/", "mod", "div"), 7),
    "^": 10,
}


def need(condition: object, what: str) -> None:
    """Give a formula up, unless the condition holds."""
    if not condition:
        raise Unreadable(what)


def whole(value: Any, low: int | None = None, high: float = 10**4) -> int:
    """A number that must be whole, as an index, exponent or count; bounded if it has to be."""
    need(type(value) is Fraction and value.denominator == 1, "a whole number is needed")
    need(low is None or low <= value <= high, "a number is out of range")
    return int(value)


def of(value: Any, *kinds: type) -> Any:
    """A value that must be of one of these types."""
    need(type(value) in kinds, "an argument of the wrong kind")
    return value


def numbers(value: Any) -> list[Fraction]:
    """A list of numbers, in order of size."""
    return sorted(of(v, Fraction) for v in of(value, tuple))


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """A power with a whole exponent, as long as it stays of a sane size."""
    size = base.numerator.bit_length() + base.denominator.bit_length()
    n = whole(exponent, -(10**4))
    need(size * abs(n) < 10**5, "too large a power")
    return Fraction(base**n)


def shift(day: date, by: Quantity, sign: int) -> date:
    """A date some whole days later or earlier."""
    need(by.dimension == "time" and by.amount % DAY == 0, "whole days are needed")
    return day + timedelta(days=sign * int(by.amount // DAY))


def same(a: Quantity, b: Quantity) -> str:
    """The dimension that two quantities share."""
    need(a.dimension == b.dimension, "quantities of different kinds")
    return a.dimension


def poly(coefs: Iterable[int | Fraction], free: bool = False) -> Poly:
    """The polynomial with these coefficients."""
    slim = [c.numerator if c.denominator == 1 else c for c in coefs]
    while slim and not slim[-1]:
        slim.pop()
    need(len(slim) < 100, "too high a degree")
    return Poly(tuple(slim), free)


def both(a: Poly, b: Poly) -> Iterator[tuple[Any, Any]]:
    """The coefficients of two polynomials side by side."""
    return zip_longest(a.coefs, b.coefs, fillvalue=0)


def times(a: Poly, b: Poly) -> Poly:
    """The product of two polynomials."""
    out: list[int | Fraction] = [0] * (len(a.coefs) + len(b.coefs))
    for i, c in enumerate(a.coefs):
        for j, d in enumerate(b.coefs):
            out[i + j] += c * d
    return poly(out, a.free or b.free)


def as_poly(value: Any) -> Poly:
    """A number or polynomial as a polynomial."""
    return poly([value]) if type(value) is Fraction else of(value, Poly)


def at(value: Any, x: Any) -> Any:
    """What a polynomial comes to where x has a value; anything else stays."""
    return F(sum(c * x**k for k, c in enumerate(value.coefs))) if type(value) is Poly else value


def integral(value: Any, *ends: Any) -> Any:
    """The antiderivative without a constant, or the integral between two numbers."""
    full = poly([0, *(Fraction(c) / (k + 1) for k, c in enumerate(as_poly(value).coefs))], True)
    return at(full, of(ends[1], F)) - at(full, of(ends[0], F)) if ends else full


def ordered(s: Any) -> Any:
    """A string or list in ascending order."""
    need(len({type(v) for v in of(s, str, tuple)}) < 2, "sort of different kinds")
    return "".join(sorted(s)) if type(s) is str else tuple(sorted(s))


def root(value: Any) -> Fraction:
    """An exact square root."""
    below = math.isqrt(of(value, Fraction).numerator), math.isqrt(value.denominator)
    need(Fraction(*below) ** 2 == value, "no exact root")
    return Fraction(*below)


def middle(values: list[Fraction]) -> Fraction:
    """The median of ordered numbers."""
    need(values, "an empty list")
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


F, Q, S = Fraction, Quantity, frozenset
RULES: dict[tuple[str, type, type], Callable[[Any, Any], Any]] = {
    ("+", F, F): operator.add,
    ("-", F, F): operator.sub,
    **{(sign, F, F): operator.mul for sign in ("×", "implied")},
    **{(sign, F, F): operator.truediv for sign in "÷/"},
    ("^", F, F): power,
    ("mod", F, F): lambda a, b: F(whole(a) % whole(b, 1, math.inf)),
    ("div", F, F): lambda a, b: F(whole(a) // whole(b, 1, math.inf)),
    ("+", Q, Q): lambda a, b: Q(same(a, b), a.amount + b.amount),
    ("-", Q, Q): lambda a, b: Q(same(a, b), a.amount - b.amount),
    ("×", Q, F): lambda a, b: Q(a.dimension, a.amount * b),
    ("×", F, Q): lambda a, b: Q(b.dimension, a * b.amount),
    **{(sign, Q, F): lambda a, b: Q(a.dimension, a.amount / b) for sign in "÷/"},
    ("+", date, Q): lambda a, b: shift(a, b, 1),
    ("-", date, Q): lambda a, b: shift(a, b, -1),
    ("-", date, date): lambda a, b: Q("time", Fraction((a - b).days * DAY)),
    ("and", bool, bool): operator.and_,
    ("or", bool, bool): operator.or_,
    ("xor", bool, bool): operator.xor,
    ("implies", bool, bool): operator.le,
    ("iff", bool, bool): operator.eq,
    ("∪", S, S): operator.or_,
    ("∩", S, S): operator.and_,
    ("\\", S, S): operator.sub,
    ("+", str, str): operator.add,
    ("+", tuple, tuple): operator.add,
    ("+", Poly, Poly): lambda a, b: poly((c + d for c, d in both(a, b)), a.free or b.free),
    ("-", Poly, Poly): lambda a, b: poly((c - d for c, d in both(a, b)), a.free or b.free),
    **{(sign, Poly, Poly): times for sign in ("×", "implied")},
    **{(sign, Poly, F): lambda a, b: times(a, poly([1 / b])) for sign in "÷/"},
    ("^", Poly, F): lambda a, n: reduce(times, [a] * whole(n, 0, 100), Poly((1,))),
}
CALLS: dict[str, tuple[tuple[int, ...], Callable[..., Any]]] = {
    "reverse": ((1,), lambda s: of(s, str, tuple)[::-1]),
    "sort": ((1,), ordered),
    "length": ((1,), lambda s: F(len(of(s, str, tuple)))),
    "first": ((2,), lambda s, n: of(s, str, tuple)[: whole(n, 0, len(s))]),
    "last": ((2,), lambda s, n: of(s, str, tuple)[len(s) - whole(n, 0, len(s)) :]),
    "upper": ((1,), lambda s: of(s, str).upper()),
    "sum": ((1,), lambda s: F(sum(map(whole, of(s, tuple))))),
    "max": ((1,), lambda s: F(max(map(whole, of(s, tuple))))),
    "min": ((1,), lambda s: F(min(map(whole, of(s, tuple))))),
    "size": ((1,), lambda s: F(len(of(s, frozenset)))),
    "count": ((2,), lambda s, item: F(of(s, str, tuple).count(item))),
    "C": ((2,), lambda n, k: F(math.comb(whole(n, 0), whole(k, 0, int(n))))),
    "gcd": ((2, 3, 4), lambda *ns: F(math.gcd(*(whole(n, 1, math.inf) for n in ns)))),
    "lcm": ((2, 3, 4), lambda *ns: F(math.lcm(*(whole(n, 1, math.inf) for n in ns)))),
    "bin": ((1,), lambda n: f"{whole(n, 1, math.inf):b}"),
    "dec": ((1,), lambda s: F(int(re.sub("[^01]", "?", of(s, str)), 2))),
    "sqrt": ((1,), root),
    "mean": ((1,), lambda s: sum(numbers(s), F(0)) / len(s)),
    "median": ((1,), lambda s: middle(numbers(s))),
    "spread": ((1,), lambda s: numbers(s)[-1] - numbers(s)[0]),
    "place": ((2,), lambda s, item: F(of(s, tuple).index(item) + 1)),
    "D": ((1,), lambda p: poly(k * c for k, c in enumerate(as_poly(p).coefs) if k)),
    "I": ((1, 3), integral),
}
TOKEN = re.compile(
    r"""[ ]*(?:(?P<date>\d{4}-\d{2}-\d{2}(?!\d))
    |(?P<num>\d+(?:\.\d+)?(?:/\d+(?:\.\d+)?)?)(?:[ ](?P<unit>UNITS)(?![\w(]))?
    |(?P<str>'[^']*'|"[^"]*")
    |(?P<call>CALLS)\(
    |(?P<word>[A-Za-z]+)
    |(?P<sign>[-+×÷/^()\[\]{},!%\\∪∩=≠<>→]))""".replace("UNITS", "|".join(UNITS)).replace(
        "CALLS", "|".join(CALLS)
    ),
    re.VERBOSE,
)


decimal = lru_cache(maxsize=1 << 14)(Fraction)  # a number without a fraction bar


def tokens(formula: str) -> Iterator[tuple[str, Any]]:
    """Cut a formula into values, function names with their bracket, and signs."""
    at, formula = 0, formula.rstrip(" ")
    while at < len(formula):
        found = TOKEN.match(formula, at)
        if found is None:
            raise Unreadable(f"can't read from {formula[at:]!r}")
        at, kind, text = found.end(), found.lastgroup, found.group(found.lastgroup or 0)
        if kind in ("num", "unit"):
            top, _, bottom = found["num"].partition("/")
            number: Any = decimal(top) / decimal(bottom) if bottom else decimal(top)
            if kind == "unit":
                number = Quantity(UNITS[text][0], number * UNITS[text][1])
            yield "value", number
        elif kind == "sign" or kind == "call":
            yield kind, text
        elif kind == "str" or kind == "date":
            yield "value", text[1:-1] if kind == "str" else date.fromisoformat(text)
        elif kind == "word" and text in ("T", "F", "x"):
            yield "value", X if text == "x" else text == "T"
        elif kind == "word":
            need(text in BINDING and text not in ("neg", "implied"), f"unknown word {text}")
            yield "sign", text


def reduce_top(frame: Frame) -> None:
    """Carry out the operator that waits on top of a frame."""
    sign = frame.operators.pop()
    b = frame.values.pop()
    if sign == "not":
        frame.values.append(not of(b, bool))
        return
    if sign == "neg":
        sign = "×"
        frame.values.append(Fraction(-1))
        of(b, Fraction, Poly, Quantity)
    a = frame.values.pop()
    rule = RULES.get((sign, type(a), type(b)))
    if rule is None and Poly in (type(a), type(b)) and sign not in "÷/^":
        a, b = (as_poly(v) for v in (a, b))
        rule = RULES.get((sign, Poly, Poly))
    if rule is None:
        raise Unreadable(f"no {sign} for these kinds")
    frame.values.append(rule(a, b))


def close(frame: Frame, outer: Frame) -> Any:
    """The value of a bracket that was just closed."""
    items, opener = frame.items, frame.opener
    if opener == "{":
        need(all(type(v) is str or whole(v) is not None for v in items), "an element of a set")
        return frozenset(items)
    if opener == "[":
        need(all(type(v) is not Poly for v in items), "an element of a list")
        return tuple(items)
    need(items, "empty brackets")
    if opener == "index":
        indexed = of(outer.values.pop(), str, tuple)
        return indexed[whole(items[0], 0, len(indexed) - 1)]
    counts, function = CALLS.get(opener, ((1,), lambda inner: inner))
    need(len(items) in counts, f"arguments of {opener}")
    return function(*items)


def finish(frame: Frame, ready: bool) -> None:
    """Bring what stands since the last comma or relation down to one value."""
    need(ready, "something is missing")
    while frame.operators:
        reduce_top(frame)
    need(len(frame.values) == 1, "no single value")
    frame.items.append(frame.values.pop())


def push(frame: Frame, sign: str) -> None:
    """Let an operator wait, after those before it that bind at least as tight."""
    tight = BINDING[sign] + (sign in ("^", "implies"))
    while frame.operators and BINDING[frame.operators[-1]] >= tight:
        reduce_top(frame)
    frame.operators.append(sign)


def run(formula: str) -> Formula:
    """Work a formula out; `ready` says that a complete operand stands just before."""
    frames, relations, ready, worked = [Frame("")], [], False, False
    for kind, item in tokens(formula):
        top = frames[-1]
        if kind == "value":
            if ready:
                need(item is X, "two values side by side")
                push(top, "implied")
            top.values.append(item)
            ready = True
        elif kind == "call" or item in "([{":
            need(not ready or item in "([", "an operator is missing")
            worked = worked or ready or kind == "call"
            if ready and item == "(":
                push(top, "implied")
            frames.append(Frame("index" if ready and item == "[" else item))
            ready = False
        elif item in ")]}":
            need(item == CLOSES.get(top.opener, ")"), "brackets")
            if ready or top.items or top.operators:
                finish(top, ready)
            frames.pop()
            frames[-1].values.append(close(top, frames[-1]))
            ready = True
        elif item == ",":
            need(top.opener not in ("", "(", "index"), "a comma")
            finish(top, ready)
            ready = False
        elif item in "=≠<>→":
            need(len(frames) == 1, "a relation or an arrow inside brackets")
            finish(top, ready)
            relations.append(item)
            ready = False
        elif item in "!%":
            need(ready, f"nothing before {item}")
            last = top.values.pop()
            top.values.append(
                of(last, F) / 100 if item == "%" else F(math.factorial(whole(last, 0, 999)))
            )
            worked = worked or item == "!"
        elif not ready:
            need(item in ("-", "not"), f"nothing before {item}")
            top.operators.append("neg" if item == "-" else item)
            worked = worked or item == "not"
        else:
            need(item != "not", "not after a value")
            push(top, item)
            ready, worked = False, True
    need(len(frames) == 1, "a bracket stays open")
    finish(frames[0], ready)
    return Formula(tuple(frames[0].items), tuple(relations), worked)


@lru_cache(maxsize=1 << 14)
def understand(formula: str) -> Formula | str:
    """A formula worked out, or why it can't be."""
    try:
        return run(formula)
    except (ValueError, ArithmeticError, TypeError) as error:
        return str(error) or type(error).__name__
