"""The verb `spoil`: faults of the kinds that makers of lessons really make.

A fault is planted in the text, and the data are read again from the faulty text, so that only a
checker that understands the lesson can notice.
"""

import re
from collections.abc import Callable

import numpy as np

from stillroom.world import Data
from stillroom.worlds.lessons import content as contents
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.reading import read

Fault = Callable[[Data, Dice], str | None]
_FORMULA = re.compile(r"`([^`\n]+)`")


def spoil(data: Data, rng: np.random.Generator) -> tuple[str, Data]:
    """One fault: (its kind, a faulty copy)."""
    dice = Dice(rng)
    for kind in dice.some(tuple(_FAULTS), len(_FAULTS)):
        text = _FAULTS[kind](data, dice)
        if text is not None and text != data["text"]:
            try:
                return kind, read({}, text)
            except ValueError:
                return kind, {**data, "text": text}
    return "wrong_level", read({}, _wrong_level(data, dice))


def _lines(data: Data, after: str, until: str = "") -> list[int]:
    """The numbers of the lines between two headings."""
    lines = data["text"].split("\n")
    start = lines.index(after)
    end = lines.index(until) if until else len(lines)
    return list(range(start + 1, end))


def _with_line(data: Data, place: int, line: str) -> str:
    lines = data["text"].split("\n")
    lines[place] = line
    return "\n".join(lines)


def _step_groups(data: Data) -> list[list[int]]:
    """The line numbers of the steps, a list for each solution."""
    lines, groups = data["text"].split("\n"), []
    places = _lines(data, "## Worked example", "## A common mistake") + _lines(data, "## Solutions")
    for place in places:
        found = re.match(r"(\d+)\. ", lines[place])
        if found and found[1] == "1":
            groups.append([place])
        elif found:
            groups[-1].append(place)
    return groups


def _another_digit(digit: str, dice: Dice, leading: bool) -> str:
    return dice.pick([d for d in "0123456789" if d != digit and not (leading and d == "0")])


def _nudge(formula: str, dice: Dice) -> str | None:
    """The formula with one digit changed."""
    places = [m.start() for m in re.finditer(r"\d", formula)]
    if not places:
        swapped = {"T": "F", "F": "T"}
        letters = [m.start() for m in re.finditer(r"\b[TF]\b", formula)]
        if not letters:
            return None
        at = dice.pick(letters)
        return formula[:at] + swapped[formula[at]] + formula[at + 1 :]
    at = dice.pick(places)
    new = _another_digit(formula[at], dice, at == 0 or not formula[at - 1].isdigit())
    return formula[:at] + new + formula[at + 1 :]


def _wrong_digit(data: Data, dice: Dice) -> str | None:
    """A digit of the result of a step; results are plain values, so the statement turns false."""
    lines = data["text"].split("\n")
    place = dice.pick(dice.pick(_step_groups(data)))
    head, mark, tail = lines[place].rpartition("`. ")
    start, equals, result = head.rpartition(" = ")
    if not mark or not equals or "`" in result:
        return None
    new = _nudge(result, dice)
    return None if new is None else _with_line(data, place, f"{start} = {new}`. {tail}")


def _wrong_answer(data: Data, dice: Dice) -> str | None:
    lines = data["text"].split("\n")
    place = dice.pick([n for n, line in enumerate(lines) if line.startswith("**Answer.**")])
    new = _nudge(lines[place], dice)
    if new is None or new.endswith("}`"):  # in a set another digit may be an old element
        return None
    return _with_line(data, place, new)


def _sign_slip(data: Data, dice: Dice) -> str | None:
    """A plus for a minus, or the other way round, on the right of a step."""
    lines = data["text"].split("\n")
    if data["concept"] in ("set_operations", "truth_values", "strings_and_lists"):
        pairs = {"∪": "∩", "∩": "∪", " and ": " or ", " or ": " and "}
    else:
        pairs = {" + ": " - ", " - ": " + "}
    places = [
        (place, found.start(), sign)
        for group in _step_groups(data)
        for place in group
        for sign in pairs
        for found in re.finditer(re.escape(sign), lines[place])
        if found.start() > lines[place].find(": `")
        and lines[place][: found.start()].count("`") % 2
        and found.start() < lines[place].rfind("`. ")
    ]
    if not places:
        return None
    place, at, sign = dice.pick(places)
    line = lines[place]
    return _with_line(data, place, line[:at] + pairs[sign] + line[at + len(sign) :])


def _renumber(lines: list[str]) -> list[str]:
    return [f"{n}. {line.partition('. ')[2]}" for n, line in enumerate(lines, 1)]


def _dropped_step(data: Data, dice: Dice) -> str | None:
    groups = [group for group in _step_groups(data) if len(group) > 1]
    if not groups:
        return None
    group, lines = dice.pick(groups), data["text"].split("\n")
    gone = dice.pick(group)
    kept = _renumber([lines[place] for place in group if place != gone])
    return "\n".join(lines[: group[0]] + kept + lines[group[-1] + 1 :])


def _swapped_steps(data: Data, dice: Dice) -> str | None:
    groups = [group for group in _step_groups(data) if len(group) > 1]
    if not groups:
        return None
    group, lines = dice.pick(groups), data["text"].split("\n")
    at = dice.between(group[0], group[-1] - 1)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    lines[group[0] : group[-1] + 1] = _renumber(lines[group[0] : group[-1] + 1])
    return "\n".join(lines)


def _answer_of_another(data: Data, dice: Dice) -> str | None:
    lines = data["text"].split("\n")
    places = [n for n, line in enumerate(lines) if line.startswith("**Answer.**")]
    here, there = dice.some(places, 2)
    return _with_line(data, here, lines[there])


def _mistake_as_right(data: Data, dice: Dice) -> str | None:
    text: str = data["text"]
    return text.replace(" ≠ ", " = ", 1)


def _wrong_rule(data: Data, dice: Dice) -> str | None:
    """A step told in the words of another rule, where those words can't be true of it."""
    told = contents.content(data["concept"])
    lines = data["text"].split("\n")
    blocks = [data["worked"], *data["exercises"]]
    number = dice.between(0, len(blocks) - 1)
    at = dice.between(0, len(blocks[number]["steps"]) - 1)
    step = blocks[number]["steps"][at]
    others = [
        (name, frame.text)
        for name, rule in told.rules.items()
        if name != step["rule"] and "brackets" not in (name, step["rule"])
        for frame in rule.say
        if "{" not in frame.text or "{part}" in frame.text
        if frame.text not in [own.text for own in told.rules[step["rule"]].say]
    ]
    if not others:
        return None
    name, say = dice.pick(others)
    part = _FORMULA.search(step["says"])
    if "{part}" in say and not part:
        return None
    if part:
        say = say.replace("{part}", part[1])
    why = dice.pick(told.rules[name].why)
    if why in told.rules[step["rule"]].why or ("{" in say and "{part}" in say):
        return None
    place = _step_groups(data)[number][at]
    line = lines[place].replace(f". {step['says']}: `", f". {say}: `", 1)
    return _with_line(data, place, line.removesuffix(step["why"]) + why)


def _unit_slip(data: Data, dice: Dice) -> str | None:
    if data["concept"] != "unit_conversion":
        return None
    lines = data["text"].split("\n")
    place = dice.pick([n for n, line in enumerate(lines) if line.startswith("**Answer.**")])
    number, _, unit = lines[place].removesuffix("`").rpartition(" ")
    ladders = (
        ("mm", "cm", "m", "km"),
        ("mg", "g", "kg", "t"),
        ("ml", "cl", "l"),
        ("s", "min", "h"),
    )
    near = next((ladder for ladder in ladders if unit in ladder), ("h", "min"))
    return _with_line(data, place, f"{number} {dice.pick([u for u in near if u != unit])}`")


def _wrong_question(data: Data, dice: Dice) -> str | None:
    """Another number in a question, with the solution left as it was."""
    lines = data["text"].split("\n")
    place = dice.pick(
        [n for n in _lines(data, "## Exercises", "## Solutions") if lines[n]]
        + [n for n, line in enumerate(lines) if line.startswith("**Question.**")]
    )
    line = lines[place]
    start = line.find(" ") + 1
    new = _nudge(line[start:], dice)
    if new is None or "{" in line:  # in a set another digit may be an element already there
        return None
    return _with_line(data, place, line[:start] + new)


def _wrong_in_between(data: Data, dice: Dice) -> str | None:
    """An intermediate result, wrong in both places where it stands; the answer stays right."""
    groups = [group for group in _step_groups(data) if len(group) > 1]
    if not groups or data["concept"] in ("probability_by_counting", "set_operations"):
        return None
    group, lines = dice.pick(groups), data["text"].split("\n")
    at = dice.between(0, len(group) - 2)
    first, second = lines[group[at]], lines[group[at + 1]]
    middle = first.rpartition("`. ")[0].rpartition("`" if " → " in first else " = ")[2]
    new = _nudge(middle, dice)
    if new is None or middle not in second or len(middle) < 3 or data["concept"] == "truth_values":
        return None
    lines[group[at]] = new.join(first.rsplit(middle, 1))
    lines[group[at + 1]] = second.replace(f": `{middle}", f": `{new}", 1)
    return "\n".join(lines)


def _other_misconception(data: Data, dice: Dice) -> str | None:
    """A wrong answer that the named misconception does not give."""
    wrong = data["mistake"]["wrong"]
    new = _nudge(wrong, dice)
    if new is None or data["concept"] in ("truth_values", "set_operations"):
        return None
    old = f"≠ {wrong}`"
    text: str = data["text"]
    return text.replace(f"`{wrong}`", f"`{new}`").replace(old, f"≠ {new}`")


def _wrong_reason(data: Data, dice: Dice) -> str | None:
    """The reason of another rule."""
    told = contents.content(data["concept"])
    lines = data["text"].split("\n")
    blocks = [data["worked"], *data["exercises"]]
    number = dice.between(0, len(blocks) - 1)
    at = dice.between(0, len(blocks[number]["steps"]) - 1)
    step = blocks[number]["steps"][at]
    own = told.rules[step["rule"]].why
    others = [why for rule in told.rules.values() for why in rule.why if why not in own]
    place = _step_groups(data)[number][at]
    return _with_line(data, place, lines[place].removesuffix(step["why"]) + dice.pick(others))


def _wrong_level(data: Data, dice: Dice) -> str:
    level = dice.pick([n for n in range(1, 9) if n != data["level"]])
    text: str = data["text"]
    return text.replace(f"Level {data['level']} ", f"Level {level} ", 1)


_FAULTS: dict[str, Fault] = {
    "wrong_digit": _wrong_digit,
    "wrong_answer": _wrong_answer,
    "sign_slip": _sign_slip,
    "dropped_step": _dropped_step,
    "swapped_steps": _swapped_steps,
    "answer_of_another": _answer_of_another,
    "mistake_as_right": _mistake_as_right,
    "wrong_rule": _wrong_rule,
    "wrong_reason": _wrong_reason,
    "unit_slip": _unit_slip,
    "wrong_question": _wrong_question,
    "wrong_in_between": _wrong_in_between,
    "other_misconception": _other_misconception,
}
