"""Products, checked by division; the parts are compared digit by digit."""

import re
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.routes import Question, Step

_PRODUCT = re.compile(r"(\d+) × (\d+)")
_PART = re.compile(r"[1-9]0*")

PROOF_SIGNS = {"divide": " ÷ ", "divide_first": " ÷ "}


def start(question: Question) -> str:
    return question.slots["formula"]


def _factors(question: Question) -> tuple[int, int]:
    found = _PRODUCT.fullmatch(question.slots["formula"])
    if not found:
        raise ValueError(f"`{question.slots['formula']}` is no product of two whole numbers")
    return int(found[1]), int(found[2])


def answer_fault(question: Question, answer: str) -> str:
    first, second = _factors(question)
    if not answer.isdigit() or divmod(int(answer), second) != (first, 0):
        return f"{answer} divided by {second} is not {first}"
    return ""


def _split(text: str) -> list[list[str]]:
    return [factor.strip("()").split(" + ") for factor in text.split(" × ")]


LINK_RULES = ("split", "distribute", "products", "rows", "total")


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    before, after, rule = step["before"], step["after"], step["rule"]
    if rule == "split":
        factors = _split(after)
        for number, parts in zip(_factors(question), factors, strict=True):
            if not all(map(_PART.fullmatch, parts)) or sum(map(int, parts)) != number:
                return f"`{after}` does not split {number} into its place values"
        if sorted(after.count(mark) for mark in "()") != [sum(len(p) > 1 for p in factors)] * 2:
            return f"the brackets of `{after}`"
        return ""
    if rule == "distribute":
        left, right = _split(before)
        right_text = " + ".join(f"{a} × {b}" for a in left for b in right)
        return "" if after == right_text else f"expected `{right_text}`"
    if rule == "products":
        pairs = [_PRODUCT.fullmatch(pair) for pair in before.split(" + ")]
        if not all(pairs):
            return f"`{before}` is no sum of products"
        right_text = " + ".join(str(int(p[1]) * int(p[2])) for p in pairs if p)
        return "" if after == right_text else f"expected `{right_text}`"
    terms = [int(term) for term in before.split(" + ")]
    if rule == "rows":
        width = len(str(_factors(question)[1]).replace("0", ""))
        rows = [sum(terms[i : i + width]) for i in range(0, len(terms), width)]
        right_text = " + ".join(map(str, rows))
        return "" if after == right_text else f"expected `{right_text}`"
    if rule == "total":
        return "" if after == str(sum(terms)) else f"expected `{sum(terms)}`"
    return f"no rule {rule!r} here"


def proof_fault(question: Question, proof: str) -> str:
    """A proof is a single division."""
    fits = re.fullmatch(r"\d+ ÷ \d+ = \d+", proof)
    return "" if fits else "this is not one operation that goes back"


def wrongs(question: Question) -> dict[str, Any]:
    first, second = _factors(question)
    place = 10 ** (len(str(first)) - 1)
    digit, rest = divmod(first, place)
    found = {
        "forgotten_part": digit * place * second + rest,
        "lost_zeros": digit * second + rest * second,
        "zero_too_many": digit * place * 10 * second + rest * second,
    }
    if second > 9:
        digits = zip(str(first)[::-1], str(second)[::-1], strict=False)
        found["like_places_only"] = sum(int(a) * int(b) * 100**i for i, (a, b) in enumerate(digits))
    return found


def measure(question: Question) -> dict[str, Any]:
    first, second = _factors(question)
    digits = [len(str(number).replace("0", "")) for number in (first, second)]
    return {"first": first, "second": second, "products": digits[0] * digits[1]}
