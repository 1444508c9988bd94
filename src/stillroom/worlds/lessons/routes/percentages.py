"""Percentages, checked by going back: from the answer to what the question began with."""

import re
from fractions import Fraction
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step

_PART = re.compile(r"((?:\d+% × )+)(\d+)")
_FACTOR = {"up": 1, "down": -1}

PROOF_SIGNS = {
    "compare": " ÷ ",
    "share": " ÷ ",
    "take_share": "% × ",
    "go_forward": "% × ",
    "undo": " ÷ ",
}


def start(question: Question) -> str:
    return question.slots.get("formula", "")


def _asked(question: Question) -> tuple[Fraction, list[Fraction]]:
    """The first number of a question and the other ones; of a formula: the amount, the percents."""
    if question.family == "part":
        found = _PART.fullmatch(question.slots["formula"])
        if not found:
            raise ValueError(f"`{question.slots['formula']}` is no percentage of a number")
        return Fraction(found[2]), [Fraction(n) for n in re.findall(r"\d+", found[1])]
    numbers = [Fraction(v) for k, v in sorted(question.slots.items()) if k.startswith("number")]
    return numbers[0], numbers[1:]


def _changes(family: str, percents: list[Fraction]) -> list[Fraction]:
    """What each rise or fall multiplies a price by."""
    ways = family.removeprefix("before_").split("_")
    return [1 + _FACTOR[way] * p / 100 for way, p in zip(ways, percents, strict=True)]


def answer_fault(question: Question, answer: str) -> str:
    family = question.family
    first, others = _asked(question)
    found = Fraction(value(answer))
    if not re.fullmatch(r"\d+(\.\d*[1-9])?%?", answer) or (
        answer.endswith("%") != (family in ("which", "rise", "fall"))
    ):
        return f"`{answer}` is not written as it should be"
    if family == "part":
        for percent in others:
            found = found * 100 / percent
        return "" if found == first else f"`{answer}` would be that share of {found}"
    if family in ("which", "rise", "fall"):
        sign = {"which": 0, "rise": 1, "fall": -1}[family]
        back = first * (1 + sign * found) if sign else first * found
        return "" if back == others[0] else f"`{answer}` would lead to {back}"
    changes = _changes(family, others)
    if family.startswith("before"):
        back = found * changes[0]
        return "" if back == first else f"`{answer}` would now cost {back}"
    for change in reversed(changes):
        found /= change
    return "" if found == first else f"`{answer}` would have cost {found}"


def plan_of_steps(question: Question) -> tuple[str, ...]:
    family = question.family
    if family in ("which", "rise", "fall"):
        first, others = _asked(question)
        part = others[0] if family == "which" else abs(others[0] - first)
        middle = () if (part / first).denominator == 100 else ("of_hundred",)
        begin = () if family == "which" else ("how_much",)
        return (*begin, "ratio", *middle, "name")
    if family.startswith("before"):
        return ("grown" if family == "before_up" else "left", "one_of_old", "hundred")
    if family in _FACTOR:
        return ("one_percent", "so_many", "add_on" if family == "up" else "take_off")
    rules: list[str] = []
    for way in family.split("_"):
        rule = {"up": "raise", "down": "lower"}[way]
        rules.append(f"{rule}_again" if rule in rules else rule)
    return tuple(rules)


LINK_RULES = ("hundredths", "one_bar", "products", "shift")


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    if question.family == "part":
        return _part_fault(step)
    before, after = step["before"], step["after"]
    expected = _expected(question, step["rule"])
    # 1/4 and 0.25 are written alike only when both texts are compared as they stand.
    if before != expected:
        return f"expected `{expected}`, and not `{before}`"
    if value(before) != value(after):
        return f"`{before}` is not `{after}`"
    marks = {"of_hundred": r"\d+/100", "name": r"\d+%", "ratio": r"\d+/\d+"}
    marks |= {"grown": r"\d+%", "left": r"\d+%"}
    if not re.fullmatch(marks.get(step["rule"], r"\d+(\.\d*[1-9])?"), after):
        return f"`{after}` is not what this rule gives"
    for name, text in slots.items():
        right = before.partition(" ")[0] if name == "price" else before.split(" ")[2]
        if text != right:
            return f"`{text}` is said, and `{right}` is right"
    return ""


def _text(number: Fraction) -> str:
    """A number with a finite decimal expansion, by long division."""
    whole, rest = divmod(number.numerator, number.denominator)
    digits = ""
    while rest and len(digits) < 12:
        digit, rest = divmod(rest * 10, number.denominator)
        digits += str(digit)
    return f"{whole}.{digits}" if digits else str(whole)


def _expected(question: Question, rule: str) -> str:
    """What the step of a rule has to work out."""
    first, others = _asked(question)
    family, second = question.family, others[0]
    if family in ("which", "rise", "fall"):
        part = second if family == "which" else abs(second - first)
        texts = {
            "how_much": f"{max(first, second)} - {min(first, second)}",
            "ratio": f"{part} ÷ {first}",
            "of_hundred": str(part / first),
            "name": f"{part / first * 100}/100",
        }
        return texts[rule]
    if family.startswith("before"):
        rest = _changes(family, others)[0] * 100
        sign = "+" if family == "before_up" else "-"
        texts = {
            "one_of_old": f"{first} ÷ {rest}",
            "hundred": f"100 × {_text(first / rest)}",
        }
        return texts.get(rule, f"100% {sign} {second}%")
    if family in _FACTOR:
        part = first * second / 100
        texts = {
            "one_percent": f"{first} ÷ 100",
            "so_many": f"{second} × {_text(first / 100)}",
            "add_on": f"{first} + {_text(part)}",
            "take_off": f"{first} - {_text(part)}",
        }
        return texts[rule]
    place, price = plan_of_steps(question).index(rule), first
    for change in _changes(family, others)[:place]:
        price *= change
    sign = "+" if rule.startswith("raise") else "-"
    return f"{_text(price)} {sign} {others[place]}% × {_text(price)}"


def _part_fault(step: Step) -> str:
    """Whether a link of the chain is the rewriting that its rule says."""
    before, after, rule = step["before"], step["after"], step["rule"]
    if rule == "hundredths":
        expected = before.replace("%", "/100")
    elif rule == "one_bar":
        tops = " × ".join(re.sub(r"/100", "", before).split(" × "))
        hundreds = " × ".join(["100"] * before.count("/100"))
        expected = f"({tops})/({hundreds})" if "×" in hundreds else f"({tops})/100"
    elif rule == "products":
        above, below = before.rsplit("/", 1)
        expected = f"{value(above)}/{value(below)}"
    elif rule == "shift":
        expected = _text(Fraction(before))
    else:
        return f"no rule {rule!r} here"
    return "" if after == expected else f"expected `{expected}`"


def proof_fault(question: Question, proof: str) -> str:
    """A proof is one statement that does not begin with the question again."""
    again = proof.count(" = ") != 1 or question.slots.get("formula", proof + "?") in proof
    return "this repeats the steps" if again else ""


def wrongs(question: Question) -> dict[str, Any]:
    family = question.family
    first, others = _asked(question)
    if family == "part":
        right = Fraction(value(question.slots["formula"]))
        found = {"tenths": first, "no_hundredths": first}
        for percent in others:
            found["tenths"] *= percent / 10
            found["no_hundredths"] *= percent
        return found | ({"subtracted": first - right} if len(others) == 1 else {})
    second = others[0]
    if family in ("which", "rise", "fall"):
        part = second if family == "which" else abs(second - first)
        found = {"part_as_percent": part / 100, "ratio_as_percent": part / first / 100}
        extra = {"the_others": 1 - part / first, "new_as_share": second / first}
        name = "the_others" if family == "which" else "new_as_share"
        return found | {name: extra[name]}
    signs = [_FACTOR[way] for way in family.removeprefix("before_").split("_")]
    total = sum((s * p for s, p in zip(signs, others, strict=True)), Fraction(0))
    if family.startswith("before"):
        return {
            "percent_of_new": first * (1 - total / 100),
            "as_money": first - total,
            "once_more": first * (1 + total / 100),
        }
    found = {"as_money": first + total}
    if len(others) > 1:
        return found | {"percents_added": first * (1 + total / 100)}
    return found | {
        "part_alone": first * second / 100,
        "wrong_way": first * (1 - total / 100),
    }


def measure(question: Question) -> dict[str, Any]:
    family = question.family
    first, others = _asked(question)
    percents, whole = others, first
    if family in ("which", "rise", "fall"):
        part = others[0] if family == "which" else abs(others[0] - first)
        percents = [part / first * 100]
    elif family.startswith("before"):
        whole = first / _changes(family, others)[0]
    grains = [10 if p % 10 == 0 else 5 if p % 5 == 0 else 1 for p in percents]
    return {
        "family": family,
        "percents": len(percents),
        "grain": (min(grains), max(grains)),
        "number": whole,
    }
