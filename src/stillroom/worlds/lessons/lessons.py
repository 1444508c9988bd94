"""The World `lessons`: textbook lessons whose every number can be worked out again."""

import html
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from stillroom.record import Record
from stillroom.world import Context, Data, Draft, Task, Verdict, View, World
from stillroom.worlds.lessons import checking, foreign, making, planning, reading, spoiling
from stillroom.worlds.lessons.content import CONCEPTS, content
from stillroom.worlds.lessons.formula import Unreadable, parse

_STEP = pa.struct([(name, pa.string()) for name in ("before", "after", "rule", "says", "why")])
_EXERCISE = [("question", pa.string()), ("steps", pa.list_(_STEP)), ("answer", pa.string())]
_MISTAKE = pa.struct([(name, pa.string()) for name in ("name", "says", "wrong", "left", "why")])


class Lessons(World):
    """Lessons in ten concepts and eight levels, made by a program and checked by another."""

    name: ClassVar[str] = "lessons"
    schema: ClassVar[pa.StructType] = pa.struct(
        [
            ("concept", pa.string()),
            ("level", pa.int32()),
            ("subject", pa.string()),
            ("title", pa.string()),
            ("text", pa.string()),
            ("why", pa.list_(pa.string())),
            ("idea", pa.list_(pa.string())),
            ("worked", pa.struct([*_EXERCISE, ("proof", pa.string())])),
            ("mistake", _MISTAKE),
            ("exercises", pa.list_(pa.struct(_EXERCISE))),
        ]
    )

    shard: ClassVar[int] = 32

    concepts: tuple[str, ...] = CONCEPTS
    levels: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)

    @field_validator("concepts")
    @classmethod
    def _known(cls, concepts: tuple[str, ...]) -> tuple[str, ...]:
        for concept in concepts:
            if concept not in CONCEPTS:
                near = get_close_matches(concept, CONCEPTS, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"no concept {concept!r}{hint} (there are {', '.join(CONCEPTS)})")
        if not concepts or len(set(concepts)) != len(concepts):
            raise ValueError("concepts: name at least one, and each once")
        return concepts

    @field_validator("levels")
    @classmethod
    def _in_range(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        if not levels or len(set(levels)) != len(levels) or not set(levels) <= set(range(1, 9)):
            raise ValueError("levels: some of 1 to 8, each once")
        return levels

    def plan(self, generation: int) -> Iterator[Task]:
        return planning.plan(self.concepts, self.levels, self.only)

    def make(self, task: Task, ctx: Context) -> list[Draft | Data]:
        return [reading.read(task, making.make(task, ctx.rng))]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        return foreign.check(data) if task.get("foreign") else checking.check(task, data)

    def read(self, task: Task, text: str) -> Data:
        return reading.read(task, text)

    def adopt(self, row: dict[str, Any]) -> tuple[Task, Data]:
        return foreign.adopt(row)

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        return spoiling.spoil(data, rng)

    def show(self, record: Record) -> View:
        data = record.data
        text = data["text"]
        if record.task.get("foreign"):
            return View(text=text, html=lambda: f"<pre>{html.escape(text)}</pre>")
        statements = 0
        for formula in checking.FORMULA.findall(text):
            try:
                statements += bool(parse(formula).relations)
            except Unreadable:
                continue
        level = str(data["level"])
        return View(
            text=text,
            messages=(
                {"role": "user", "content": _request(data)},
                {"role": "assistant", "content": text},
            ),
            html=lambda: _page(text),
            tags={
                "concept": data["concept"],
                "subject": data["subject"],
                "level": level,
                "difficulty": level,
                "split": record.task["split"],
                "mistake": data["mistake"]["name"],
            },
            features={"words": float(len(text.split())), "equations": float(statements)},
        )


def _request(data: Data) -> str:
    """What a learner would ask to get this lesson."""
    count = ("no", "one", "two", "three", "four")[min(4, len(data["exercises"]))]
    told = content(data["concept"])
    return (
        f"Write a lesson at level {data['level']} of 8 about {told.flavour} "
        f"(subject: {data['subject']}; concept: {data['concept']}). "
        "Say why it matters, explain the idea, work one example step by step with a reason for "
        f"every step, show a common mistake, and give {count} exercises with full solutions. "
        "Put every formula between backticks."
    )


def _page(text: str) -> str:
    """The lesson as simple HTML; everything from the text is escaped."""
    out = []
    for part in html.escape(text.strip(), quote=False).split("\n\n"):
        if part.startswith("## "):
            out.append(f"<h3>{part[3:]}</h3>")
        elif part.startswith("# "):
            out.append(f"<h2>{part[2:]}</h2>")
        elif part.startswith("1. "):
            items = "".join(f"<li>{line.partition('. ')[2]}</li>" for line in part.split("\n"))
            out.append(f"<ol>{items}</ol>")
        else:
            out.append(f"<p>{part}</p>")
    return _inline("\n".join(out))


def _inline(text: str) -> str:
    """`formula`, **strong** and *emphasis*; what stands in a formula is left alone."""
    pieces = text.split("`")
    for n, piece in enumerate(pieces):
        if n % 2:
            pieces[n] = f"<code>{piece}</code>"
            continue
        for mark, tag in (("**", "strong"), ("*", "em")):
            inner = piece.split(mark)
            piece = "".join(
                f"<{tag}>{part}</{tag}>" if i % 2 else part for i, part in enumerate(inner)
            )
        pieces[n] = piece
    return "".join(pieces)
