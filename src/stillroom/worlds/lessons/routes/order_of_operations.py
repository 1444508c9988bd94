"""Whole-number formulas, evaluated at once; misconceptions as rewritings of the text."""

import re
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import Unreadable, value
from stillroom.worlds.lessons.routes import Question, Step, chains

start, answer_fault = chains.start, chains.answer_fault
_RULES = {"+": "add", "-": "subtract", "×": "multiply", "÷": "divide", "^": "power"}
_INNERMOST = re.compile(r"\(([^()]+)\)")


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    return chains.reduction_fault(step, slots, _RULES, "brackets")


def _without_brackets(text: str) -> str:
    while "(" in text:
        text = _INNERMOST.sub(lambda found: str(value(found[1])), text)
    return text


def wrongs(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    flat = _without_brackets(text)
    signs = set(re.findall(r"[-+×÷^]", flat))
    ways: dict[str, str] = {"off_by_one": f"({text}) + 1"}
    if signs & {"+", "-"} and signs - {"+", "-"}:
        first, *rest = re.split(r"\s*([-+×÷^])\s*", flat)
        left = first
        for sign, number in zip(rest[::2], rest[1::2], strict=True):
            left = f"({left} {sign} {number})"
        ways["left_to_right"] = left
        ways["add_first"] = re.sub(r"[^×÷]+", lambda found: f"({found[0]})", flat)
    if "(" in text:
        ways["no_brackets"] = text.replace("(", "").replace(")", "")
    if "^" in flat:
        ways["power_as_product"] = flat.replace("^", " × ")
    found = {}
    for name, way in ways.items():
        try:
            found[name] = value(way)
        except Unreadable:
            continue
    return found


def measure(question: Question) -> dict[str, Any]:
    text = question.slots["formula"]
    return {
        "operators": len(re.findall(r"[-+×÷^]", text)),
        "number": max(map(int, re.findall(r"\d+", text))),
        "brackets": text.count("("),
    }
