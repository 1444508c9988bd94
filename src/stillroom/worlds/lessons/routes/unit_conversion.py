"""Amounts, checked in base units with exact fractions."""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from stillroom.worlds.lessons.content import Slots, content
from stillroom.worlds.lessons.formula import UNITS, Quantity
from stillroom.worlds.lessons.routes import Question, Step

_AMOUNT = re.compile(r"(\d+(?:\.\d+|/\d+)?) ([a-z]+)")
_PENDING = re.compile(r"(\d+(?:\.\d+|/\d+)?) × ((\d+(?:/\d+)?) ([a-z]+))")
_SINGULAR = {"days": "day", "weeks": "week"}


def _written(value: Fraction, unit: str) -> str:
    """The one way to write an amount: finite decimals as such, one day but two days."""
    name = _SINGULAR.get(unit, unit)
    if name in ("day", "week") and value != 1:
        name += "s"
    over = value.denominator
    for places in range(1, 12) if over > 1 else ():
        if 10**places % over == 0:
            whole, part = divmod(value.numerator * (10**places // over), 10**places)
            return f"{whole}.{part:0{places}} {name}"
    return f"{value} {name}"


@lru_cache(maxsize=4_000)
def _odd(text: str) -> str:
    """ "" or what is odd about how an amount is written."""
    found = _AMOUNT.fullmatch(text)
    if not found or found[2] not in UNITS:
        return f"`{text}` is no amount"
    right = _written(Fraction(found[1]), found[2])
    return "" if text == right else f"`{text}` is written `{right}`"


def _amounts(question: Question) -> list[tuple[Fraction, str]]:
    slots = question.slots
    count = sum(name.startswith("number") for name in slots)
    found = [(Fraction(slots[f"number{n}"]), slots[f"unit{n}"]) for n in range(1, count + 1)]
    for odd in filter(None, map(_odd, start(question).split(" + "))):
        raise ValueError(odd)
    kind = question.family.partition("_")[0]
    if any(UNITS[unit][0] != kind for _, unit in found) or UNITS[_target(question)][0] != kind:
        raise ValueError(f"not all units are units of {kind}")
    return found


def _target(question: Question) -> str:
    names: dict[str, str] = content("unit_conversion").data["names"]
    return next(unit for unit, name in names.items() if name == question.slots["target"])


def start(question: Question) -> str:
    slots = question.slots
    count = sum(name.startswith("number") for name in slots)
    return " + ".join(f"{slots[f'number{n}']} {slots[f'unit{n}']}" for n in range(1, count + 1))


def answer_fault(question: Question, answer: str) -> str:
    found, target = _AMOUNT.fullmatch(answer), _target(question)
    if not found or _SINGULAR.get(found[2], found[2]) != target:
        return f"`{answer}` is no amount in {question.slots['target']}"
    if odd := _odd(answer):
        return odd
    total = sum((number * UNITS[unit][1] for number, unit in _amounts(question)), Fraction(0))
    right = total / UNITS[target][1]
    return "" if Fraction(found[1]) == right else f"it is {right} {target}, and not {answer}"


def proof_fault(question: Question, proof: str) -> str:
    """One amount: back to the unit in the question. Several: all but the first taken away."""
    (number, unit), *others = _amounts(question)
    base = UNITS[_target(question)][1]
    if not others:
        parts = proof.split(" = ")
        pending = _PENDING.fullmatch(parts[1]) if len(parts) == 3 else None
        back = pending and _SINGULAR.get(pending[4], pending[4]) == _SINGULAR.get(unit, unit)
        same = pending and parts[0].partition(" ")[0] == pending[1] and parts[2] == start(question)
        return "" if back and same else f"this does not lead back to `{start(question)}`"
    rest = sum((n * UNITS[u][1] for n, u in others), Fraction(0)) / base
    expected = f" - {_written(rest, _target(question))} = "
    first = _written(number * UNITS[unit][1] / base, _target(question))
    if expected not in proof or not proof.endswith(f" = {first}"):
        return f"`{first}` is left when `{_written(rest, _target(question))}` is taken away"
    return ""


def link_fault(question: Question, step: Step) -> str:
    """A step told in short must be one of the rules."""
    for rule in ("smaller", "larger", "multiply", "add"):
        if not step_fault(question, {**step, "rule": rule}, {}):
            return ""
    return f"`{step['after']}` is not one step away from `{step['before']}`"


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    rule = step["rule"]
    old, new = step["before"].split(" + "), step["after"].split(" + ")
    for one in old + new:
        if " × " not in one and (odd := _odd(one)):
            return odd
    if rule == "add":
        units = {found[2] for found in map(_AMOUNT.fullmatch, old) if found}
        good = len(old) > 1 and len(new) == 1 and all(map(_AMOUNT.fullmatch, old))
        singular = {_SINGULAR.get(unit, unit) for unit in units}
        return "" if good and len(singular) == 1 else "these can't be added yet"
    if len(old) != len(new):
        return "another number of amounts"
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    if len(changed) != 1:
        return "not exactly one amount changed"
    before, after = changed[0]
    if rule == "multiply":
        good = bool(_PENDING.fullmatch(before)) and bool(_AMOUNT.fullmatch(after))
        return "" if good else "no product was worked out"
    amount, pending = _AMOUNT.fullmatch(before), _PENDING.fullmatch(after)
    if not amount or not pending or amount[1] != pending[1]:
        return "no unit was replaced by its worth"
    unit = _SINGULAR.get(amount[2], amount[2])
    if slots.get("one", f"1 {unit} = {pending[2]}") != f"1 {unit} = {pending[2]}":
        return f"`{slots['one']}` is not what was used"
    if pending[3] == "1" or ("/" in pending[3] and not pending[3].startswith("1/")):
        return f"`{pending[2]}` is not what a neighbouring unit is worth"
    direction = "larger" if "/" in pending[3] else "smaller"
    return "" if rule == direction else f"the unit gets {direction}"


def _rungs(question: Question) -> list[int]:
    """How many units lie between each amount and the target; negative: the target is larger."""
    kind = question.family.partition("_")[0]
    ladder = sorted(
        {_SINGULAR.get(unit, unit) for unit, (of, _) in UNITS.items() if of == kind},
        key=lambda unit: UNITS[unit][1],
    )
    goal = ladder.index(_target(question))
    return [ladder.index(_SINGULAR.get(unit, unit)) - goal for _, unit in _amounts(question)]


def wrongs(question: Question) -> dict[str, Any]:
    amounts, rungs, target = _amounts(question), _rungs(question), _target(question)
    kind, base = UNITS[target]
    steps = [
        (number, UNITS[unit][1] / base, rung)
        for (number, unit), rung in zip(amounts, rungs, strict=True)
    ]
    totals: dict[str, Fraction] = {
        "wrong_way": sum((number / factor for number, factor, _ in steps), Fraction(0)),
        "always_hundred": sum((n * Fraction(100) ** rung for n, _, rung in steps), Fraction(0)),
    }
    if kind == "time":
        totals["always_ten"] = sum((n * Fraction(10) ** rung for n, _, rung in steps), Fraction(0))
    if len(steps) > 1:
        totals["units_ignored"] = sum((number for number, _, _ in steps), Fraction(0))
    return {name: Quantity(kind, total * base) for name, total in totals.items()}


def measure(question: Question) -> dict[str, Any]:
    rungs = _rungs(question)
    numbers = [text for name, text in question.slots.items() if name.startswith("number")]
    return {
        "terms": len(rungs),
        "factors": sum(map(abs, rungs)),
        "upwards": int(min(rungs) < 0),
        "digits": max(len(text.replace(".", "").strip("0")) for text in numbers),
        "decimals": max(len(text.partition(".")[2]) for text in numbers),
    }
