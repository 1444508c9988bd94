"""Pieces of a lesson's text, for planting faults in them: where its parts and formulas stand."""

import re

from stillroom.world import Data

Spans = list[tuple[str, int, int]]
_FORMULA = re.compile(r"`([^`\n]+)`")


def spans_of(places: Spans, *names: str) -> list[tuple[int, int]]:
    """Where parts of these names begin and end."""
    return [(begin, end) for name, begin, end in places if name in names]


def put(data: Data, begin: int, end: int, new: str) -> str:
    """The text with something else in a place."""
    return f"{data['text'][:begin]}{new}{data['text'][end:]}"


def formulas_in(data: Data, begin: int, end: int) -> list[tuple[int, int, str]]:
    """The formulas in a part of the text: begin, end (of what is inside the backticks), text."""
    found = _FORMULA.finditer(data["text"], begin, end)
    return [(one.start(1), one.end(1), one[1]) for one in found]


def items(places: Spans) -> list[tuple[int, int]]:
    """The items of the worked example; one may hold several like steps."""
    return spans_of(places, "step", "step_again")


def step_lines(data: Data, places: Spans) -> list[str]:
    """The worked steps, each as it stands, without its number."""
    return [data["text"][begin:end].partition(". ")[2] for begin, end in items(places)]


def with_steps(data: Data, places: Spans, lines: list[str]) -> str | None:
    """The text with other worked steps, numbered; None where they are no list."""
    steps = items(places)
    if not data["text"][steps[0][0]].isdigit():
        return None
    numbered = "\n".join(f"{n}. {line}" for n, line in enumerate(lines, 1))
    return put(data, steps[0][0], steps[-1][1], numbered)
