"""Answers by a model: the same value in other notations, and what several samples agree on."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

from stillroom.worlds.lessons.routes import Question, route_of

_LATEX = (
    (re.compile(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}"), r"\1/\2"),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "×"),
    (re.compile(r"\\(?:boxed|text|mathrm)\{(.*)\}"), r"\1"),
    (re.compile(r"\\[()\[\]{}]|\$"), ""),
)


def fault(concept: str, question: Question, answer: str) -> str:
    """ "" when the answer is right in some notation, else what is wrong with it as it stands."""
    first = ""
    for written in _notations(answer):
        try:
            wrong = route_of(concept).answer_fault(question, written)
        except (ValueError, KeyError, IndexError, ArithmeticError, TypeError) as unreadable:
            wrong = f"can't be read as an answer: {unreadable}"
        if not wrong:
            return ""
        first = first or wrong
    return first


def _notations(answer: str) -> Iterator[str]:
    """The answer as it stands, and as our own formulas would write it."""
    yield answer
    plain = answer
    for pattern, new in _LATEX:
        plain = pattern.sub(new, plain)
    plain = plain.strip().replace("−", "-").replace("–", "-").replace("*", "×")
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)
    plain = re.sub(r"^([a-z]) ?= ?", r"\1 = ", plain)
    yield plain
    bare = re.sub(r"^[a-z] = ", "", plain)
    yield bare
    yield f"x = {bare}"
    yield re.sub(r"[ ]*([+\-×÷])[ ]*", r" \1 ", bare).strip()
    yield f'"{bare}"'
    names = [name for name in re.split(r",\s*|\s+and\s+", bare.strip("{}")) if name]
    yield "{" + ", ".join(f"'{name.strip(chr(39))}'" for name in names) + "}"
    yield "[" + ", ".join(names) + "]"
    yield {"true": "T", "yes": "T", "false": "F", "no": "F"}.get(bare.lower(), bare)


def majority(votes: Sequence[str]) -> str | None:
    """The answer that more than half of the samples give, in its commonest writing; else None."""
    if not votes:
        return None
    kinds = Counter(_key(vote) for vote in votes)
    key, times = kinds.most_common(1)[0]
    if 2 * times <= len(votes) or not key:
        return None
    return Counter(vote for vote in votes if _key(vote) == key).most_common(1)[0][0]


def agree(one: str, other: str) -> bool:
    return _key(one) == _key(other)


def _key(answer: str) -> str:
    """What is compared: letters and digits without case and dress; a number by its value."""
    plain = answer.strip().strip("`*_$.").casefold()
    plain = re.sub(r"^(?:the )?(?:final )?answer(?: is|:)\s*", "", plain)
    number = re.fullmatch(r"[^\d\-]{0,2}(-?\d[\d,]*(?:\.\d+|/\d+)?)\s*%?", plain)
    if number:
        try:
            return str(Fraction(number[1].replace(",", "")))
        except (ValueError, ZeroDivisionError):
            pass
    return re.sub(r"[^\w+\-*/=<>]+", " ", plain).strip()
