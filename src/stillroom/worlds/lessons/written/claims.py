"""What a text by a model claims and a program can work out: equations, formulas, plain facts.

Only what is plainly a claim is judged; what can't be read is left alone, and does not count as
checked. Text in ``` fences is code and looked at elsewhere.
"""

import re
from calendar import day_name, isleap, month_name
from collections.abc import Callable, Iterator
from datetime import date
from fractions import Fraction
from math import gcd, isqrt, lcm
from typing import NamedTuple

from stillroom.worlds.lessons import foreign
from stillroom.worlds.lessons.formula import UNITS, Unreadable, parse, truth

FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_FORMULA = re.compile(r"`([^`\n]+)`")


class Claim(NamedTuple):
    """A claim, where it stands in the text (characters), whether it is true, and what is right."""

    begin: int
    end: int
    said: str
    true: bool
    right: str = ""

    @property
    def told(self) -> str:
        return f"{self.said} ({self.right})" if self.right else self.said


def claims(text: str) -> list[Claim]:
    """Every claim of the text that could be judged, in its order."""
    bare = FENCE.sub(lambda fence: "".join("\n" if c == "\n" else " " for c in fence[0]), text)
    formulas, rest = _formulas(bare)
    plain = _FORMULA.sub(lambda formula: " " * len(formula[0]), rest)
    return sorted({*formulas, *_statements(rest), *_facts(plain)})


def covered(text: str, spans: list[tuple[int, int]]) -> float:
    """The share of the text's characters that lie in a span."""
    marks = bytearray(len(text))
    for begin, end in spans:
        marks[begin:end] = b"\1" * (end - begin)
    return round(sum(marks) / max(1, len(text)), 4)


def _statements(text: str) -> Iterator[Claim]:
    starts = [0, *(m.end() for m in re.finditer("\n", text))]
    for line, said, true, _ in foreign.statements(text):
        at = max(text.find(said, starts[line - 1]), starts[line - 1])
        yield Claim(at, at + len(said), said, true)


def _formulas(text: str) -> tuple[list[Claim], str]:
    """Statements between backticks in the notation of the lessons (`a → b` counts as two), and the
    text without those that could be read.
    """
    found, rest = list[Claim](), text
    for formula in _FORMULA.finditer(text):
        try:
            parts = [(part, parse(part)) for part in formula[1].split(" → ")]
            judged = [(part, truth(part)) for part, one in parts if one.relations and not one.x]
        except (Unreadable, ArithmeticError):
            continue
        rest = rest[: formula.start()] + " " * len(formula[0]) + rest[formula.end() :]
        for part, true in judged:
            if true is not None:
                found.append(Claim(formula.start(1), formula.end(1), part, true))
    return found, rest


def _facts(text: str) -> Iterator[Claim]:
    for pattern, judge in _FACTS:
        for found in pattern.finditer(text):
            judged = judge(found)
            if judged is not None:
                true, right = judged
                yield Claim(found.start(), found.end(), found[0], true, "" if true else right)


_Judged = tuple[bool, str] | None
_N = r"(?<![\w.,/-])(\d{1,9})(?![\w/^]|[.,]\d)"
_DATE = rf"(\d{{1,2}}) ({'|'.join(month_name[1:])}) (\d{{4}})"
_NOT = r"( not)?"


def _yes_or_no(said_not: str | None, really: bool, what: str) -> _Judged:
    return (bool(said_not) != really), f"{what} is {'true' if really else 'false'}"


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, isqrt(n) + 1))


def _prime(m: re.Match[str]) -> _Judged:
    n = int(m[1])
    return None if n > 10**8 else _yes_or_no(m[2], _is_prime(n), f"that {n} is prime")


def _parity(m: re.Match[str]) -> _Judged:
    even = m[3] == "even"
    return _yes_or_no(m[2], (int(m[1]) % 2 == 0) == even, f"that {m[1]} is {m[3]}")


def _divisible(m: re.Match[str]) -> _Judged:
    n, d = int(m[1]), int(m[3])
    return None if d == 0 else _yes_or_no(m[2], n % d == 0, f"that {d} divides {n}")


def _multiple(m: re.Match[str]) -> _Judged:
    a, b = int(m[1]), int(m[4])
    whole, part = (a, b) if m[3] == "multiple" else (b, a)
    if part == 0:
        return None
    return _yes_or_no(m[2], whole % part == 0, f"that {part} divides {whole}")


def _common(m: re.Match[str]) -> _Judged:
    right = (gcd if m[1].lower() == "greatest" else lcm)(int(m[2]), int(m[3]))
    return right == int(m[4]), f"it is {right}"


def _square(m: re.Match[str]) -> _Judged:
    right = int(m[1]) ** 2
    return right == int(m[2]), f"it is {right}"


def _root(m: re.Match[str]) -> _Judged:
    return int(m[2]) ** 2 == int(m[1]), f"{m[2]} squared is {int(m[2]) ** 2}"


def _percent(m: re.Match[str]) -> _Judged:
    right = Fraction(m[1]) * Fraction(m[2]) / 100
    return right == Fraction(m[3]), f"it is {float(right):g}"


def _unit(m: re.Match[str]) -> _Judged:
    one, other = UNITS.get(m[2]), UNITS.get(m[4])
    if one is None or other is None or one[0] != other[0]:
        return None
    left, right = Fraction(m[1]) * one[1], Fraction(m[3]) * other[1]
    return left == right, f"it is {float(left / other[1]):g} {m[4]}"


def _weekday(m: re.Match[str]) -> _Judged:
    try:
        day = date(int(m[3]), list(month_name).index(m[2]), int(m[1]))
    except ValueError:
        return False, "there is no such day"
    right = day_name[day.weekday()]
    return right == m[4], f"it is a {right}"


def _leap(m: re.Match[str]) -> _Judged:
    return _yes_or_no(m[2], isleap(int(m[1])), f"that {m[1]} is a leap year")


_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
_DECIMAL = r"(?<![\w.,/-])(\d{1,9}(?:\.\d{1,6})?)"
_FACTS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], _Judged]], ...] = (
    (re.compile(rf"{_N} is{_NOT} (?:a )?prime(?: number)?\b"), _prime),
    (re.compile(rf"{_N} is{_NOT} (?:an )?(even|odd)(?: number)?\b"), _parity),
    (re.compile(rf"{_N} is{_NOT} divisible by {_N}"), _divisible),
    (re.compile(rf"{_N} is{_NOT} a (multiple|factor|divisor) of {_N}"), _multiple),
    (
        re.compile(
            rf"(?i:(greatest|least) common (?:divisor|factor|multiple)) of {_N} and {_N} is {_N}"
        ),
        _common,
    ),
    (re.compile(rf"[Tt]he square of {_N} is {_N}"), _square),
    (re.compile(rf"[Tt]he square root of {_N} is {_N}"), _root),
    (
        re.compile(rf"{_DECIMAL} ?(?:%|percent) of {_DECIMAL} is {_DECIMAL}(?![\w/^%]|[.,]\d)"),
        _percent,
    ),
    (
        re.compile(
            rf"(?<![+\-×÷*/] ){_DECIMAL} ({_UNIT})\b (?:is|are|equals|=) {_DECIMAL} ({_UNIT})\b"
            r"(?! [\w+\-×÷*/=]+ \d)"
        ),
        _unit,
    ),
    (re.compile(rf"\b{_DATE} (?:is|was|falls on|fell on) a (\w+day)\b"), _weekday),
    (re.compile(rf"(?:[Tt]he year )?\b(\d{{4}}) (?:is|was){_NOT} a leap year"), _leap),
)
