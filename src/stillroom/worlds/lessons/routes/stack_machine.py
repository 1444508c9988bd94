"""Stack programs, checked from their end: what an item is made of is asked back to the start."""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step, told_as

_PROGRAM = re.compile(r'\[(?:\d+|"\w+")(?:, (?:\d+|"\w+"))*\]')
_GROWTH = {"add": -1, "sub": -1, "mul": -1, "drop": -1, "swap": 0, "dup": 1, "over": 1}
_NEEDS = {"dup": 1, "drop": 1}
_RULES = {"add": "compute", "mul": "compute", "sub": "compute", "dup": "copy", "over": "copy"}
_SIGNS = {"add": "+", "sub": "-", "mul": "×"}

Program = tuple[Any, ...]


def _family(question: Question) -> str:
    return question.family.removesuffix("_sub")


def start(question: Question) -> str:
    return "[]"


@lru_cache(maxsize=64)
def _program(text: str) -> Program:
    """The program of a question; ValueError when the machine can't run it."""
    if not _PROGRAM.fullmatch(text):
        raise ValueError(f"`{text}` is no program")
    program, depth = value(text), 0
    for word in program:
        if isinstance(word, str) and (word not in _GROWTH or depth < _NEEDS.get(word, 2)):
            raise ValueError(f"the machine can't do {word!r} here")
        depth += _GROWTH[word] if isinstance(word, str) else 1
    return tuple(program)


def _depths(program: Program, kept: bool = False) -> list[int]:
    """How many items there are after each instruction, the start included."""
    depths = [0]
    for word in program:
        grows = 1 if not isinstance(word, str) or (kept and word in _SIGNS) else _GROWTH[word]
        depths.append(depths[-1] + grows)
    return depths


def _asker(program: Program, twist: str = "") -> Callable[[int, int], int]:
    """item(n, k): what lies k below the top after n instructions, asked backwards."""
    depths = _depths(program, twist == "kept")

    @cache
    def item(n: int, k: int) -> int:
        word = program[n - 1]
        if not isinstance(word, str):
            return int(word) if k == 0 else item(n - 1, k - 1)
        if word in ("dup", "over"):
            return item(n - 1, k - 1 if k else int(word == "over"))
        if word == "drop":
            return item(n - 1, k + 1)
        if word == "swap":
            return item(n - 1, 1 - k if k < 2 else k)
        if k:
            return item(n - 1, k - 1 if twist in ("kept", "oldest") else k + 1)
        lowest = depths[n - 1] - 1
        below, top = (lowest, lowest - 1) if twist == "oldest" else (1, 0)
        a, b = item(n - 1, below), item(n - 1, top)
        if word == "sub":
            return b - a if twist == "turned" else a - b
        return a + b if word == "add" else a * b

    return item


def _stack(program: Program, n: int, twist: str = "") -> list[int]:
    """The stack after n instructions, its top at the right."""
    item = _asker(program, twist)
    return [item(n, k) for k in reversed(range(_depths(program, twist == "kept")[n]))]


@lru_cache(maxsize=64)
def _states(text: str) -> list[str]:
    program = _program(text)
    item, depths = _asker(program), _depths(program)
    states = [str([item(n, k) for k in reversed(range(depth))]) for n, depth in enumerate(depths)]
    if len(set(states)) != len(states):
        raise ValueError("a state comes up twice")
    return states


def _read(family: str, stack: list[int]) -> Any:
    return stack if family == "stack" else stack[-1] if family == "top" else sum(stack)


def answer_fault(question: Question, answer: str) -> str:
    """The items at the end alone, each asked back to the numbers it is made of."""
    program = _program(question.slots["program"])
    right = _read(_family(question), _stack(program, len(program)))
    return "" if answer == str(right) else f"the program gives {right}, and not {answer}"


def _expected(question: Question, before: str) -> tuple[str, str]:
    """The rule and the result of the step that begins with `before`."""
    text = question.slots["program"]
    states = _states(text)
    if before in states[:-1]:
        n = states.index(before)
        word = _program(text)[n]
        return _RULES.get(word, word) if isinstance(word, str) else "push", states[n + 1]
    end = value(states[-1])
    if _family(question) == "top" and before == states[-1]:
        return "top", str(end[-1])
    if _family(question) == "total" and before == f"sum({states[-1]})":
        return "total", str(sum(end))
    raise ValueError(f"`{before}` does not come up in this program")


def link_fault(question: Question, step: Step) -> str:
    _, right = _expected(question, step["before"])
    return told_as(step, "", right)


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    rule, right = _expected(question, step["before"])
    fault = told_as(step, rule, right)
    if fault or not slots:
        return fault
    old, new = value(step["before"]), value(step["after"])
    text = question.slots["program"]
    word = _program(text)[_states(text).index(step["before"])]
    known = {"word": f'"{word}"', "n": str(word), "c": str(new[-1])}
    known |= dict(zip("ba", map(str, reversed(old)), strict=False))
    if rule == "compute":
        top = f"({old[-1]})" if old[-1] < 0 else str(old[-1])
        known["sum"] = f"{old[-2]} {_SIGNS[word]} {top} = {new[-1]}"
    for slot, text in slots.items():
        if known.get(slot) != text:
            return f"`{text}` should be `{known.get(slot)}`"
    return ""


def wrongs(question: Question) -> dict[str, Any]:
    program = _program(question.slots["program"])
    size = len(program)
    found = {
        name: _read(_family(question), _stack(program, size, name))
        for name in ("kept", "oldest", "turned")
    }
    found["one_short"] = _read(_family(question), _stack(program, size - 1))
    straight = tuple(word for word in program if word != "swap")
    found["no_swap"] = _read(_family(question), _stack(straight, len(straight)))
    doubled = tuple("dup" if word == "over" else word for word in program)
    found["over_top"] = _read(_family(question), _stack(doubled, size))
    if _family(question) == "top":
        found["bottom"] = _stack(program, size)[0]
    return found


def measure(question: Question) -> dict[str, Any]:
    text = question.slots["program"]
    program = _program(text)
    if ("sub" in program) != question.family.endswith("_sub"):
        raise ValueError("the question explains *sub* where there is none, or the reverse")
    items = [item for state in _states(text) for item in value(state)]
    return {
        "instructions": len(program),
        "size": tuple(word for word in program if not isinstance(word, str)),
        "kinds": tuple(sorted({w if isinstance(w, str) else "push" for w in program})),
        "values": (min(items), max(items)),
    }
