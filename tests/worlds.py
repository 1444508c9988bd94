"""Small worlds for the tests, which behave or misbehave as `how` says; and the command line."""

import io
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from pydantic import Field

from stillroom import Check, Context, Data, Draft, Record, Task, Verdict, View, World

FILE = Path(__file__).resolve()
SUMS = f"{FILE}:Sums"

PLANS: dict[str, Callable[[], Any]] = {
    "plans nothing": lambda: [],
    "plans text": lambda: ["a task"],
    "plans a set": lambda: [{"a": {1, 2}}],
    "plans an object": lambda: [{"a": object()}],
    "plans numpy": lambda: [{"a": np.int64(1)}],
    "plans nan": lambda: [{"a": float("nan")}],
    "plans numbers as keys": lambda: [{1: "a"}],
}
MAKES: dict[str, Callable[[Data], Any]] = {
    "raises": lambda data: 1 // 0,
    "none of it": lambda data: [],
    "three each": lambda data: [data | {"words": [str(i)]} for i in range(3)],
    "dies": lambda data: os._exit(3),
    "unknown field": lambda data: [data | {"colour": "red"}],
    "missing field": lambda data: [{k: v for k, v in data.items() if k != "total"}],
    "wrong type": lambda data: [data | {"total": "twelve"}],
    "fraction": lambda data: [data | {"total": 1.5}],
    "not finite": lambda data: [data | {"dice": float("nan")}],
    "set": lambda data: [data | {"words": {"b", "a", "c"}}],
    "text for a list": lambda data: [data | {"words": "abc"}],
    "not a dict": lambda data: [[1, 2]],
    "not a list": lambda data: data,
    "nothing at all": lambda data: None,
    "parents not text": lambda data: [Draft(data, parents=(1, 2))],  # type: ignore[arg-type]
    "fickle": lambda data: [data | {"dice": random.random()}],
}
CHECKS: dict[str, Callable[[], Any]] = {
    "check raises": lambda: 1 // 0,
    "check says True": lambda: True,
    "check says nothing": lambda: None,
    "checks are text": lambda: Verdict(("right",)),  # type: ignore[arg-type]
    "detail is a number": lambda: Verdict((Check("total", True, 3),)),  # type: ignore[arg-type]
    "score is nan": lambda: Verdict((Check("total", True),), float("nan")),
    "score is text": lambda: Verdict((Check("total", True),), "high"),  # type: ignore[arg-type]
    "numpy bool": lambda: Verdict((Check("total", np.bool_(True)),)),  # type: ignore[arg-type]
    "numpy score": lambda: Verdict((Check("total", True),), np.float64(0.5)),
    "never right": lambda: Verdict((Check("taste", False, "bland"),)),
}


class Sums(World):
    """a + b; wrong where a ends in 7."""

    name = "sums"
    schema = pa.struct(
        [
            ("a", pa.int64()),
            ("b", pa.int64()),
            ("total", pa.int64()),
            ("dice", pa.float64()),
            ("words", pa.list_(pa.string())),
        ]
    )
    shard = 8

    how: str = ""
    tasks: int = Field(default=0, ge=0)  # 0: for ever
    marker: str = ""  # make fails while this file is not there

    def plan(self, generation: int) -> Iterator[Task]:
        if self.how in PLANS:
            yield from PLANS[self.how]()
            return
        for a in range(self.tasks) if self.tasks else count():
            yield {"a": a}

    def make(self, task: Task, ctx: Context) -> Any:
        time.sleep(float(os.environ.get("SUMS_PAUSE", "0")))
        a, b = task["a"], int(ctx.rng.integers(100))
        if self.how == "sometimes fails" and a % 50 == 13:
            raise ValueError(f"no {a} today")
        if self.marker and not Path(self.marker).exists():
            raise ValueError("the marker is not there")
        wrong = self.how != "always right" and a % 10 == 7
        data = {"a": a, "b": b, "total": a + b + wrong, "dice": 0.5, "words": ["sum", str(b % 3)]}
        return MAKES.get(self.how, lambda data: [data])(data)

    def check(self, task: Task, data: Data, ctx: Context) -> Any:
        if self.how in CHECKS:
            return CHECKS[self.how]()
        left = data["total"] - data["b"]
        if self.how == "check edits":
            data["dice"] = 0.25
        return Verdict(
            (
                Check("task", data["a"] == task["a"]),
                Check("total", left == data["a"], f"{left} is left"),
                Check("dice", 0 <= data["dice"] < 1),
            )
        )

    def show(self, record: Record) -> View:
        data = record.data
        if self.how == "show edits":
            data["words"].append("shown")
        text = f"{data['a']} + {data['b']} = {data['total']}"
        return View(text, tags={"odd": str(data["a"] % 2), "size": str(len(text))})


class Learns(Sums):
    """Sums with a state: how many records there were, which sets the dice."""

    name = "learns"
    generations: int = 2

    def start(self, ctx: Context) -> Path:
        (ctx.scratch / "seen.txt").write_text("0")
        return ctx.scratch / "seen.txt"

    def make(self, task: Task, ctx: Context) -> Any:
        assert ctx.state is not None
        return [super().make(task, ctx)[0] | {"dice": 1 / (2 + int(ctx.state.read_text()))}]

    def learn(
        self, state: Path | None, generations: Sequence[Iterable[Record]], ctx: Context
    ) -> Path:
        seen = sum(1 for records in generations for _ in records)
        (ctx.scratch / "seen.txt").write_text(str(seen))
        return ctx.scratch / "seen.txt"


def command(*words: object) -> list[str]:
    return [sys.executable, "-c", "from stillroom.cli import main; main()", *map(str, words)]


def shell(*words: object, **how: Any) -> tuple[int, str, str]:
    """The command line in a process of its own: (exit code, stdout, stderr)."""
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=60, **how)
    return done.returncode, done.stdout, done.stderr


def here(*words: object) -> tuple[int, str, str]:
    """The command line in this process: (exit code, stdout, stderr). What escapes is a bug."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = patch.object(sys, "argv", ["stillroom", *map(str, words)])
    with argv, redirect_stdout(out), redirect_stderr(err):
        from stillroom.cli import main

        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


class Asked(World):
    """What a teacher says to numbered questions, whatever it is."""

    name = "asked"
    schema = pa.struct({"question": pa.string(), "answer": pa.string()})
    same: bool = False  # whether all tasks ask the same

    def plan(self, generation: int) -> Iterator[Task]:
        return ({"number": number} for number in count())

    async def make(self, task: Task, ctx: Context) -> list[Data]:
        assert ctx.teacher is not None
        question = "What is there?" if self.same else f"What is number {task['number']}?"
        answer = await ctx.teacher.ask([{"role": "user", "content": question}])
        return [{"question": question, "answer": answer.text}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        asked = self.same or data["question"] == f"What is number {task['number']}?"
        return Verdict((Check("asked", asked), Check("answered", data["answer"] != "")))

    def show(self, record: Record) -> View:
        return View(text=record.data["answer"])
