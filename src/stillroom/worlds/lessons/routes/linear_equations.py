"""Linear equations as two straight lines that must go on crossing at the same x."""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import Node, number, parse
from stillroom.worlds.lessons.routes import Question, Step

Line = tuple[int | Fraction, int | Fraction]
"""A side: its value at x = 0, and by how much it grows when x grows by one."""


def _line(node: Node) -> Line:
    head = node[0]
    if head == "num":
        return number(node[1]), 0
    if head == "x":
        return 0, 1
    if head == "()":
        return _line(node[1])
    if head == "neg":
        at_zero, slope = _line(node[1])
        return -at_zero, -slope
    if head not in ("+", "-", "×", "÷", "/"):
        raise ValueError(f"{head!r} has no place in a linear equation")
    (a, b), (c, d) = _line(node[1]), _line(node[2])
    if head == "+":
        return a + c, b + d
    if head == "-":
        return a - c, b - d
    if head == "×":
        if b and d:
            raise ValueError("a product of two terms with x")
        return a * c, a * d + b * c
    if d or not c:
        raise ValueError("division by something other than a number")
    return Fraction(a, 1) / c, Fraction(b, 1) / c


@lru_cache(maxsize=4_000)
def _side(text: str) -> Line:
    return _line(parse(text).sides[0])


@lru_cache(maxsize=4_000)
def sides(text: str) -> tuple[Line, Line]:
    """Both sides of an equation as straight lines."""
    formula = parse(text)
    if formula.relations != ("=",):
        raise ValueError(f"`{text}` is no equation")
    return _line(formula.sides[0]), _line(formula.sides[1])


@lru_cache(maxsize=4_000)
def root(text: str) -> Fraction:
    """Where the two lines cross; ValueError when they don't, or are the same."""
    (a, b), (c, d) = sides(text)
    if b == d:
        raise ValueError(f"`{text}` has no single solution")
    return Fraction(c - a) / (b - d)


def _moved(line: Line, by: Line, sign: int = 1) -> Line:
    return line[0] + sign * by[0], line[1] + sign * by[1]


def _scaled(line: Line, factor: int | Fraction) -> Line:
    return line[0] * factor, line[1] * factor


def start(question: Question) -> str:
    return question.slots["equation"]


def answer_fault(question: Question, answer: str) -> str:
    solution = root(question.slots["equation"])
    expected = f"x = {solution}"
    return "" if answer == expected else f"the solution is {expected}, and not {answer}"


def proof_fault(question: Question, proof: str) -> str:
    """The proof is the equation itself with the solution in every place of x."""
    text = str(root(question.slots["equation"]))
    put = re.sub(r"(\d)x", rf"\1 × {text}", question.slots["equation"]).replace("x", text)
    good = proof.replace(f"({text})", text) == put.replace(f"({text})", text)
    return "" if good else f"this is not the equation with {text} in the place of x"


def x_fault(text: str) -> str:
    """Formulas with x are equations here; the steps compare what solves them."""
    return ""


def _terms(text: str) -> int:
    """How many terms a side or an equation has, those in brackets counted singly."""
    return len(re.findall(r" [-+=] ", text)) + 1


def _collected(text: str) -> bool:
    """Whether each side has at most one term with x and one number, and no brackets."""
    texts = text.split(" = ")
    return "(" not in text and all(
        _terms(one) == max(1, bool(side[0]) + bool(side[1]))
        for one, side in zip(texts, sides(text), strict=True)
    )


def _rewriting_fault(rule: str, before: str, after: str) -> str:
    """The sides keep their values: brackets multiplied out, or like terms put together."""
    if sides(before) != sides(after):
        return "a side changed its value"
    if rule == "expand":
        if "(" in after or "(" not in before or _terms(after) != _terms(before):
            return "this does not multiply out and nothing else"
    elif "(" in before or _collected(before) or not _collected(after):
        return "this does not put like terms together and nothing else"
    return ""


def link_fault(question: Question, step: Step) -> str:
    """An equation told in short must follow from the one before by one rule."""
    before, after = step["before"], step["after"]
    if root(before) != root(after):
        return f"`{before}` has the solution {root(before)}, `{after}` has {root(after)}"
    if sides(before) == sides(after):
        rule = "expand" if "(" in before else "collect"
        return _rewriting_fault(rule, before, after)
    (left, right), (new_left, new_right) = sides(before), sides(after)
    gap = _moved(left, new_left, -1)
    same = gap == _moved(right, new_right, -1) and (not gap[0] or not gap[1])
    lead, new_lead = left[1] or left[0], new_left[1] or new_left[0]
    olds, news = (_scaled(line, new_lead) for line in (left, right)), (new_left, new_right)
    scaled = tuple(olds) == tuple(_scaled(line, lead) for line in news)
    if not (same or scaled):
        return f"`{after}` is more than one step away from `{before}`"
    return _both_fault("", before, after)


def _both_fault(rule: str, before: str, after: str) -> str:
    """What is done to both sides is done to sides without brackets, and leaves such sides."""
    barred = re.match(r"\(.*\)/\d+ = ", before)
    if not _collected(after) or not (barred or _collected(before)):
        return "brackets or like terms come first"
    if bool(barred) != (rule == "multiply_both") and rule:
        return "the fraction bar comes first" if barred else "there is no fraction bar"
    return ""


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if fault := link_fault(question, step):
        return fault
    if rule in ("expand", "collect"):
        return _rewriting_fault(rule, before, after)
    if fault := _both_fault(rule, before, after):
        return fault
    (left, right), (new_left, new_right) = sides(before), sides(after)
    term = _side(slots["term"])
    if not re.fullmatch(r"-?\d*x?", slots["term"]) or not any(term):
        return f"`{slots['term']}` is no single term"
    if rule in ("add_both", "subtract_both"):
        sign = 1 if rule == "add_both" else -1
        good = (new_left, new_right) == (_moved(left, term, sign), _moved(right, term, sign))
    elif rule in ("multiply_both", "divide_both"):
        old, new = ((left, right), (new_left, new_right))[:: 1 if rule == "multiply_both" else -1]
        good = not term[1] and new == (_scaled(old[0], term[0]), _scaled(old[1], term[0]))
        good &= rule == "multiply_both" or after.startswith("x = ")
    else:
        return f"no rule {rule!r} here"
    return "" if good else f"{rule} with `{slots['term']}` does not lead to `{after}`"


def wrongs(question: Question) -> dict[str, Any]:
    text = question.slots["equation"]
    left_text, _, right_text = text.partition(" = ")
    bar = re.search(r"/(\d+)$", left_text)
    times = int(bar[1]) if bar else 1
    (b, a), (d, c) = ((_scaled(side, times)) for side in sides(text))
    a, b, c, d = (Fraction(v) for v in (a, b, c, d))
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
    elif sum(brackets) > 2:
        form = "many_brackets"
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
        "terms": _terms(text),
    }
