"""Formulas worked out one operation at a time: what the four concepts of this kind share."""

from collections.abc import Callable
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import Node, difference, evaluate, parse, same, value
from stillroom.worlds.lessons.routes import Question, Step

LITERALS = {"num", "bool", "str", "qty", "date"}


def side(text: str) -> Node:
    return parse(text).sides[0]


def is_literal(node: Node) -> bool:
    return node[0] in LITERALS or (node[0] in ("set", "list") and all(map(is_literal, node[1:])))


def name_of(node: Node) -> str:
    return str(node[1]) if node[0] == "call" else str(node[0])


def start(question: Question) -> str:
    return question.slots["formula"]


def answer_fault(question: Question, answer: str) -> str:
    """The whole question evaluated at once, by the checker's own formula reader."""
    right = value(question.slots["formula"])
    if not is_literal(side(answer)):
        return f"`{answer}` is not worked out"
    if not same(value(answer), right):
        return f"`{question.slots['formula']}` is {right}, and not {answer}"
    return ""


def reduction_fault(step: Step, slots: Slots, rules: dict[str, str], brackets: str = "") -> str:
    """Whether exactly one operation was worked out, the one that the rule and its part name."""
    before, after = side(step["before"]), side(step["after"])
    found = difference(before, after)
    if found is None:
        return "nothing changed"
    old, new, bracketed = found
    if not is_literal(new):
        return f"`{step['after']}` is not `{step['before']}` with one operation worked out"
    kids = old[2:] if old[0] == "call" else old[1:]
    if is_literal(old) or not all(is_literal(kid) for kid in kids):
        return "more than one operation was worked out"
    if not same(evaluate(old), evaluate(new)):  # the whole can be true all the same
        return f"`{step['after']}`: the part that was worked out has another value"
    rule = brackets if brackets and bracketed else rules.get(name_of(old), "")
    if step["rule"] != rule:
        return f"what was done is {rule!r}, and not {step['rule']!r}"
    if "part" in slots and side(slots["part"]) != old:
        return f"`{slots['part']}` is not the part that was worked out"
    return ""


def misread(node: Node, twist: Callable[[str, list[Any]], Any]) -> Any:
    """The value of a tree in which `twist` gives some operations another meaning (else None)."""
    head = node[0]
    if head == "()":
        return misread(node[1], twist)
    if is_literal(node):
        return evaluate(node)
    kids = [misread(kid, twist) for kid in (node[2:] if head == "call" else node[1:])]
    twisted = twist(name_of(node), kids)
    if twisted is not None:
        return twisted
    values = tuple(("value", kid) for kid in kids)
    return evaluate((head, node[1], *values) if head == "call" else (head, *values))


def operators(text: str) -> list[str]:
    """The names of all operations in a formula."""
    found: list[str] = []

    def visit(node: Node) -> None:
        if is_literal(node):
            return
        if node[0] != "()":
            found.append(name_of(node))
        for kid in node[1:]:
            if isinstance(kid, tuple):
                visit(kid)

    visit(side(text))
    return found
