"""Formulas of logic, evaluated at once; misconceptions by twisting."""

import re
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import difference
from stillroom.worlds.lessons.routes import Question, Step, chains

start, answer_fault = chains.start, chains.answer_fault
_RULES = {name: name for name in ("not", "and", "or", "xor", "implies", "iff")}


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    return chains.reduction_fault(step, slots, _RULES)


def link_fault(question: Question, step: Step) -> str:
    """A step told in short, too, works out one operation and leaves the rest alone."""
    found = difference(chains.side(step["before"]), chains.side(step["after"]))
    rule = _RULES.get(chains.name_of(found[0]), "") if found else ""
    return chains.reduction_fault({**step, "rule": rule}, {}, _RULES)


def wrongs(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    tree = chains.side(text)
    twists = {
        "or_as_xor": ("or", lambda a, b: a != b),
        "implies_as_and": ("implies", lambda a, b: a and b),
        "xor_as_or": ("xor", lambda a, b: a or b),
        "and_as_or": ("and", lambda a, b: a or b),
        "iff_as_and": ("iff", lambda a, b: a and b),
    }
    used = set(chains.operators(text))
    found = {}
    for name, (operator, meaning) in twists.items():
        if operator in used:

            def twist(head: str, kids: list[Any], op: str = operator, do: Any = meaning) -> Any:
                return do(*kids) if head == op else None

            found[name] = chains.misread(tree, twist)
    return found


def measure(question: Question) -> dict[str, Any]:
    found = re.findall("not|and|xor|or|implies|iff", question.slots["formula"])
    return {
        "operators": len(found),
        "hard": sum(name in ("xor", "implies", "iff") for name in found),
        "nots": found.count("not"),
        "implies": int("implies" in found or "iff" in found),
    }
