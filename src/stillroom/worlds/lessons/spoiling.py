"""The verb `spoil`: faults of the kinds that makers of lessons really make.

A fault is planted in the text, and the data are read again from the faulty text where that can
still be read, so that only a checker that understands the lesson can notice.
"""

import re
from collections.abc import Callable

import numpy as np

from stillroom.world import Data
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.locales import locales
from stillroom.worlds.lessons.pieces import (
    Spans,
    formulas_in,
    items,
    put,
    spans_of,
    step_lines,
    with_steps,
)
from stillroom.worlds.lessons.reading import read, spans
from stillroom.worlds.lessons.retelling import wrong_reason, wrong_rule
from stillroom.worlds.lessons.symbols import AUDIENCES

Fault = Callable[[Data, Spans, Dice], str | None]
_SIGNS = {" + ": " - ", " - ": " + ", " × ": " + ", "∪": "∩", "∩": "∪"}
_SIGNS |= {" and ": " or ", " or ": " and "}
_LADDERS = (("mm", "cm", "m", "km"), ("mg", "g", "kg", "t"), ("ml", "cl", "l"), ("s", "min", "h"))


def spoil(data: Data, rng: np.random.Generator) -> tuple[str, Data]:
    """One fault: (its kind, a faulty copy)."""
    dice, places = Dice(rng), spans(data["text"])
    for kind in dice.some(tuple(_FAULTS), len(_FAULTS)):
        text = _FAULTS[kind](data, places, dice)
        if text is not None and text != data["text"]:
            try:
                return kind, read({}, text)
            except ValueError:
                return kind, {**data, "text": text}
    text = _wrong_level(data, places, dice)
    return "wrong_level", read({}, text or "")


def _nudge(formula: str, dice: Dice) -> str | None:
    """The formula with one digit or truth value changed."""
    # A string is a name or a program: changing it may change nothing that is asked for.
    places = [m.start() for m in re.finditer(r'"[^"]*"|\d', formula) if m[0].isdigit()]
    if not places:
        letters = [m.start() for m in re.finditer(r"\b[TF]\b", formula)]
        if not letters:
            return None
        at = dice.pick(letters)
        return f"{formula[:at]}{'F' if formula[at] == 'T' else 'T'}{formula[at + 1 :]}"
    at = dice.pick(places)
    leading = at == 0 or not formula[at - 1].isdigit()
    new = dice.pick([d for d in "0123456789" if d != formula[at] and not (leading and d == "0")])
    return f"{formula[:at]}{new}{formula[at + 1 :]}"


def _told_in(data: Data, places: Spans, dice: Dice) -> list[tuple[int, int, str]]:
    """The formulas of one worked step or of one solution."""
    return formulas_in(data, *dice.pick(spans_of(places, "step", "step_again", "solution")))


def _wrong_digit(data: Data, places: Spans, dice: Dice) -> str | None:
    """A digit of the result of a statement; results are plain values, so it turns false."""
    found = [one for one in _told_in(data, places, dice) if " = " in one[2]]
    if not found:
        return None
    begin, end, formula = dice.pick(found)
    start, _, result = formula.rpartition(" = ")
    new = _nudge(result, dice)
    return None if new is None else put(data, begin, end, f"{start} = {new}")


def _wrong_state(data: Data, places: Spans, dice: Dice) -> str | None:
    """A digit of a state that turns into another."""
    found = [one for one in _told_in(data, places, dice) if " → " in one[2]]
    if not found:
        return None
    begin, end, formula = dice.pick(found)
    new = _nudge(formula, dice)
    return None if new is None else put(data, begin, end, new)


def _answers(data: Data, places: Spans) -> list[tuple[int, int, str]]:
    """Where the answers stand by themselves: in the solutions, and after the worked steps."""
    (_, stop), worked = items(places)[-1], spans_of(places, "worked")[0]
    told = [*spans_of(places, "solution"), (stop, worked[1])]
    answers = [block["answer"] for block in (*data["exercises"], data["worked"])]
    found = []
    for place, answer in zip(told, answers, strict=True):
        found += [one for one in formulas_in(data, *place) if one[2] == answer][:1]
    return found


def _wrong_answer(data: Data, places: Spans, dice: Dice) -> str | None:
    begin, end, answer = dice.pick(_answers(data, places))
    new = _nudge(answer, dice)
    if new is None or new.endswith("}"):  # in a set another digit may be an old element
        return None
    return put(data, begin, end, new)


def _answer_of_another(data: Data, places: Spans, dice: Dice) -> str | None:
    here, there = dice.some(_answers(data, places), 2)
    return put(data, here[0], here[1], there[2])


def _unit_slip(data: Data, places: Spans, dice: Dice) -> str | None:
    begin, end, answer = dice.pick(_answers(data, places))
    number, _, unit = answer.rpartition(" ")
    ladder = next((ladder for ladder in _LADDERS if unit in ladder), ())
    if not number or not ladder:
        return None
    return put(data, begin, end, f"{number} {dice.pick([u for u in ladder if u != unit])}")


def _sign_slip(data: Data, places: Spans, dice: Dice) -> str | None:
    """A plus for a minus, or the other way round, on the right of a step."""
    found = [
        (begin + at.start(), sign)
        for begin, _, formula in _told_in(data, places, dice)
        for sign in _SIGNS
        for at in re.finditer(re.escape(sign), formula)
        if at.start() > formula.find(" = ") > 0
    ]
    if not found:
        return None
    at, sign = dice.pick(found)
    return put(data, at, at + len(sign), _SIGNS[sign])


def _dropped_step(data: Data, places: Spans, dice: Dice) -> str | None:
    lines = step_lines(data, places)
    if len(lines) < 2:
        return None
    del lines[dice.between(0, len(lines) - 1)]
    return with_steps(data, places, lines)


def _swapped_steps(data: Data, places: Spans, dice: Dice) -> str | None:
    lines = step_lines(data, places)
    if len(lines) < 2:
        return None
    at = dice.between(0, len(lines) - 2)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return with_steps(data, places, lines)


def _mistake_as_right(data: Data, places: Spans, dice: Dice) -> str | None:
    text: str = data["text"]
    return text.replace(" ≠ ", " = ", 1)


def _other_misconception(data: Data, places: Spans, dice: Dice) -> str | None:
    """A wrong answer that the named misconception does not give."""
    wrong = data["mistake"]["wrong"]
    new = _nudge(wrong, dice)
    if new is None or new == data["worked"]["answer"] or "{" in wrong or wrong in "TF":
        return None
    begin, end = spans_of(places, "history", "counterexample")[0]
    part = data["text"][begin:end]
    part = part.replace(f"`{wrong}`", f"`{new}`").replace(f"≠ {wrong}`", f"≠ {new}`")
    return put(data, begin, end, part)


def _wrong_question(data: Data, places: Spans, dice: Dice) -> str | None:
    """Another number in a question, with the solution left as it was."""
    begin, end = dice.pick(spans_of(places, "question"))
    question = data["text"][begin:end]
    new = _nudge(question, dice)
    # In a set another digit may be an element already there, in a network an idle road.
    if new is None or "{" in question or "[[" in question:
        return None
    return put(data, begin, end, new)


def _wrong_in_between(data: Data, places: Spans, dice: Dice) -> str | None:
    """An intermediate result, wrong in both places where it stands; the answer stays right."""
    steps = data["worked"]["steps"]
    if len(steps) < 2 or len(spans_of(places, "step")) != len(steps):
        return None
    at = dice.between(0, len(steps) - 2)
    middle = steps[at]["after"]
    new = _nudge(middle, dice)
    if new is None or middle != steps[at + 1]["before"] or len(middle) < 3 or "{" in middle:
        return None
    begin, end = spans_of(places, "step")[at][0], spans_of(places, "step")[at + 1][1]
    part: str = data["text"][begin:end]
    for old, other in ((f"`{middle}", f"`{new}"), (f"= {middle}`", f"= {new}`")):
        part = part.replace(old, other)
    return None if re.search(r"\b[TF]\b", middle) else put(data, begin, end, part)


def _other_name(data: Data, places: Spans, dice: Dice) -> str | None:
    """A person who turns into another halfway."""
    text: str = data["text"]
    names = locales()[data["locale"]].names
    found = [m for m in re.finditer(r"[^\W\d_]+", text) if m[0] in names]
    words = [m[0] for m in found]
    last = next((m for m in reversed(found) if words.count(m[0]) > 1), None)
    others = [name for name in names if name not in words]
    if last is None:
        return None
    return put(data, last.start(), last.end(), dice.pick(others))


def _wrong_audience(data: Data, places: Spans, dice: Dice) -> str | None:
    other = dice.pick([name for name in AUDIENCES if name != data["audience"]])
    text: str = data["text"]
    return text.replace(f" · {data['audience']} · ", f" · {other} · ", 1)


def _wrong_level(data: Data, places: Spans, dice: Dice) -> str | None:
    level = dice.pick([n for n in range(1, 11) if n != data["level"]])
    text: str = data["text"]
    return text.replace(f"*Level {data['level']} ", f"*Level {level} ", 1)


_FAULTS: dict[str, Fault] = {
    "wrong_digit": _wrong_digit,
    "wrong_state": _wrong_state,
    "wrong_answer": _wrong_answer,
    "answer_of_another": _answer_of_another,
    "unit_slip": _unit_slip,
    "sign_slip": _sign_slip,
    "dropped_step": _dropped_step,
    "swapped_steps": _swapped_steps,
    "wrong_rule": wrong_rule,
    "wrong_reason": wrong_reason,
    "mistake_as_right": _mistake_as_right,
    "other_misconception": _other_misconception,
    "wrong_question": _wrong_question,
    "wrong_in_between": _wrong_in_between,
    "other_name": _other_name,
    "wrong_audience": _wrong_audience,
    "wrong_level": _wrong_level,
}
