"""The World `lessons`: textbook lessons whose every number can be worked out again."""

import html
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from stillroom.record import Record
from stillroom.world import Context, Data, Draft, Finding, Task, Verdict, View, World
from stillroom.worlds.lessons import checking, foreign, making, planning, reading, spoiling
from stillroom.worlds.lessons.content import CONCEPTS, content, take_in
from stillroom.worlds.lessons.formula import Unreadable, parse
from stillroom.worlds.lessons.locales import all_names
from stillroom.worlds.lessons.markup import page
from stillroom.worlds.lessons.symbols import AUDIENCES

_SHORT = [("before", pa.string()), ("after", pa.string())]
_STEP = pa.struct([("rule", pa.string()), *_SHORT])
_WORKED = pa.struct(
    [
        ("question", pa.string()),
        ("steps", pa.list_(_STEP)),
        ("answer", pa.string()),
        ("proof", pa.string()),
    ]
)
_EXERCISE = pa.struct(
    [
        ("question", pa.string()),
        ("steps", pa.list_(pa.struct(_SHORT))),
        ("answer", pa.string()),
    ]
)
_MISTAKE = pa.struct([(name, pa.string()) for name in ("name", "left", "wrong")])


class Lessons(World):
    """Lessons in thirty concepts and ten levels, made by a program and checked by another."""

    name: ClassVar[str] = "lessons"
    version: ClassVar[int] = 2
    schema: ClassVar[pa.StructType] = pa.struct(
        [
            ("concept", pa.string()),
            ("level", pa.int32()),
            ("subject", pa.string()),
            ("audience", pa.string()),
            ("style", pa.string()),
            ("locale", pa.string()),
            ("title", pa.string()),
            ("text", pa.string()),
            ("moves", pa.list_(pa.string())),
            ("worked", _WORKED),
            ("mistake", _MISTAKE),
            ("exercises", pa.list_(_EXERCISE)),
        ]
    )

    shard: ClassVar[int] = 32

    own: tuple[str, ...] = ()
    """Concepts of your own, in addition: files (NAME.toml), or their texts."""
    concepts: tuple[str, ...] = CONCEPTS
    levels: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)

    @field_validator("own")
    @classmethod
    def _read(cls, own: tuple[str, ...]) -> tuple[str, ...]:
        """Files become their texts, so that a run holds all it needs to be checked again."""
        texts = []
        for given in own:
            name, text = "a concept of your own", given
            if "\n" not in given:
                name = Path(given).name
                try:
                    text = Path(given).read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError) as wrong:
                    raise ValueError(f"can't read the concept file {given}: {wrong}") from None
            take_in(text, name)
            texts.append(text)
        return tuple(texts)

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
        return planning.known_levels(levels)

    def plan(self, generation: int) -> Iterator[Task]:
        own = tuple(take_in(text, "a concept of your own") for text in self.own)
        return planning.plan((*self.concepts, *own), self.levels, self.only)

    def make(self, task: Task, ctx: Context) -> list[Draft | Data]:
        return [making.make(task, ctx.rng)]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        return foreign.check(data) if task.get("foreign") else checking.check(task, data)

    def read(self, task: Task, text: str) -> Data:
        return reading.read(task, text)

    def adopt(self, row: dict[str, Any]) -> tuple[Task, Data]:
        return foreign.adopt(row)

    def audit(self, generations: Sequence[Iterable[Record]], ctx: Context) -> list[Finding]:
        """How varied the texts are, by a sample of each concept, and how evenly they are spread."""
        from stillroom import prose

        rows = ((record.tags, record.data["text"]) for g in generations for record in g)
        return prose.audit(rows, all_names(), sample=40, looked_at=2000)

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        return spoiling.spoil(data, rng)

    def show(self, record: Record) -> View:
        data = record.data
        text = data["text"]
        if record.task.get("foreign"):
            return View(text=text, html=lambda: f"<pre>{html.escape(text)}</pre>")
        statements = 0
        found = checking.FORMULA.findall(text)
        for formula in (part for one in found for part in checking.states(one)):
            try:
                statements += bool(parse(formula).relations)
            except Unreadable:
                continue
        told = content(data["concept"])
        answer = data["worked"]["answer"]
        classes = {"answer_class": answer} if answer in told.classes else {}
        return View(
            text=text,
            messages=(
                {"role": "user", "content": _request(data)},
                {"role": "assistant", "content": text},
            ),
            html=lambda: page(text),
            tags=planning.tags(record.task) | {"mistake": data["mistake"]["name"]} | classes,
            features={"words": float(len(text.split())), "equations": float(statements)},
        )


def _request(data: Data) -> str:
    """What a learner would ask to get this lesson."""
    count = ("no", "one", "two", "three", "four")[min(4, len(data["exercises"]))]
    form = {"lesson": "a lesson", "dialogue": "a dialogue", "exam": "an exam with solutions"}
    return (
        f"Write {form[data['style']]} at level {data['level']} of 8 for "
        f"{AUDIENCES[data['audience']]} about {data['title'].lower()} "
        f"(subject: {data['subject']}; concept: {data['concept']}; "
        f"names and numbers as in {data['locale']}). "
        "Explain the idea, work one example step by step with a reason for every step, show a "
        f"common mistake, and give {count} exercises with solutions. "
        "Put every formula between backticks."
    )
