"""The form of a lesson by a model: sections, questions, answers; text -> its parts, nothing judged.

# Title
...
## Worked example
the question
...
Answer: `7/8`
## Exercises
1. a question
## Answers
1. `15`
"""

import re
from typing import NamedTuple

from stillroom.worlds.lessons.written.claims import FENCE

_HEADING = re.compile(r"^(#{1,4})[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]{0,3}\**(\d{1,2})[.)]\**[ \t]+(.*)$", re.MULTILINE)
_ANSWER = re.compile(r"^[ \t>*_]*answer[*_]*[ \t]*[:=][ \t*_]*(.+?)[ \t*_]*$", re.I | re.MULTILINE)


class Part(NamedTuple):
    """A question or an answer and where it stands in the text."""

    text: str
    begin: int
    end: int


class Form(NamedTuple):
    """A lesson's parts. An example's or an exercise's answer is None when none is given."""

    title: str
    example: tuple[Part, Part | None] | None
    exercises: list[tuple[Part, Part | None]]


def take_apart(text: str) -> Form:
    """The parts of a lesson; ValueError when it lacks its title or its exercises."""
    # What looks like a heading inside code is none.
    bare = FENCE.sub(lambda fence: "".join(c if c == "\n" else "·" for c in fence[0]), text)
    headings = list(_HEADING.finditer(bare))
    if not headings or bare[: headings[0].start()].strip() or len(headings[0][1]) != 1:
        raise ValueError("the text does not begin with a title: # TITLE")
    ends = [*(one.start() for one in headings[1:]), len(bare)]
    sections = [(one[2].lower(), one.end(), end) for one, end in zip(headings, ends, strict=True)]
    exercises = _section(sections, "exercise", "practice", "problem")
    answers = _section(sections, "answer", "solution", after=exercises)
    if exercises is None or answers is None:
        missing = "## Exercises" if exercises is None else "## Answers"
        raise ValueError(f"there is no section {missing}")
    questions = _items(bare, *exercises)
    if [number for number, _ in questions] != list(range(1, len(questions) + 1)):
        raise ValueError("the exercises are not numbered 1., 2., ...")
    given = _items(bare, *answers)
    if len({number for number, _ in given}) != len(given):
        raise ValueError("an exercise is answered twice")
    found = dict(given)
    if set(found) - {number for number, _ in questions}:
        raise ValueError("an answer belongs to no exercise")
    paired = [(question, _bare(found.get(number))) for number, question in questions]
    return Form(headings[0][2], _example(bare, sections), paired)


def _section(
    sections: list[tuple[str, int, int]], *names: str, after: tuple[int, int] | None = None
) -> tuple[int, int] | None:
    """Where the last section of such a name begins and ends."""
    for heading, begin, end in reversed(sections):
        if any(name in heading for name in names) and (after is None or begin >= after[1]):
            return begin, end
    return None


def _items(text: str, begin: int, end: int) -> list[tuple[int, Part]]:
    """The numbered items of a section; an item goes on to the next one or to an empty line."""
    starts = list(_ITEM.finditer(text, begin, end))
    stops = [*(one.start() for one in starts[1:]), end]
    items = []
    for one, stop in zip(starts, stops, strict=True):
        body = text[one.start(2) : stop].split("\n\n")[0].rstrip()
        items.append((int(one[1]), Part(_plain(body), one.start(2), one.start(2) + len(body))))
    return items


def _example(text: str, sections: list[tuple[str, int, int]]) -> tuple[Part, Part | None] | None:
    """The question of the worked example is its first paragraph; its answer the last one named."""
    place = _section(sections, "example")
    if place is None:
        return None
    begin = place[0] + len(text[slice(*place)]) - len(text[slice(*place)].lstrip())
    body = text[begin : place[1]].split("\n\n")[0].rstrip()
    named = list(_ANSWER.finditer(text, begin, place[1]))
    answer = Part(named[-1][1], named[-1].start(1), named[-1].end(1)) if named else None
    return Part(_plain(body), begin, begin + len(body)), _bare(answer)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _bare(answer: Part | None) -> Part | None:
    """An answer without what stands around it: backticks, stars, "Answer:", a full stop."""
    if answer is None:
        return None
    text = _ANSWER.sub(r"\1", _plain(answer.text))
    quoted = re.findall(r"`([^`]+)`", text)
    if len(quoted) == 1:
        text = quoted[0]
    return answer._replace(text=text.strip().strip("*_$").removesuffix(".").strip())
