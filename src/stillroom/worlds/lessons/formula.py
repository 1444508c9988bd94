"""The checker's exact values of formulas: syntax tree -> value, statement -> true or false.

Nothing here is used to make lessons. Numbers are exact rationals, dates are `datetime.date`,
quantities are amounts in a base unit. What means nothing raises Unreadable.
"""

from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache
from math import comb, factorial, gcd, isqrt, lcm
from typing import Any, NamedTuple

from stillroom.worlds.lessons.notation import (
    BINDING,
    Formula,
    Node,
    Unreadable,
    parse,
    parted,
    read_side,
)

__all__ = [
    "UNITS",
    "Formula",
    "Node",
    "Quantity",
    "Unreadable",
    "difference",
    "evaluate",
    "number",
    "parse",
    "same",
    "truth",
    "value",
]

UNITS: dict[str, tuple[str, Fraction]] = {
    "mm": ("length", Fraction(1, 1000)),
    "cm": ("length", Fraction(1, 100)),
    "m": ("length", Fraction(1)),
    "km": ("length", Fraction(1000)),
    "mg": ("mass", Fraction(1, 1000)),
    "g": ("mass", Fraction(1)),
    "kg": ("mass", Fraction(1000)),
    "t": ("mass", Fraction(1_000_000)),
    "ml": ("volume", Fraction(1, 1000)),
    "cl": ("volume", Fraction(1, 100)),
    "l": ("volume", Fraction(1)),
    "s": ("time", Fraction(1)),
    "min": ("time", Fraction(60)),
    "h": ("time", Fraction(3600)),
    "day": ("time", Fraction(86400)),
    "days": ("time", Fraction(86400)),
    "week": ("time", Fraction(604800)),
    "weeks": ("time", Fraction(604800)),
}


class Quantity(NamedTuple):
    kind: str
    amount: Fraction  # in the kind's base unit


def evaluate(node: Node) -> Any:
    """The exact value of a syntax tree without x; raises Unreadable."""
    try:
        return _value(node)
    except (ZeroDivisionError, IndexError, OverflowError, TypeError, ValueError) as wrong:
        if isinstance(wrong, Unreadable):
            raise
        raise Unreadable(f"{wrong}") from wrong


@lru_cache(maxsize=1_000)
def number(text: str) -> int | Fraction:
    return int(text) if text.lstrip("-").isdigit() else _whole(Fraction(text))


def _whole(value: Fraction) -> int | Fraction:
    return value.numerator if value.denominator == 1 else value


def _value(node: Node) -> Any:
    head = node[0]
    if head == "num":
        return number(node[1])
    if head in ("()", "value"):
        return _value(node[1]) if head == "()" else node[1]
    if head in BINDING:
        left, right = _value(node[1]), _value(node[2])
        if type(left) is int and type(right) is int:  # by far the most frequent
            if head == "+":
                return left + right
            if head == "-":
                return left - right
            if head == "×":
                return left * right
        return _BINARY[head](left, right)
    if head == "qty":
        kind, factor = UNITS[node[2]]
        return Quantity(kind, Fraction(node[1]) * factor)
    if head == "bool":
        return node[1] == "T"
    if head == "str":
        return node[1]
    if head == "date":
        return date.fromisoformat(node[1])
    if head == "not":
        return not _truth(_value(node[1]))
    if head == "neg":
        value = _value(node[1])
        return (
            Quantity(value.kind, -value.amount) if isinstance(value, Quantity) else -_number(value)
        )
    if head == "^":
        base, exponent = Fraction(_number(_value(node[1]))), _integer(_value(node[2]))
        if abs(exponent) > 64 or abs(base) > 10**12:
            raise Unreadable("a power too large")
        return _whole(base**exponent)
    if head == "%":
        return _whole(Fraction(_number(_value(node[1]))) / 100)
    if head == "!":
        return factorial(_small(_value(node[1]), 200))
    if head == "list":
        return [_value(item) for item in node[1:]]
    if head == "set":
        items = [_value(item) for item in node[1:]]
        if not all(type(item) in (int, str) for item in items):
            raise Unreadable("elements of a set are whole numbers or strings")
        return frozenset(items)
    if head == "index":
        base, place = _sequence(_value(node[1])), _integer(_value(node[2]))
        if place < 0:
            raise Unreadable("an index counts from 0")
        return base[place]
    if head == "call":
        if node[1] in ("D", "I"):
            raise Unreadable(f"{node[1]} is of polynomials in x")
        return _CALLS[node[1]](*[_value(argument) for argument in node[2:]])
    raise Unreadable("an unknown x" if head == "x" else f"unknown {head}")


def _number(value: Any) -> int | Fraction:
    if type(value) is int or type(value) is Fraction:
        return value
    raise Unreadable(f"{value!r} is not a number")


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    raise Unreadable(f"{value!r} is not a whole number")


def _small(value: Any, limit: int) -> int:
    if 0 <= _integer(value) <= limit:
        return int(value)
    raise Unreadable(f"{value} is too large or negative")


def _truth(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise Unreadable(f"{value!r} is not a truth value")


def _sequence(value: Any) -> Any:
    if type(value) in (str, list):
        return value
    raise Unreadable(f"{value!r} is not a list or string")


def _of(value: Any, kind: type) -> Any:
    if type(value) is kind:
        return value
    raise Unreadable(f"{value!r} is not a {kind.__name__}")


def _days(value: Quantity) -> timedelta:
    days = value.amount / 86400
    if value.kind != "time" or days.denominator != 1:
        raise Unreadable("only whole days can be added to a date")
    return timedelta(days=int(days))


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, Quantity) and isinstance(right, Quantity) and left.kind == right.kind:
        return Quantity(left.kind, left.amount + right.amount)
    if type(left) in (str, list) and type(right) is type(left):
        return left + right
    if type(left) is date and isinstance(right, Quantity):
        return left + _days(right)
    return _whole(Fraction(_number(left) + _number(right)))


def _subtract(left: Any, right: Any) -> Any:
    if isinstance(left, Quantity) and isinstance(right, Quantity) and left.kind == right.kind:
        return Quantity(left.kind, left.amount - right.amount)
    if type(left) is date and type(right) is date:
        return Quantity("time", Fraction((left - right).days * 86400))
    if type(left) is date and isinstance(right, Quantity):
        return left - _days(right)
    return _whole(Fraction(_number(left) - _number(right)))


def _multiply(left: Any, right: Any) -> Any:
    if isinstance(left, Quantity):
        return Quantity(left.kind, left.amount * _number(right))
    if isinstance(right, Quantity):
        return Quantity(right.kind, right.amount * _number(left))
    return _whole(Fraction(_number(left) * _number(right)))


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, Quantity):
        return Quantity(left.kind, left.amount / _number(right))
    return _whole(Fraction(_number(left)) / _number(right))


_BINARY: dict[str, Any] = {
    "+": _add,
    "-": _subtract,
    "×": _multiply,
    "÷": _divide,
    "/": _divide,
    "and": lambda a, b: _truth(a) & _truth(b),
    "or": lambda a, b: _truth(a) | _truth(b),
    "xor": lambda a, b: _truth(a) ^ _truth(b),
    "implies": lambda a, b: (not _truth(a)) | _truth(b),
    "iff": lambda a, b: _truth(a) == _truth(b),
    "mod": lambda a, b: _integer(a) % _positive(b),
    "div": lambda a, b: _integer(a) // _positive(b),
    "∪": lambda a, b: _of(a, frozenset) | _of(b, frozenset),
    "∩": lambda a, b: _of(a, frozenset) & _of(b, frozenset),
    "\\": lambda a, b: _of(a, frozenset) - _of(b, frozenset),
}


def _sorted(value: Any) -> Any:
    ordered = sorted(_sequence(value))
    return "".join(ordered) if isinstance(value, str) else ordered


def _whole_numbers(value: Any) -> list[int]:
    return [_integer(item) for item in _of(value, list)]


def _count(value: Any, item: Any) -> int:
    if isinstance(_sequence(value), str) and len(_of(item, str)) != 1:
        raise Unreadable("count looks for one letter")
    return sum(1 for found in value if same(found, item))


def _positive(value: Any) -> int:
    if _integer(value) < 1:
        raise Unreadable(f"{value} is not positive")
    return int(value)


def _root(value: Any) -> int | Fraction:
    """The exact square root; numbers that have none mean nothing here."""
    square = Fraction(_number(value))
    if square >= 0:
        root = Fraction(isqrt(square.numerator), isqrt(square.denominator))
        if root * root == square:
            return _whole(root)
    raise Unreadable(f"{value} has no exact root")


def _numbers(value: Any) -> list[int | Fraction]:
    found = [_number(item) for item in _of(value, list)]
    if not found:
        raise Unreadable("an empty list has no average")
    return found


def _median(value: Any) -> int | Fraction:
    ordered = sorted(_numbers(value))
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return _whole(Fraction(ordered[half - 1] + ordered[half]) / 2)


def _place(value: Any, item: Any) -> int:
    """Where an item stands first, counted from 1."""
    for n, found in enumerate(_of(value, list), 1):
        if same(found, item):
            return n
    raise Unreadable(f"{item!r} is not in the list")


def _digits(value: Any) -> int:
    text = _of(value, str)
    if not text or set(text) - {"0", "1"} or len(text) > 64:
        raise Unreadable(f"{text!r} is no binary number")
    return int(text, 2)


_CALLS: dict[str, Any] = {
    "reverse": lambda s: _sequence(s)[::-1],
    "sort": _sorted,
    "length": lambda s: len(_sequence(s)),
    "first": lambda s, n: _sequence(s)[: _small(n, len(s))],
    "last": lambda s, n: _sequence(s)[len(s) - _small(n, len(s)) :],
    "upper": lambda s: _of(s, str).upper(),
    "sum": lambda s: sum(_whole_numbers(s)),
    "max": lambda s: max(_whole_numbers(s)),
    "min": lambda s: min(_whole_numbers(s)),
    "size": lambda s: len(_of(s, frozenset)),
    "count": _count,
    "gcd": lambda a, b: gcd(_positive(a), _positive(b)),
    "lcm": lambda a, b: lcm(_positive(a), _positive(b)),
    "sqrt": _root,
    "mean": lambda s: _whole(Fraction(sum(_numbers(s))) / len(s)),
    "median": _median,
    "spread": lambda s: max(_numbers(s)) - min(_numbers(s)),
    "place": _place,
    "bin": lambda n: f"{_small(n, 2**64):b}",
    "dec": _digits,
    "C": lambda n, k: comb(_small(n, 400), _small(k, _small(n, 400))),
}


def same(left: Any, right: Any) -> bool:
    """Equal values of one kind: numbers with numbers, truth values with truth values, ..."""
    if type(left) is not type(right) and not (
        type(left) in (int, Fraction) and type(right) in (int, Fraction)
    ):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def _holds(left: Any, relation: str, right: Any) -> bool:
    if relation in "=≠":
        return same(left, right) == (relation == "=")
    if isinstance(left, Quantity) and isinstance(right, Quantity) and left.kind == right.kind:
        left, right = left.amount, right.amount
    elif not (type(left) is date and type(right) is date):
        left, right = _number(left), _number(right)
    return bool(left < right) if relation == "<" else bool(left > right)


@lru_cache(maxsize=500)
def truth(text: str) -> bool | None:
    """Whether a statement is true; None when it claims nothing (an expression). Unreadable."""
    texts, relations = parted(text)
    values = [_side_value(side) for side in texts]
    if not relations:
        return None
    links = zip(values, relations, values[1:], strict=False)
    return all(_holds(left, relation, right) for left, relation, right in links)


def value(text: str) -> Any:
    """The exact value of an expression; Unreadable also when it is a statement."""
    if parse(text).relations:
        raise Unreadable(f"`{text}` is a statement, not an expression")
    return _side_value(text.strip())


def difference(before: Node, after: Node) -> tuple[Node, Node, bool] | None:
    """The smallest part in which two trees differ, and whether in brackets; None: equal."""
    bracketed = False
    if before == after:
        return None
    while True:
        if before[0] == "()" and after[0] != "()":
            return before[1], after, True
        if before[0] != after[0] or len(before) != len(after):
            return before, after, bracketed
        places = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if i and a != b]
        if len(places) != 1 or not isinstance(before[places[0]], tuple):
            return before, after, bracketed
        bracketed = bracketed or before[0] == "()"
        before, after = before[places[0]], after[places[0]]


@lru_cache(maxsize=1_000)
def _side_value(text: str) -> Any:
    return evaluate(read_side(text)[0])
