"""Sums of fractions, checked by taking the last part back and by comparing term with term."""

import re
from fractions import Fraction
from math import lcm
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.routes import Question, Step

_TERM = re.compile(r"([-+]) (\d+)/(\d+)")
_BAR = re.compile(r"\((\d+(?: [-+] \d+)+)\)/(\d+)")

PROOF_SIGNS = {"take_away": " - ", "add_back": " + "}


def start(question: Question) -> str:
    return question.slots["formula"]


def _terms(text: str) -> list[tuple[str, int, int]]:
    """Sign, numerator and denominator of each term; ValueError when it is no such sum."""
    found = [(sign, int(top), int(bottom)) for sign, top, bottom in _TERM.findall(f"+ {text}")]
    if " ".join(f"{sign} {top}/{bottom}" for sign, top, bottom in found) != f"+ {text}":
        raise ValueError(f"`{text}` is no sum of fractions")
    return found


def answer_fault(question: Question, answer: str) -> str:
    """Take the terms back from the answer, last first: nothing must be left."""
    left = Fraction(answer)
    if str(left) != answer:
        return f"{answer} is not in lowest terms, which is {left}"
    for sign, top, bottom in reversed(_terms(question.slots["formula"])):
        left += Fraction(-top if sign == "+" else top, bottom)
    return f"{answer} is {left} away from the sum" if left else ""


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if rule == "common":
        old, new = _terms(before), _terms(after)
        if len(old) != len(new):
            return "another number of fractions"
        for (sign, top, bottom), (other, new_top, new_bottom) in zip(old, new, strict=True):
            if sign != other or top * new_bottom != new_top * bottom:
                return f"{new_top}/{new_bottom} is not {top}/{bottom}"
            if str(new_bottom) != slots["denominator"]:
                return f"a denominator is {new_bottom}, and not {slots['denominator']}"
        return ""
    if rule == "one_bar":
        terms = _terms(before)
        tops = " ".join(f"{sign} {top}" for sign, top, _ in terms)[2:]
        expected = f"({tops})/{terms[0][2]}"
        same = len({bottom for _, _, bottom in terms}) == 1
        return "" if same and after == expected else f"expected `{expected}`"
    if rule == "lowest":
        top, _, bottom = before.partition("/")
        lowest = Fraction(int(top), int(bottom))
        if after != str(lowest):
            return f"expected `{lowest}`"
        factor = int(top) // lowest.numerator
        return "" if str(factor) == slots["factor"] else f"the factor is {factor}"
    bar = _BAR.fullmatch(before)
    if not bar:
        return f"`{before}` has no numerators above one bar"
    signs = set(re.findall(r"[-+]", bar[1]))
    expected_rule = "combine" if len(signs) == 2 else "add" if "+" in signs else "subtract"
    total = sum(int(part.replace(" ", "")) for part in re.findall(r"[-+]? ?\d+", bar[1]))
    if rule != expected_rule:
        return f"what was done is {expected_rule!r}, and not {rule!r}"
    return "" if after == f"{total}/{bar[2]}" else f"expected `{total}/{bar[2]}`"


def wrongs(question: Question) -> dict[str, Any]:
    terms = _terms(question.slots["formula"])
    common = lcm(*[bottom for _, _, bottom in terms])
    signed = [(1 if sign == "+" else -1, top, bottom) for sign, top, bottom in terms]
    tops, bottoms = sum(s * t for s, t, _ in signed), sum(s * b for s, _, b in signed)
    found = {"unscaled_tops": Fraction(tops, common)}
    if bottoms > 0:
        found["tops_and_bottoms"] = Fraction(tops, bottoms)
    value = sum((Fraction(s * t, b) for s, t, b in signed), Fraction(0))
    found["bottoms_added"] = value / len(terms)
    found["all_added"] = sum((Fraction(t, b) for _, t, b in signed), Fraction(0))
    return found


def measure(question: Question) -> dict[str, Any]:
    terms = _terms(question.slots["formula"])
    bottoms = {bottom for _, _, bottom in terms}
    common = lcm(*bottoms)
    relation = "same" if len(bottoms) == 1 else "multiple" if common in bottoms else "different"
    return {
        "terms": len(terms),
        "denominator": (min(bottoms), max(bottoms)),
        "relation": relation,
        "common": common,
    }
