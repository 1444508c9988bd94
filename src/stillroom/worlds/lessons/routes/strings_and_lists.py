"""Strings and lists, evaluated at once with Python's own; misconceptions by twisting."""

import re
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import Unreadable, difference
from stillroom.worlds.lessons.routes import Question, Step, chains

start, answer_fault = chains.start, chains.answer_fault
_NAMES = ("reverse", "sort", "first", "last", "upper", "length", "count", "sum", "max", "min")
_RULES = {"+": "join"} | {name: name for name in _NAMES}


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    return chains.reduction_fault(step, slots, _RULES)


def link_fault(question: Question, step: Step) -> str:
    """A step told in short, too, works out one operation and leaves the rest alone."""
    found = difference(chains.side(step["before"]), chains.side(step["after"]))
    rule = _RULES.get(chains.name_of(found[0]), "") if found else ""
    return chains.reduction_fault({**step, "rule": rule}, {}, _RULES)


def _down(value: Any) -> Any:
    ordered = sorted(value, reverse=True)
    return "".join(ordered) if isinstance(value, str) else ordered


def _last(value: Any, keep: int) -> Any:
    return value[max(0, len(value) - keep) :]


_TWISTS: dict[str, dict[str, Any]] = {
    "one_too_few": {"first": lambda s, n: s[: n - 1], "last": lambda s, n: _last(s, n - 1)},
    "sorted_down": {"sort": _down},
    "reverse_sorts": {"reverse": _down},
    "joined_backwards": {"+": lambda a, b: b + a},
    "last_place": {"length": lambda s: len(s) - 1},
    "last_reversed": {"last": lambda s, n: _last(s, n)[::-1]},
}


def wrongs(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    tree, used = chains.side(text), set(chains.operators(text))
    found = {}
    for name, meanings in _TWISTS.items():
        if used & meanings.keys():

            def twist(head: str, kids: list[Any], do: dict[str, Any] = meanings) -> Any:
                return do[head](*kids) if head in do else None

            try:
                found[name] = chains.misread(tree, twist)
            except Unreadable:
                continue
    return found


def measure(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    found: dict[str, Any] = {
        "operators": len(re.findall(r"[a-z]+\(| \+ ", text)),
        "strings": int('"' in text),
    }
    sizes = [len(inside.split(",")) for inside in re.findall(r"\[([^]]+)\]", text)]
    if sizes:
        found["elements"] = (min(sizes), max(sizes))
    return found
