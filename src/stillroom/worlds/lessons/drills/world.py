"""The World `drills`: short reasoning questions whose every step is written down and checked."""

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, ValidationInfo, field_validator

from stillroom.record import Record
from stillroom.world import Check, Context, Data, Draft, Finding, Task, Verdict, View, World
from stillroom.worlds.lessons.adoption import recorded
from stillroom.worlds.lessons.drills import config, judging, planning, reading, spoiling
from stillroom.worlds.lessons.drills.notation import FAMILIES, chance, reasoning, width
from stillroom.worlds.lessons.drills.solving import solve


class Drills(World):
    """Short questions for small models in six families: the steps are written down and checked."""

    name: ClassVar[str] = "drills"
    schema: ClassVar[pa.StructType] = pa.struct(
        [
            ("family", pa.string()),
            ("size", pa.int32()),
            ("question", pa.string()),
            ("steps", pa.list_(pa.string())),  # null: an answer was given, and no reasoning
            ("answer", pa.string()),
        ]
    )
    shard: ClassVar[int] = 256

    families: tuple[str, ...] = FAMILIES
    sizes: config.Sizes = Field(default={}, validate_default=True)
    """The ordinary sizes by family, for all splits; what is left out is as in notation.py."""
    beyond: config.Sizes = Field(default={}, validate_default=True)
    """Larger sizes by family, for tests of extrapolation alone; () for none."""
    weights: config.Sizes = Field(default={}, validate_default=True)
    """How often each ordinary size is asked within one round."""
    cups: int = Field(default=4, ge=2, le=9)
    series: int = Field(default=0, ge=0)
    """Another series asks other questions, or the same in another order."""

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        return config.known_families(families)

    @field_validator("sizes")
    @classmethod
    def _ordinary(cls, given: config.Sizes, info: ValidationInfo) -> config.Sizes:
        return config.ordinary(given, info.data.get("families", FAMILIES))

    @field_validator("beyond")
    @classmethod
    def _beyond(cls, given: config.Sizes, info: ValidationInfo) -> config.Sizes:
        return config.beyond(given, info.data["sizes"]) if "sizes" in info.data else given

    @field_validator("weights")
    @classmethod
    def _weights(cls, given: config.Sizes, info: ValidationInfo) -> config.Sizes:
        return config.weights(given, info.data["sizes"]) if "sizes" in info.data else given

    def plan(self, generation: int) -> Iterator[Task]:
        sources, weights = [], []
        for family in self.families:
            asked = [*zip(self.sizes[family], self.weights[family], strict=True)]
            asked += [(size, 1) for size in self.beyond[family]]
            for size, weight in asked:
                source = planning.Source(
                    family,
                    size,
                    room=width(family, self.sizes[family]),
                    cups=self.cups,
                    series=self.series,
                    beyond=size in self.beyond[family],
                )
                sources.append(source)
                weights.append(weight)
        return planning.plan(sources, weights, self.only)

    def make(self, task: Task, ctx: Context) -> list[Draft | Data]:
        steps, answer = solve(task["question"])
        asked = {name: task[name] for name in ("family", "size", "question")}
        return [{**asked, "steps": steps, "answer": answer}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        """The question is the task's, each step follows, the answer is right. Score: all or none.

        Where no steps were given, the question and the answer decide.
        """
        for name in ("question", "family", "size"):
            if data[name] != task[name]:
                detail = f"{name} is {data[name]!r:.80}, and not {task[name]!r:.80}"
                return Verdict((Check("question", False, detail),))
        try:
            asked = self._take_apart(data["question"])
        except ValueError as wrong:
            return Verdict((Check("question", False, str(wrong)),))
        same = (asked.family, asked.size) == (data["family"], data["size"])
        split = self._split(asked)
        faults = {
            "question": "" if same else f"it is {asked.family} of size {asked.size}",
            "split": "" if split == task["split"] else f"{split}, not {task['split']}",
        }
        if same and data["steps"] is not None:
            faults["steps"] = judging.steps_fault(asked, data["steps"])
        faults["answer"] = judging.answer_fault(asked, data["answer"])
        return Verdict(tuple(Check(name, not fault, fault) for name, fault in faults.items()))

    def _take_apart(self, question: str) -> judging.Asked:
        rooms = {family: width(family, sizes) for family, sizes in self.sizes.items()}
        asked = judging.take_apart(question, rooms, self.cups)
        known = (*self.sizes[asked.family], *self.beyond[asked.family])
        if asked.size not in known:
            sizes = ", ".join(map(str, known))
            raise ValueError(f"{asked.family} of size {asked.size} is not asked ({sizes} are)")
        return asked

    def _split(self, asked: judging.Asked) -> str:
        return "test" if asked.size in self.beyond[asked.family] else asked.split

    def read(self, task: Task, text: str) -> Data:
        return reading.read(task, text)

    def adopt(self, row: dict[str, Any]) -> tuple[Task, Data]:
        """A record of a run, a chat of one question and its answer, or a prompt and completion."""
        if isinstance(row.get("task"), dict) and isinstance(row.get("data"), dict):
            return recorded(row)
        question, told = reading.text_of(row)
        asked = self._take_apart(question)
        task = reading.task_of(asked, question, self._split(asked))
        return task, reading.read(task, told)

    def audit(self, generations: Sequence[Iterable[Record]], ctx: Context) -> list[Finding]:
        """Whether a question was asked twice, and how far one answer for all would come."""
        seen: set[str] = set()
        answers: dict[str, Counter[str]] = {}
        total = 0
        for data in (record.data for records in generations for record in records):
            total += 1
            seen.add(data["question"])
            answers.setdefault(data["family"], Counter())[data["answer"]] += 1
        again = total - len(seen)
        findings = [Finding("questions asked again", again, "", again == 0, f"of {total}")]
        for family in sorted(answers):
            ((answer, times),) = answers[family].most_common(1)
            count = answers[family].total()
            guess = 100 * chance(family, self.cups)
            detail = f"{answer}, of {count}; a guess is right in {guess:.3g} %"
            value = 100 * times / count
            findings.append(Finding(f"{family}: commonest answer", value, "%", None, detail))
        return findings

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        return spoiling.spoil(data, rng)

    def show(self, record: Record) -> View:
        data, task = record.data, record.task
        steps = data["steps"]
        target = {"role": "assistant", "content": data["answer"]}
        lines = [data["question"], data["answer"]]
        if steps is not None:
            target["reasoning_content"] = reasoning(data["family"], steps)
            lines.insert(1, target["reasoning_content"])
        beyond = task["size"] in self.beyond.get(task["family"], ())
        return View(
            text="\n".join(lines),
            messages=({"role": "user", "content": data["question"]}, target),
            html=lambda: _table(data),
            tags=planning.tags(task["family"], task["size"], task["split"], beyond),
            features={
                "steps": float(len(steps or ())),
                "characters": float(sum(map(len, lines))),
            },
        )


def _table(data: Data) -> str:
    """The question, a row for each step, and the answer."""
    rows = [
        ("question", data["question"]),
        *((f"step {n}", step) for n, step in enumerate(data["steps"] or (), 1)),
        ("answer", data["answer"]),
    ]
    cells = "".join(
        f"<tr><th>{name}</th><td><code>{html.escape(text)}</code></td></tr>" for name, text in rows
    )
    return f"<table>{cells}</table>"
