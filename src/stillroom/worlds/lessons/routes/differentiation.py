"""Derivatives, proved by integrating the answer; every statement is an identity of polynomials."""

import re
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import Node, Unreadable
from stillroom.worlds.lessons.notation import read_side
from stillroom.worlds.lessons.routes import Question, Step
from stillroom.worlds.lessons.routes.polynomials import (
    Poly,
    antiderivative,
    calls,
    derivative,
    plus,
    poly,
    polynomial,
    power,
    terms,
    times,
    trim,
    truth,
    value,
    written,
    x_fault,
)

__all__ = ["truth", "value", "x_fault"]


def asked(question: Question) -> Node:
    """What stands between the brackets of D."""
    node = read_side(question.slots["formula"])[0]
    if node[0] != "call" or node[1] != "D":
        raise Unreadable(f"`{question.slots['formula']}` is no derivative")
    return node[2]  # type: ignore[no-any-return]


def start(question: Question) -> str:
    return question.slots["formula"]


_FACTORED = re.compile(
    r"-?\d*\([^()]*\)(\^\d+)?( × \([^()]*\)| × \d*x)?( [-+] \d*\([^()]*\)(\^\d+)?)*( [-+] [^()×]*)?"
)


def answer_fault(question: Question, answer: str) -> str:
    """Integrated, the answer must be the function of the question again, but for a constant."""
    back = antiderivative(polynomial(answer))
    if back[1:] != poly(asked(question))[1:]:
        return f"`{answer}` belongs to {written(back)}, which is not the function that was given"
    if ")^" in question.slots["formula"]:
        return "" if _FACTORED.fullmatch(answer) else f"`{answer}` is not worked out"
    right = written(polynomial(answer))
    return "" if answer == right else f"`{answer}` is not worked out: `{right}`"


def proof_fault(question: Question, proof: str) -> str:
    """The proof integrates the answer, and the function asked about comes out."""
    left, _, right = proof.partition(" = ")
    good = left.startswith("I(") and polynomial(right)[1:] == poly(asked(question))[1:]
    return "" if good and "I" not in right else "this does not lead back to the question"


def _plain(node: Node) -> Node:
    return _plain(node[1]) if node[0] == "()" else node


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    """Statements are identities already; this is whether the step's rule led from side to side."""
    before, after = read_side(step["before"])[0], read_side(step["after"])[0]
    good = _JUDGES[step["rule"]](before, after, step["after"])
    return "" if good else f"`{step['after']}` is not what {step['rule']!r} makes of this"


def _sum(before: Node, after: Node, text: str) -> bool:
    pieces = [(s, n[2]) for s, n in terms(after) if n[0] == "call"]
    old, new = terms(calls(before)[0]), [t for s, n in pieces for t in terms(n, s)]
    return before[0] == "call" and 1 < len(pieces) == len(terms(after)) and old == new


def _drop(before: Node, after: Node, text: str) -> bool:
    stay = [one for one in calls(before) if one[0] != "num"]
    return len(stay) < len(calls(before)) and stay == calls(after) and "×" not in text


def _factor(before: Node, after: Node, text: str) -> bool:
    pairs = list(zip(terms(before), terms(after), strict=True))
    for (sign, old), (new_sign, new) in pairs:
        inner = old[2]
        if inner[0] == "×" and inner[1][0] == "num":
            expected = ("×", inner[1], ("call", "D", inner[2]))
        else:
            expected = old
        if sign != new_sign or new != expected:
            return False
    return before != after


def _power(before: Node, after: Node, text: str) -> bool:
    pure = all(one[0] == "x" or (one[0] == "^" and one[1][0] == "x") for one in calls(before))
    same = len(terms(before)) == len(terms(after))
    kept = [n[1] for _, n in terms(before) if n[0] == "×"]
    return (
        pure
        and same
        and not calls(after)
        and all(("×", one) in [(n[0], n[1]) for _, n in terms(after)] for one in kept)
    )


def _tidy(before: Node, after: Node, text: str) -> bool:
    spread = any(n[0] == "×" and "()" in (n[1][0], n[2][0]) for _, n in terms(before))
    if spread or calls(before) or "×" in text:
        return False
    return len(terms(after)) >= len(terms(before))


def _outer(before: Node, after: Node, text: str) -> bool:
    inner = calls(before)[0]
    return inner[0] == "×" and after == ("×", inner[1], ("call", "D", _plain(inner[2])))


def _product(before: Node, after: Node, text: str) -> bool:
    inner = calls(before)[0]
    if inner[0] != "×" or inner[1][0] != "()":
        return False
    left, right = inner[1], inner[2]
    slopes = [("call", "D", _plain(one)) for one in (left, right)]
    return after == ("+", ("×", slopes[0], right), ("×", left, slopes[1]))


def _chain(before: Node, after: Node, text: str) -> bool:
    """Every D of a power of brackets became outer derivative × D(brackets); the rest stayed."""
    old, new = terms(before), terms(after)
    if len(old) != len(new):
        return False
    for (sign, one), (new_sign, other) in zip(old, new, strict=True):
        body = one[2][2] if one[2][0] == "×" else one[2]
        if body[0] != "^" or body[1][0] != "()":
            if (sign, one) != (new_sign, other):
                return False
            continue
        if other[0] != "×" or other[2] != ("call", "D", body[1][1]) or calls(other[1]):
            return False
        if sign != new_sign or poly(other) != poly(one):
            return False
    return before != after


def _terms(before: Node, after: Node, text: str) -> bool:
    """Every D was of a plain polynomial and was worked out; products and powers stayed."""
    plain = not any(_bracketed(one) for one in calls(before))
    kept = _powers(before) == _powers(after) and "×" in text
    return plain and kept and bool(calls(before)) and not calls(after)


def _powers(node: Node) -> list[Node]:
    """The powers of brackets in a tree."""
    if node[0] == "^" and node[1][0] == "()":
        return [node]
    if node[0] == "call" or not any(isinstance(kid, tuple) for kid in node):
        return []
    return [one for kid in node[1:] if isinstance(kid, tuple) for one in _powers(kid)]


def _bracketed(node: Node) -> bool:
    return node[0] == "()" or any(isinstance(kid, tuple) and _bracketed(kid) for kid in node)


def _expand(before: Node, after: Node, text: str) -> bool:
    wanted = 0
    for _, one in terms(before):
        sizes = [len(terms(_plain(kid))) for kid in one[1:]]
        wanted += sizes[0] * sizes[1] if one[0] == "×" else 1
    return not calls(before) and "(" not in text and len(terms(after)) == wanted


def _collect(before: Node, after: Node, text: str) -> bool:
    return "(" not in text and text == written(poly(after)) and not _bracketed(before)


_JUDGES: dict[str, Any] = {
    "sum": _sum, "drop": _drop, "factor": _factor, "power": _power, "tidy": _tidy,
    "outer": _outer, "product": _product, "chain": _chain, "terms": _terms, "expand": _expand,
    "collect": _collect,
}  # fmt: skip


def link_fault(question: Question, step: Step) -> str:
    """A step told in short must be one of the rules."""
    for rule in _JUDGES:
        try:
            if not step_fault(question, {**step, "rule": rule}, {}):
                return ""
        except (ValueError, IndexError, TypeError):
            continue
    return f"`{step['after']}` is not one step away from `{step['before']}`"


def _each(node: Node, twist: Any) -> Poly:
    """A sum with every term c x^n replaced by twist(c, n)."""
    found: Poly = ()
    for n, c in enumerate(poly(node)):
        found = plus(found, twist(c, n)) if c else found
    return found


def _mono(c: Any, n: int) -> Poly:
    return trim([0] * n + [c])


def wrongs(question: Question) -> dict[str, Any]:
    node = asked(question)
    if node[0] == "×" and node[1][0] == "()":
        left, right = poly(node[1]), poly(node[2])
        found = {
            "each_alone": times(derivative(left), derivative(right)),
            "first_only": times(derivative(left), right),
        }
    elif ")^" in question.slots["formula"]:
        found = dict.fromkeys(("inner_forgotten", "inside_replaced", "exponent_kept"), ())
        for sign, one in terms(node):
            factor, body = (poly(one[1]), one[2]) if one[0] == "×" else ((1,), one)
            if body[0] == "^" and body[1][0] == "()":
                inner, n = poly(body[1]), int(body[2][1])
                outer = times(factor, (sign * n,))
                found["inner_forgotten"] = plus(
                    found["inner_forgotten"], times(outer, power(inner, n - 1))
                )
                found["inside_replaced"] = plus(
                    found["inside_replaced"], times(outer, power(derivative(inner), n - 1))
                )
                kept = times(times(outer, power(inner, n)), derivative(inner))
            else:
                slope = times(derivative(poly(one)), (sign,))
                kept = times(slope, (0, 1))
                for name in ("inner_forgotten", "inside_replaced"):
                    found[name] = plus(found[name], slope)
            found["exponent_kept"] = plus(found["exponent_kept"], kept)
    else:
        found = {
            "exponent_kept": _each(node, lambda c, n: _mono(c * n, n)),
            "factor_forgotten": _each(node, lambda c, n: _mono(c, n - 1) if n else ()),
        }
        if poly(node)[0]:
            found["number_kept"] = _each(node, lambda c, n: _mono(c * n, n - 1) if n else (c,))
    return {name: list(p) for name, p in found.items()}


def measure(question: Question) -> dict[str, Any]:
    text, node = question.slots["formula"], asked(question)
    powers = [int(n) for n in re.findall(r"\)\^(\d+)", text)]
    if node[0] == "×" and node[1][0] == "()":
        form, degree = "product", len(poly(node)) - 1
    elif not powers:
        form, degree = "multiple" if "(" in text[2:] else "sum", len(poly(node)) - 1
    elif "x^2" in re.sub(r"\)[^(]*$", ")", text):
        form, degree = "inner", max(powers)
    else:
        form = "chains" if len(powers) > 1 else "chain" if "(" in text[-5:] else "chain_sum"
        form = "chain" if len(terms(node)) == 1 else form
        degree = max(powers)
    return {
        "form": form,
        "terms": len(re.findall(r"[-+] ", text)) + 1 + (form == "product"),
        "degree": degree,
        "largest": max([int(n) for n in re.findall(r"(?<![\^\d])\d+", text)] or [1]),
    }
