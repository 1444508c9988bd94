"""The verb `read`: a lesson's text -> its data. It takes text apart and judges nothing."""

import re
from typing import Any

from stillroom.world import Data, Task
from stillroom.worlds.lessons import content as contents

_LEVEL = re.compile(r"Level (\d) · (.+)")
_STEP = re.compile(r"(\d+)\. (.+?): ((?:`[^`]+`)(?:(?: and | → )`[^`]+`)*)\. (.+)")
_ANSWER = re.compile(r"\*\*Answer\.\*\* `([^`]+)`")
_ITEM = re.compile(r"(\d+)\. (.+)")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")


def read(task: Task, text: str) -> Data:
    """Data of a lesson's text; ValueError says what part can't be read.

    A task {"foreign": true} takes any text as it is.
    """
    if task.get("foreign"):
        return foreign(text)
    text = text.strip() + "\n"
    parts = _Parts(text)
    title = parts.line("# ")
    concept = contents.concept_of_title().get(title, "")
    if not concept:
        raise ValueError(f"title: {title!r} is the title of no concept")
    found = _LEVEL.fullmatch(parts.next("level"))
    if not found:
        raise ValueError("level: expected 'Level 3 · subject' below the title")
    parts.heading("Why")
    why = parts.paragraphs()
    parts.heading("Idea")
    idea = parts.paragraphs()
    parts.heading("Worked example")
    question = parts.line("**Question.** ")
    steps = _steps(concept, parts.next("steps"), "worked example")
    answer = _answer(parts.next("answer"), "worked example")
    proof = parts.line("**Check.** ")
    parts.heading("A common mistake")
    mistake = _mistake(concept, parts.next("common mistake"))
    parts.heading("Exercises")
    questions = _numbered(parts.next("exercises"), _ITEM, "exercises")
    parts.heading("Solutions")
    exercises = []
    for n, (asked,) in enumerate(questions, 1):
        where = f"exercise {n}"
        if parts.next(where) != f"**Exercise {n}.**":
            raise ValueError(f"solutions: expected '**Exercise {n}.**'")
        done = _steps(concept, parts.next(where), where)
        exercises.append(
            {"question": asked, "steps": done, "answer": _answer(parts.next(where), where)}
        )
    parts.end()
    return {
        "concept": concept,
        "level": int(found[1]),
        "subject": found[2],
        "title": title,
        "text": text,
        "why": why,
        "idea": idea,
        "worked": {"question": question, "steps": steps, "answer": answer, "proof": proof},
        "mistake": mistake,
        "exercises": exercises,
    }


def foreign(text: str) -> Data:
    """Data of a text that is no lesson: nothing but the text."""
    return {
        "concept": "",
        "level": 0,
        "subject": "",
        "title": "",
        "text": text,
        "why": [],
        "idea": [],
        "worked": None,
        "mistake": None,
        "exercises": [],
    }


class _Parts:
    """The text's parts between empty lines, taken one after the other."""

    def __init__(self, text: str) -> None:
        self.parts, self.at = text.rstrip("\n").split("\n\n"), 0

    def next(self, what: str) -> str:
        if self.at >= len(self.parts):
            raise ValueError(f"{what}: the text ends too early")
        self.at += 1
        return self.parts[self.at - 1]

    def line(self, start: str) -> str:
        part = self.next(start.strip())
        if not part.startswith(start) or "\n" in part:
            raise ValueError(f"expected one line that starts with {start!r}, got {part!r:.60}")
        return part[len(start) :]

    def heading(self, name: str) -> None:
        part = self.next(name)
        if part != f"## {name}":
            raise ValueError(f"expected '## {name}', got {part!r:.60}")

    def paragraphs(self) -> list[str]:
        found = []
        while self.at < len(self.parts) and not self.parts[self.at].startswith("## "):
            found.append(self.next("paragraph"))
        if not found:
            raise ValueError("a section without a paragraph")
        return found

    def end(self) -> None:
        if self.at != len(self.parts):
            raise ValueError(f"text after the last solution: {self.parts[self.at]!r:.60}")


def _numbered(part: str, pattern: re.Pattern[str], where: str) -> list[tuple[str, ...]]:
    found = []
    for n, line in enumerate(part.split("\n"), 1):
        match = pattern.fullmatch(line)
        if not match or match[1] != str(n):
            raise ValueError(f"{where}: line {n} can't be read: {line!r:.80}")
        found.append(match.groups()[1:])
    return found


def _steps(concept: str, part: str, where: str) -> list[dict[str, Any]]:
    steps = []
    for said, formulas, why in _numbered(part, _STEP, where):
        given = formulas[1:-1].split("`")
        last = given[-1]
        if " → " in formulas:
            before, after = given[0], last
        else:
            # A relation inside quotes is no relation.
            hidden = last
            if "'" in last or '"' in last:
                hidden = _QUOTED.sub(lambda quoted: "'" * len(quoted[0]), last)
            at = hidden.find(" = ")
            if at < 0:
                raise ValueError(f"{where}: a step without a statement: `{last}`")
            before, after = last[:at], last[at + 3 :]
        rule = contents.rule_of(concept, said, why)
        steps.append({"before": before, "after": after, "rule": rule, "says": said, "why": why})
    return steps


def _answer(part: str, where: str) -> str:
    found = _ANSWER.fullmatch(part)
    if not found:
        raise ValueError(f"{where}: expected '**Answer.** `...`', got {part!r:.60}")
    return found[1]


def _mistake(concept: str, part: str) -> dict[str, str]:
    for frame in contents.mistake_frames():
        slots = frame.match(part)
        if slots is not None:
            return {"name": contents.mistake_of(concept, slots["says"], slots["why"]), **slots}
    raise ValueError(f"common mistake: can't be read: {part!r:.80}")
