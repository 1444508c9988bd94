"""The World `written`: lessons by a model, in the concepts of `lessons` and beyond them."""

from collections.abc import Awaitable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from stillroom.record import Record, digest
from stillroom.world import Check, Context, Data, Draft, Finding, Task, Verdict, View, World
from stillroom.worlds.lessons import adoption, planning
from stillroom.worlds.lessons.content import CONCEPTS
from stillroom.worlds.lessons.locales import all_names
from stillroom.worlds.lessons.markup import page
from stillroom.worlds.lessons.symbols import AUDIENCES, STYLES
from stillroom.worlds.lessons.written import judging, reversal, spoiling, writing
from stillroom.worlds.lessons.written.asking import PASSES
from stillroom.worlds.lessons.written.documents import Document, source_fault

_PAIR = [("question", pa.string()), ("answer", pa.string())]
_TEXTS = pa.list_(pa.string())
_CODE = pa.struct(
    [
        *((name, pa.string()) for name in ("name", "description", "original", "again")),
        ("inputs", _TEXTS),
    ]
)
_SOURCE = pa.struct(
    [("name", pa.string()), ("date", pa.string()), ("begin", pa.int32()), ("end", pa.int32())]
)
_NAMES = ("concept", "topic", "subject", "audience", "style", "locale", "title", "text")


class Written(World):
    """Lessons that a model writes and a program checks: thirty concepts, or topics of your own."""

    name: ClassVar[str] = "written"
    schema: ClassVar[pa.StructType] = pa.struct(
        [
            *((name, pa.string()) for name in _NAMES),
            ("level", pa.int32()),
            ("example", pa.struct(_PAIR)),
            ("exercises", pa.list_(pa.struct([*_PAIR, ("votes", _TEXTS)]))),
            ("code", _CODE),
            ("source", _SOURCE),
            ("standing", pa.string()),
            ("version", pa.string()),
            ("sandbox", pa.string()),
        ]
    )
    shard: ClassVar[int] = 8  # what is begun is paid for

    concepts: tuple[str, ...] | None = None
    """Concepts of the world `lessons`; all of them, unless topics or code are given."""
    levels: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    topics: tuple[str, ...] = ()
    """Topics without a solver: several samples vote on the answers."""
    code: tuple[str, ...] = ()
    """Python files (or their texts) whose functions become instructions."""
    documents: tuple[Document, ...] = ()
    """Dated texts of your own: {file, date}; each lesson is seeded with a passage of one."""
    passes: tuple[str, ...] = PASSES

    @field_validator("concepts")
    @classmethod
    def _known(cls, concepts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        unknown = sorted(set(concepts or ()) - set(CONCEPTS))
        if unknown:
            raise ValueError(f"no concept {unknown[0]!r} (there are {', '.join(CONCEPTS)})")
        return concepts

    @field_validator("levels")
    @classmethod
    def _in_range(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        return planning.known_levels(levels)

    @field_validator("passes")
    @classmethod
    def _in_order(cls, passes: tuple[str, ...]) -> tuple[str, ...]:
        if not passes or passes != PASSES[: len(passes)]:
            raise ValueError(f"passes: the first one, two or three of {', '.join(PASSES)}")
        return passes

    @field_validator("code")
    @classmethod
    def _read_code(cls, code: tuple[str, ...]) -> tuple[str, ...]:
        texts = []
        for given in code:
            text = given
            if "\n" not in given:
                try:
                    text = Path(given).read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError) as wrong:
                    raise ValueError(f"can't read the code file {given}: {wrong}") from None
            if not reversal.functions(text):
                raise ValueError(f"no plain function at the top of {given:.40}")
            texts.append(text if "\n" in text else text + "\n")
        return tuple(texts)

    def plan(self, generation: int) -> Iterator[Task]:
        """First the functions, each once; then lessons, topics after concepts in every round."""
        for text in self.code:
            for name, source in reversal.functions(text).items():
                yield {"function": name, "source": source}
        concepts = self.concepts
        if concepts is None:
            concepts = () if self.topics or self.code else CONCEPTS
        lessons = planning.plan(concepts, self.levels, self.only) if concepts else iter(())
        rounds = count() if self.topics else range(0)
        for number in rounds:
            yield from (one for _, one in zip(range(len(concepts)), lessons, strict=False))
            for place, topic in enumerate(self.topics):
                turn = number + 2 * place
                yield {
                    "topic": topic,
                    "audience": tuple(AUDIENCES)[turn % 3],
                    "style": STYLES[(turn // 3 + place) % 3],
                    "number": number,
                }
        yield from lessons

    async def make(self, task: Task, ctx: Context) -> list[Draft | Data]:
        return await writing.make(task, ctx, self.documents, self.passes)

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict | Awaitable[Verdict]:
        verdict = judging.check(task, data)
        fault = source_fault(self.documents, data["source"])
        verdict = Verdict((*verdict.checks, Check("source", not fault, fault)), verdict.score)
        if not task.get("topic") or ctx.teacher is None:
            return verdict
        return self._with_ledger(data, verdict, ctx.teacher)

    async def _with_ledger(self, data: Data, verdict: Verdict, teacher: Any) -> Verdict:
        fault = await writing.votes_fault(data, teacher)
        recorded = Check("votes recorded", not fault, fault)
        return Verdict((*verdict.checks, recorded), verdict.score)

    def read(self, task: Task, text: str) -> Data:
        """A lesson's text. A topic's votes and a function's inputs are not in a text."""
        if not task.get("concept"):
            raise ValueError("a text alone holds neither votes nor inputs to check it by")
        data = writing.blank(task, text)
        judged = judging.judge(task, data)
        return data | {"standing": judged.standing, "sandbox": judged.sandbox}

    def adopt(self, row: dict[str, Any]) -> tuple[Task, Data]:
        """A record of a run, or {"task": {...}, "text": ...} with a task as `plan` gives it."""
        task = row.get("task")
        if isinstance(task, dict) and isinstance(row.get("data"), dict):
            return adoption.recorded(row)
        if not isinstance(task, dict) or not isinstance(row.get("text"), str):
            raise ValueError("expected a record, or a task and a text")
        return task, self.read(task, row["text"])

    def audit(self, generations: Sequence[Iterable[Record]], ctx: Context) -> list[Finding]:
        """How much of the texts stands under a check, and how varied they are."""
        from stillroom import prose

        records = [record for g in generations for record in g]
        share = sum(r.verdict.score for r in records) / max(1, len(records))
        rows = ((record.tags, record.data["text"]) for record in records)
        under = Finding("share of the text under a check", 100 * share, "%")
        return [under, *prose.audit(rows, all_names(), sample=40, looked_at=2000)]

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        return spoiling.spoil(data, rng)

    def show(self, record: Record) -> View:
        data, task = record.data, record.task
        return View(
            text=data["text"],
            messages=(
                {"role": "user", "content": _request(task, data)},
                {"role": "assistant", "content": _target(data)},
            ),
            html=lambda: page(data["text"]),
            tags=_tags(task) | {"standing": data["standing"], "version": data["version"]},
            features={
                "words": float(len(data["text"].split())),
                "share under a check": record.verdict.score,
            },
        )


def _tags(task: Task) -> dict[str, str]:
    if task.get("concept"):
        return planning.tags(task) | {"kind": "concept"}
    named = task.get("topic") or task["function"]
    # By what it is about, so that nothing on one topic is in two splits.
    split = ("train",) * 8 + ("validation", "test")
    place = digest(named.encode(), 2)[0] % 10
    kind = "topic" if task.get("topic") else "code"
    tags = {"kind": kind, kind: named, "split": split[place]}
    return tags | {name: task[name] for name in ("audience", "style") if name in task}


def _request(task: Task, data: Data) -> str:
    if task.get("function"):
        return str(data["code"]["description"])
    about = data["title"] or task.get("topic", "")
    level = f" at level {task['level']} of 8" if task.get("level") else ""
    return (
        f"Write a {task['style']}{level} for {AUDIENCES[task['audience']]} about {about}, with a "
        "worked example, a common mistake, exercises and their answers."
    )


def _target(data: Data) -> str:
    if data["code"]:
        return f"```python\n{data['code']['original']}\n```"
    return str(data["text"])
