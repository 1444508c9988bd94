"""The second reader's formulas: one loop over tokens with a stack of open brackets, no recursion.

Operators are looked up by the types of their operands (docs/lessons.md has the notation).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any


class Unreadable(ValueError):
    """A formula that the notation does not cover, or that has no value."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A number that depends on x: coef * x + const."""

    coef: Fraction
    const: Fraction


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount of one dimension, counted in its smallest unit."""

    dimension: str
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Formula:
    """What a formula says: the values of its sides, the relations between them."""

    sides: tuple[Any, ...]
    relations: tuple[str, ...]
    worked: bool  # something was computed: it is more than a value written down

    def links(self) -> list[tuple[Any, str, Any]]:
        """Every claim of a chain by itself."""
        return [(a, r, b) for (a, b), r in zip(pairwise(self.sides), self.relations, strict=True)]


@dataclass(slots=True)
class Frame:
    """What is still open inside one bracket."""

    opener: str
    values: list[Any] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)


X = Linear(Fraction(1), Fraction(0))
DAY = 86400
UNITS = {
    **{u: ("length", n) for u, n in (("mm", 1), ("cm", 10), ("m", 1000), ("km", 10**6))},
    **{u: ("mass", n) for u, n in (("mg", 1), ("g", 1000), ("kg", 10**6), ("t", 10**9))},
    **{u: ("volume", n) for u, n in (("ml", 1), ("cl", 10), ("l", 1000))},
    **{u: ("time", n) for u, n in (("s", 1), ("min", 60), ("h", 3600), ("day", DAY))},
    **{u: ("time", n) for u, n in (("days", DAY), ("week", 7 * DAY), ("weeks", 7 * DAY))},
}
BASE = {"length": "mm", "mass": "mg", "volume": "ml", "time": "s"}
CALLS = "reverse|sort|length|first|last|upper|sum|max|min|size|count|C"
CLOSES = {")": "(", "]": "[", "}": "{"}
RELATIONS = "=≠<>"
BINDING = {
    **{"implies": 1, "or": 2, "xor": 3, "and": 4, "not": 5, "+": 6, "-": 6, "∪": 6, "∩": 6},
    **{"\\": 6, "×": 7, "÷": 7, "/": 7, "neg": 8, "implied": 9, "^": 10},
}
TOKEN = re.compile(
    r"""[ ]*(?:(?P<date>\d{4}-\d{2}-\d{2}(?!\d))
    |(?P<num>\d+(?:\.\d+)?(?:/\d+(?:\.\d+)?)?)(?:[ ](?P<unit>UNITS)(?![\w(]))?
    |(?P<str>'[^']*'|"[^"]*")
    |(?P<call>CALLS)\(
    |(?P<word>[A-Za-z]+)
    |(?P<sign>[-+×÷/^()\[\]{},!\\∪∩=≠<>]))""".replace("UNITS", "|".join(UNITS)).replace(
        "CALLS", CALLS
    ),
    re.VERBOSE,
)


def need(condition: object, what: str) -> None:
    """Give a formula up, unless the condition holds."""
    if not condition:
        raise Unreadable(what)


def whole(value: Any, low: int | None = None, high: int = 10**4) -> int:
    """A number that must be whole, as an index, exponent or count; bounded if it has to be."""
    need(type(value) is Fraction and value.denominator == 1, "a whole number is needed")
    need(low is None or low <= value <= high, "a number is out of range")
    return int(value)


@lru_cache(maxsize=1 << 14)
def decimal(digits: str) -> Fraction:
    """A number without a fraction bar, exactly."""
    return Fraction(digits)


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
            number = decimal(top) / decimal(bottom) if bottom else decimal(top)
            if kind == "unit":
                dimension, size = UNITS[text]
                yield "value", Quantity(dimension, number * size)
            else:
                yield "value", number
        elif kind == "sign" or kind == "call":
            yield kind, text
        elif kind == "str":
            yield "value", text[1:-1]
        elif kind == "date":
            yield "value", date.fromisoformat(text)
        elif kind == "word" and text in ("T", "F", "x"):
            yield "value", X if text == "x" else text == "T"
        elif kind == "word":
            need(text in ("and", "or", "xor", "implies", "not"), f"unknown word {text}")
            yield "sign", text


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


def amounts(a: Quantity, b: Quantity, by: Callable[[Fraction, Fraction], Fraction]) -> Quantity:
    """Sum or difference of two quantities of one dimension."""
    need(a.dimension == b.dimension, "quantities of different kinds")
    return Quantity(a.dimension, by(a.amount, b.amount))


def linear_product(a: Linear, b: Linear) -> Linear:
    """A product that stays linear, or none."""
    need(not a.coef or not b.coef, "x times x")
    return Linear(a.coef * b.const + b.coef * a.const, a.const * b.const)


F, Q, S = Fraction, Quantity, frozenset
RULES: dict[tuple[str, type, type], Callable[[Any, Any], Any]] = {
    ("+", F, F): operator.add,
    ("-", F, F): operator.sub,
    **{(sign, F, F): operator.mul for sign in ("×", "implied")},
    **{(sign, F, F): operator.truediv for sign in "÷/"},
    ("^", F, F): power,
    ("+", Q, Q): lambda a, b: amounts(a, b, operator.add),
    ("-", Q, Q): lambda a, b: amounts(a, b, operator.sub),
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
    ("∪", S, S): operator.or_,
    ("∩", S, S): operator.and_,
    ("\\", S, S): operator.sub,
    ("+", str, str): operator.add,
    ("+", tuple, tuple): operator.add,
    ("+", Linear, Linear): lambda a, b: Linear(a.coef + b.coef, a.const + b.const),
    ("-", Linear, Linear): lambda a, b: Linear(a.coef - b.coef, a.const - b.const),
    **{(sign, Linear, Linear): linear_product for sign in ("×", "implied")},
    **{(sign, Linear, F): lambda a, b: Linear(a.coef / b, a.const / b) for sign in "÷/"},
}


def reduce_top(frame: Frame) -> None:
    """Carry out the operator that waits on top of a frame."""
    sign = frame.operators.pop()
    b = frame.values.pop()
    if sign == "not":
        need(type(b) is bool, "not of something else than a truth value")
        frame.values.append(not b)
        return
    if sign == "neg":
        sign = "×"
        frame.values.append(Fraction(-1))
        need(type(b) in (Fraction, Linear, Quantity), "minus before something else than a number")
    a = frame.values.pop()
    rule = RULES.get((sign, type(a), type(b)))
    if rule is None and Linear in (type(a), type(b)):
        a, b = (Linear(F(0), v) if type(v) is Fraction and sign not in "÷/" else v for v in (a, b))
        rule = RULES.get((sign, type(a), type(b)))
    if rule is None:
        raise Unreadable(f"no {sign} for these kinds")
    frame.values.append(rule(a, b))


def call(name: str, args: list[Any]) -> Any:
    """The value of a function of the notation."""
    s, n = args[0], args[-1]
    need(len(args) == 1 + (name in ("first", "last", "count", "C")), f"arguments of {name}")
    if name == "C":
        return Fraction(math.comb(whole(s, 0), whole(n, 0)))
    if name == "size":
        need(type(s) is frozenset, "size of something else than a set")
        return Fraction(len(s))
    need(type(s) in (str, tuple), f"{name} of something else than a list or string")
    if name in ("sum", "max", "min"):
        need(type(s) is tuple, f"{name} of a string")
        numbers = [whole(v) for v in s]
        return Fraction(sum(numbers) if name == "sum" else (max if name == "max" else min)(numbers))
    if name == "upper":
        need(type(s) is str, "upper of a list")
        return s.upper()
    if name == "count":
        need(type(s) is tuple or (type(n) is str and len(n) == 1), "count of more than a letter")
        return Fraction(s.count(n))
    if name == "length":
        return Fraction(len(s))
    if name == "sort":
        need(len({type(v) for v in s}) < 2, "sort of different kinds")
        return "".join(sorted(s)) if type(s) is str else tuple(sorted(s))
    if name == "reverse":
        return s[::-1]
    keep = whole(n, 0, len(s))
    return s[:keep] if name == "first" else s[len(s) - keep :]


def close(frame: Frame, outer: Frame) -> Any:
    """The value of a bracket that was just closed."""
    items, opener = frame.items, frame.opener
    if opener == "{":
        need(all(type(v) is str or whole(v) is not None for v in items), "an element of a set")
        return frozenset(items)
    if opener == "[":
        need(all(type(v) in (str, Fraction, tuple) for v in items), "an element of a list")
        return tuple(items)
    need(items, "empty brackets")
    if opener == "(":
        return items[0]
    if opener != "index":
        return call(opener, items)
    indexed = outer.values.pop()
    need(type(indexed) in (str, tuple), "an index of something else than a list or string")
    return indexed[whole(items[0], 0, len(indexed) - 1)]


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
        elif item in CLOSES:
            opened = {"index": "[", "": "", "{": "{", "[": "["}.get(top.opener, "(")
            need(opened == CLOSES[item], "brackets")
            if ready or top.items or top.operators:
                finish(top, ready)
            frames.pop()
            frames[-1].values.append(close(top, frames[-1]))
            ready = True
        elif item == ",":
            need(top.opener not in ("", "(", "index"), "a comma")
            finish(top, ready)
            ready = False
        elif item in RELATIONS:
            need(len(frames) == 1, "a relation inside brackets")
            finish(top, ready)
            relations.append(item)
            ready = False
        elif item == "!":
            need(ready, "nothing before !")
            top.values[-1] = Fraction(math.factorial(whole(top.values[-1], 0, 1000)))
            worked = True
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
    except (ValueError, ArithmeticError) as error:
        return str(error) or type(error).__name__


def holds(a: Any, relation: str, b: Any) -> bool:
    """Whether one link is true; an order between values that have none makes it unreadable."""
    if relation in "=≠":
        return (type(a) is type(b) and a == b) == (relation == "=")
    need(type(a) is type(b) and type(a) in (Fraction, Quantity, date, str), "no order")
    if type(a) is Quantity:
        need(a.dimension == b.dimension, "no order between different kinds")
        a, b = a.amount, b.amount
    return bool(a < b if relation == "<" else a > b)


def show(value: Any) -> str:
    """A value in the notation of lessons."""
    if type(value) is bool:
        return "T" if value else "F"
    if type(value) is Quantity:
        return f"{show(value.amount)} {BASE[value.dimension]}"
    if type(value) is Linear:
        return f"{show(value.coef)}x + {show(value.const)}"
    if type(value) is str:
        return f'"{value}"'
    if (
        type(value) is Fraction
        and value.numerator.bit_length() + value.denominator.bit_length() > 999
    ):
        return "(a huge number)"
    if type(value) in (tuple, frozenset):
        ends = "[]" if type(value) is tuple else "{}"
        shown = [show(v) for v in value]
        return ends[0] + ", ".join(shown if ends == "[]" else sorted(shown)) + ends[1]
    return str(value)
