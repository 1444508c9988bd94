"""Integrals: antiderivatives proved by differentiating them, definite ones by adding up samples.

A definite integral of a polynomial of degree up to 7 is an exact weighted sum of seven of its
values (a closed formula of Newton and Cotes), for which no antiderivative is needed.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import Node, Unreadable
from stillroom.worlds.lessons.notation import read_side
from stillroom.worlds.lessons.routes import Question, Step
from stillroom.worlds.lessons.routes.polynomials import (
    Poly,
    antiderivative,
    at,
    calls,
    derivative,
    plus,
    poly,
    polynomial,
    power,
    terms,
    times,
    truth,
    value,
    written,
    x_fault,
)

__all__ = ["truth", "value", "x_fault"]

_WEIGHTS = (41, 216, 27, 272, 27, 216, 41)


def _asked(question: Question) -> tuple[Node, list[int]]:
    """The function to integrate, and the limits if there are any."""
    node = read_side(question.slots["formula"])[0]
    if node[0] != "call" or node[1] != "I" or (len(node) == 5) != (question.family == "definite"):
        raise Unreadable(f"`{question.slots['formula']}` is no such integral")
    return node[2], [int(str(end[1])) for end in node[3:]]


def start(question: Question) -> str:
    return "" if question.family == "definite" else question.slots["formula"]


def _sampled(p: Poly, low: int, high: int) -> Fraction:
    if len(p) > 8:
        raise Unreadable("this degree is too high for seven samples")
    places = [low + Fraction((high - low) * n, 6) for n in range(7)]
    heights = [w * at(p, x) for w, x in zip(_WEIGHTS, places, strict=True)]
    return Fraction(sum(heights)) * (high - low) / 840


_NUMBER = r"(?:\d+|\(\d+/\d+\))?"
_TERM = rf"{_NUMBER}(?:\(\d+x [-+] \d+\)\^\d+|x\^\d+|x)"
_ANSWER = re.compile(rf"-?{_TERM}(?: [-+] {_TERM})*")


def answer_fault(question: Question, answer: str) -> str:
    node, ends = _asked(question)
    if ends:
        total = _sampled(poly(node), ends[0], ends[1])
        return "" if answer == str(total) else f"it is {total}, and not {answer}"
    if derivative(polynomial(answer)) != poly(node):
        return f"`{answer}` has the derivative {written(derivative(polynomial(answer)))}"
    if ")^" not in question.slots["formula"]:
        right = written(polynomial(answer))
        return "" if right == answer else f"`{answer}` is written `{right}`"
    plain = all(str(Fraction(one)) == one for one in re.findall(r"\d+/\d+", answer))
    return "" if plain and _ANSWER.fullmatch(answer) else f"`{answer}` is not worked out"


_SPLIT = re.compile(r"I\((.+), (-?\d+), (-?\d+)\) \+ I\((.+), (-?\d+), (-?\d+)\) = (.+) = (.+)")


def proof_fault(question: Question, proof: str) -> str:
    node, ends = _asked(question)
    if not ends:
        left, _, right = proof.partition(" = ")
        inner = question.slots["formula"][2:-1]
        good = left.startswith("D(") and right == inner
        return "" if good else f"this does not lead back to `{inner}`"
    found = _SPLIT.fullmatch(proof)
    if not found or f"I({found[1]}, {ends[0]}, {ends[1]})" != question.slots["formula"]:
        return "these are not two parts of the integral"
    low, cut, again, high = (int(found[n]) for n in (2, 3, 5, 6))
    if found[1] != found[4] or [low, high] != ends or cut != again or not low < cut < high:
        return "these are not two parts of the integral"
    parts = [_sampled(poly(node), low, cut), _sampled(poly(node), cut, high)]
    text = f"{parts[0]} + {f'({parts[1]})' if parts[1] < 0 else parts[1]}"
    return "" if text == found[7] else f"the parts are {text}"


def plan_of_steps(question: Question) -> tuple[str, ...]:
    """For definite integrals: what their terms call for, then the three steps with limits."""
    found = [one for _, one in terms(_asked(question)[0])]
    heads = [one[0] for one in found]
    plan = ["sum"] if len(found) > 1 else []
    plan += ["number"] if "num" in heads else []
    plan += ["factor"] if "×" in heads else []
    plan += ["power"] if set(heads) - {"num"} else []
    plan += ["tidy"] if "×" in heads else []
    return (*plan, "limits", "values", "difference")


@lru_cache(maxsize=4_000)
def _gathered(text: str) -> Poly:
    """The polynomial of a side, but for its constant."""
    return poly(read_side(text)[0])[1:]


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    rule, node, ends = step["rule"], *_asked(question)
    if rule in ("limits", "values", "difference"):
        return _limit_fault(question, rule, step, node, ends)
    if not _is_about(question, step):
        return f"this is not about `{question.slots['formula']}`"
    good = _JUDGES[rule](*_sides(step), step["after"])
    return "" if good else f"`{step['after']}` is not what {rule!r} makes of this"


def _is_about(question: Question, step: Step) -> bool:
    """Whether both sides of a step are the integral that is asked for, but for a constant."""
    inner = _asked(question)[0]
    p = antiderivative(poly(inner))[1:]
    return _gathered(step["before"]) == p == _gathered(step["after"])


def _sides(step: Step) -> tuple[Node, Node]:
    return read_side(step["before"])[0], read_side(step["after"])[0]


def _limit_fault(question: Question, rule: str, step: Step, node: Node, ends: list[int]) -> str:
    whole = antiderivative(poly(node))
    low, high = (at(whole, end) for end in ends)
    after = f"{high} - {f'({low})' if low < 0 else low}"
    if rule == "limits":
        groups = re.fullmatch(r"\((.+)\) - \((.+)\)", step["after"])
        if step["before"] != question.slots["formula"] or not groups:
            return "here the limits are put into the antiderivative"
        for text, end in zip(groups.groups(), ends[::-1], strict=True):
            place = re.escape(f"({end})" if end < 0 else str(end))
            # The limit stands where x stood: at the start of a term or after its factor.
            back = re.sub(rf"(?:(?<=× )|(?<=^)|(?<=[-+] )){place}(?=\^| [-+] |$)", "x", text)
            if polynomial(back) != whole:
                return f"`{text}` is not the antiderivative with {end} in the place of x"
        return ""
    if rule == "values":
        return "" if step["after"] == after else f"expected `{after}`"
    good = step["before"] == after and step["after"] == str(high - low)
    return "" if good else f"expected `{after} = {high - low}`"


def _sum(before: Node, after: Node, text: str) -> bool:
    pieces = [(s, n[2]) for s, n in terms(after) if n[0] == "call"]
    new = [t for s, n in pieces for t in terms(n, s)]
    return before[0] == "call" and 1 < len(pieces) == len(terms(after)) and terms(before[2]) == new


def _number(before: Node, after: Node, text: str) -> bool:
    """Only the integrals of plain numbers were worked out."""
    return _changed(before, after, lambda one: one[0] == "num", lambda new: "I" not in repr(new))


def _changed(
    before: Node,
    after: Node,
    which: Callable[[Node], bool],
    good: Callable[[Node], bool],
) -> bool:
    """Whether exactly the integrals that `which` picks were changed, into something `good`."""
    old, new = terms(before), terms(after)
    if len(old) != len(new) or before == after:
        return False
    for (sign, one), (other_sign, other) in zip(old, new, strict=True):
        inner = calls(one)
        picked = bool(inner) and which(inner[0])
        if picked and (not good(other) or poly(one)[1:] != poly(other)[1:]):
            return False
        if sign != other_sign or (one != other) != picked:
            return False
    return True


def _factor(before: Node, after: Node, text: str) -> bool:
    return _changed(
        before,
        after,
        lambda one: one[0] == "×" and one[1][0] == "num",
        lambda new: new[0] == "×" and new[1][0] == "num" and new[2][0] == "call"
        and new[2][2][0] != "×",
    )  # fmt: skip


def _raised(new: Node) -> bool:
    return not calls(new) and bool(re.search(r"'num', '1/\d+'", repr(new)))


def _is_power(one: Node) -> bool:
    return bool(one[0] == "x" or (one[0] == "^" and one[1][0] == "x"))


def _power(before: Node, after: Node, text: str) -> bool:
    return _changed(before, after, _is_power, _raised)


def _substitute(before: Node, after: Node, text: str) -> bool:
    return _changed(
        before, after, lambda one: one[0] == "^" and one[1][0] == "()",
        lambda new: _raised(new) and repr(new).count("'num', '1/") == 2,
    )  # fmt: skip


def _tidy(before: Node, after: Node, text: str) -> bool:
    count = len(terms(after)) == len(terms(before))
    return not calls(before) and "×" not in text and count and bool(_ANSWER.fullmatch(text))


_JUDGES: dict[str, Any] = {
    "sum": _sum, "number": _number, "factor": _factor, "power": _power,
    "substitute": _substitute, "tidy": _tidy,
}  # fmt: skip


def link_fault(question: Question, step: Step) -> str:
    """A step told in short must be one of the rules."""
    before, after = _sides(step)
    judges = _JUDGES.values() if _is_about(question, step) else ()
    if any(judge(before, after, step["after"]) for judge in judges):
        return ""
    return f"`{step['after']}` is not one step away from `{step['before']}`"


def _parts(node: Node) -> list[tuple[Poly, Poly, int]]:
    """The terms as (factor, inside, exponent): 6(2x + 1)^3 is (6), (1 + 2x), 3."""
    found: list[tuple[Poly, Poly, int]] = []
    for sign, one in terms(node):
        factor, body = (poly(one[1]), one[2]) if one[0] == "×" else ((1,), one)
        if body[0] == "num":
            factor, body = poly(body), ("num", "1")
        exponent = int(body[2][1]) if body[0] == "^" else int(body[0] == "x")
        inside = poly(body[1]) if body[0] == "^" else (0, 1)
        found.append((times(factor, (sign,)), inside, exponent))
    return found


def wrongs(question: Question) -> dict[str, Any]:
    node, ends = _asked(question)
    names = ("not_divided", "old_exponent", "differentiated", "inner_ignored")
    found: dict[str, Poly] = dict.fromkeys(names, ())
    for factor, inside, n in _parts(node):
        up, slope = times(factor, power(inside, n + 1)), inside[1]
        shares = (
            Fraction(1) / slope,
            Fraction(1) / slope / max(1, n),
            None,
            Fraction(1, n + 1),
        )
        for name, share in zip(names, shares, strict=True):
            if share is not None:
                found[name] = plus(found[name], times(up, (share,)))
    found["differentiated"] = derivative(poly(node))
    if not ends:
        if ")^" in question.slots["formula"]:
            return {name: list(found[name]) for name in ("not_divided", "inner_ignored")}
        return {name: list(found[name]) for name in names[:3]}
    whole = antiderivative(poly(node))
    low, high = (at(whole, end) for end in ends)
    loose, p = found["not_divided"], poly(node)
    values = {
        "not_divided": at(loose, ends[1]) - at(loose, ends[0]),
        "not_integrated": at(p, ends[1]) - at(p, ends[0]),
    }
    if low:
        values |= {"lower_ignored": high, "limits_added": high + low}
    return {name: [number] if number else [] for name, number in values.items()}


def measure(question: Question) -> dict[str, Any]:
    node, ends = _asked(question)
    parts = _parts(node)
    powers = [n for _, inside, n in parts if inside != (0, 1)]
    form = "definite" if ends else ("open", "power", "powers")[min(2, len(powers))]
    if form == "power" and len(parts) > 1:
        form = "power_sum"
    shares = [Fraction(factor[0]) / ((n + 1) * inside[1]) for factor, inside, n in parts]
    return {
        "form": form,
        "terms": len(parts) + len(powers),
        "degree": max(powers) if powers else max(n for _, _, n in parts),
        "largest": max(abs(int(factor[0])) for factor, _, _ in parts),
        "lower": ends[0] if ends else 0,
        "result": "whole" if all(s.denominator == 1 for s in shares) else "fraction",
    }
