"""Sets, evaluated at once with Python's own frozensets; misconceptions by twisting."""

import re
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import difference, evaluate
from stillroom.worlds.lessons.routes import Question, Step, chains

start, answer_fault = chains.start, chains.answer_fault
PROOF_SIGNS = {"size_union": "size(", "size_intersection": " \\ ", "size_difference": " - size("}
_RULES = {"∪": "union", "∩": "intersection", "\\": "difference", "size": "size"}


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    return chains.reduction_fault(step, slots, _RULES)


def link_fault(question: Question, step: Step) -> str:
    """A step told in short, too, works out one operation and leaves the rest alone."""
    found = difference(chains.side(step["before"]), chains.side(step["after"]))
    rule = _RULES.get(chains.name_of(found[0]), "") if found else ""
    return chains.reduction_fault({**step, "rule": rule}, {}, _RULES)


def wrongs(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    tree, used = chains.side(text), set(chains.operators(text))
    twists = {
        "union_drops_shared": ("∪", lambda a, b: a ^ b),
        "intersection_as_union": ("∩", lambda a, b: a | b),
        "difference_reversed": ("\\", lambda a, b: b - a),
    }
    found = {}
    for name, (operator, meaning) in twists.items():
        if operator in used:

            def twist(head: str, kids: list[Any], op: str = operator, do: Any = meaning) -> Any:
                return do(*kids) if head == op else None

            found[name] = chains.misread(tree, twist)
    if tree[:2] == ("call", "size") and tree[2][0] == "∪":
        found["shared_counted_twice"] = sum(len(evaluate(kid)) for kid in tree[2][1:])
    return found


def measure(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    sizes = [len(inside.split(",")) for inside in re.findall(r"\{([^}]+)\}", text)]
    limits = {
        "operators": len(re.findall(r"[∪∩\\]|size", text)),
        "size": text.count("size"),
        "elements": (min(sizes), max(sizes)),
        "letters": int("'" in text),
    }
    return limits
