"""Concepts that are a file alone, checked by evaluating everything at once."""

import re
from functools import lru_cache
from typing import Any

from stillroom.worlds.lessons.content import Slots, content
from stillroom.worlds.lessons.formula import Unreadable, value
from stillroom.worlds.lessons.routes import Question, Step, chains

_RULES = {"+": "add", "-": "subtract", "×": "multiply", "÷": "divide", "^": "power"}
start, answer_fault = chains.start, chains.answer_fault


@lru_cache(maxsize=1000)
def _pattern(shape: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", shape)
    seen: set[str] = set()
    pattern = ""
    for n, part in enumerate(parts):
        if n % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += rf"(?P={part})" if part in seen else rf"(?P<{part}>\d+)"
            seen.add(part)
    return re.compile(pattern)


class Route:
    """The route of one such concept; each of its methods is what a route's module has."""

    def __init__(self, concept: str) -> None:
        self.concept = concept
        self.start, self.answer_fault = start, answer_fault

    def _letters(self, question: Question) -> list[tuple[str, dict[str, int]]]:
        """The shapes that the formula can be, with the numbers in the place of the letters."""
        told = content(self.concept)
        shapes = dict.fromkeys(shape for level in told.levels for shape in level["shape"])
        found = ((s, _pattern(s).fullmatch(question.slots["formula"])) for s in shapes)
        return [(s, {k: int(v) for k, v in m.groupdict().items()}) for s, m in found if m]

    def step_fault(self, question: Question, step: Step, slots: Slots) -> str:
        return chains.reduction_fault(step, slots, _RULES)

    def wrongs(self, question: Question) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _, letters in self._letters(question):
            for name, shape in content(self.concept).data["slips"].items():
                try:
                    found[name] = value(shape.format(**letters))
                except (KeyError, Unreadable):
                    continue
        return found

    def measure(self, question: Question) -> dict[str, Any]:
        shapes = self._letters(question)
        if not shapes:
            raise ValueError(f"`{question.slots['formula']}` has none of the concept's shapes")
        shape, letters = shapes[0]
        return {"shape": shape, **letters}
