"""Linear equations, every step proved with polynomials over the rationals (SymPy)."""

import re
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import Node, number, parse
from stillroom.worlds.lessons.routes import Question, Step


@cache
def _ring() -> tuple[Any, Any, Any]:
    from sympy import QQ  # takes a third of a second, so only when an equation is met
    from sympy.polys.rings import ring

    ring_of_x, x = ring("x", QQ)
    return ring_of_x, x, QQ


def _polynomial(node: Node) -> Any:
    ring_of_x, x, rationals = _ring()
    head = node[0]
    if head == "num":
        value = Fraction(number(node[1]))
        return ring_of_x(rationals(value.numerator, value.denominator))
    if head == "x":
        return x
    if head == "()":
        return _polynomial(node[1])
    if head == "neg":
        return -_polynomial(node[1])
    if head in ("+", "-", "×", "÷", "/"):
        left, right = _polynomial(node[1]), _polynomial(node[2])
        if head == "+":
            return left + right
        if head == "-":
            return left - right
        if head == "×":
            return left * right
        if not right.is_ground or not right:
            raise ValueError("division by something other than a number")
        return left.quo_ground(right.coeff(1))
    raise ValueError(f"{head!r} has no place in a linear equation")


@lru_cache(maxsize=20_000)
def sides(text: str) -> tuple[Any, Any]:
    """Both sides of an equation as polynomials in x."""
    formula = parse(text)
    if formula.relations != ("=",):
        raise ValueError(f"`{text}` is no equation")
    return _polynomial(formula.sides[0]), _polynomial(formula.sides[1])


@lru_cache(maxsize=20_000)
def root(text: str) -> Fraction:
    """The one solution; ValueError when there is none, or more than one, or x^2 occurs."""
    left, right = sides(text)
    gap = left - right
    _, x, _ = _ring()
    if gap.degree() != 1:
        raise ValueError(f"`{text}` has no single solution")
    solution = -gap.coeff(1) / gap.coeff(x)
    return Fraction(int(solution.numerator), int(solution.denominator))


def start(question: Question) -> str:
    return question.slots["equation"]


def answer_fault(question: Question, answer: str) -> str:
    solution = root(question.slots["equation"])
    expected = f"x = {solution}"
    return "" if answer == expected else f"the solution is {expected}, and not {answer}"


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if root(before) != root(after):
        return f"`{before}` has the solution {root(before)}, `{after}` has {root(after)}"
    (left, right), (new_left, new_right) = sides(before), sides(after)
    if rule in ("expand", "collect"):
        if (left, right) != (new_left, new_right):
            return "a side changed its value"
        if rule == "expand" and ("(" in after or "(" not in before):
            return "this does not multiply out"
        if rule == "collect" and ("(" in before or len(after) >= len(before)):
            return "this does not put like terms together"
        return ""
    term = _polynomial(parse(slots["term"]).sides[0])
    if rule == "add_both":
        good = (new_left, new_right) == (left + term, right + term)
    elif rule == "subtract_both":
        good = (new_left, new_right) == (left - term, right - term)
    elif rule == "multiply_both":
        good = (new_left, new_right) == (left * term, right * term)
    elif rule == "divide_both":
        good = (new_left * term, new_right * term) == (left, right)
    else:
        return f"no rule {rule!r} here"
    return "" if good else f"{rule} with `{slots['term']}` does not lead to `{after}`"


def wrongs(question: Question) -> dict[str, Any]:
    text = question.slots["equation"]
    left_text, _, right_text = text.partition(" = ")
    bar = re.search(r"/(\d+)$", left_text)
    times = int(bar[1]) if bar else 1
    left, right = sides(text)
    _, x, _ = _ring()
    a, b, c, d = (
        Fraction(int(v.numerator), int(v.denominator)) * times
        for v in (left.coeff(x), left.coeff(1), right.coeff(x), right.coeff(1))
    )
    found = {"sign_kept": (d + b) / (a - c), "subtracts_factor": d - b - (a - c)}
    if a + c:
        found["x_sign_kept"] = (d - b) / (a + c)
    if bar:
        found["bar_ignored"] = d / times - b
    else:
        # The first bracket without its factor on the second term.
        loose = re.sub(r"\((x [-+] \d+)\)", r"\1", left_text, count=1)
        if loose != left_text:
            if left_text.startswith("-"):
                return found
            found["first_term_only"] = root(f"{loose} = {right_text}")
    return found


def measure(question: Question) -> dict[str, Any]:
    text = question.slots["equation"]
    left, right = text.split(" = ")
    brackets = left.count("("), right.count("(")
    if "/" in left:
        form = "over"
    elif brackets == (1, 1):
        form = "brackets_both_sides"
    elif brackets[0] == 2:
        form = "two_brackets"
    elif brackets == (1, 0):
        form = "bracket_and_x" if "x" in right else "bracket"
    elif "x" in right:
        form = "both_sides"
    elif left.startswith("x"):
        form = "shift"
    else:
        form = "two_steps" if " " in left else "scale"
    plain = [int(n) for n in re.findall(r"(?<![(\d])\d+(?![\dx(])", re.sub(r"\([^)]*\)", "", text))]
    return {
        "form": form,
        "answer": "whole" if root(text).denominator == 1 else "fraction",
        "largest": max(plain, default=0),
    }
