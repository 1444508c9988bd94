"""Running a world's `check` so that whatever comes of it is a verdict or a failure in words."""

import asyncio
import inspect
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from stillroom.cast import Unfit, cast
from stillroom.ledger import Ledger, TaskTeacher
from stillroom.record import EXCEPTION, canonical, digest
from stillroom.world import Check, Context, Data, Task, Verdict, World


class Failures:
    """Turns exceptions into words for the record, and tracebacks into RUN/private.

    Of a private world the record learns the kind of exception and the line alone: a message may
    quote what may not leave.
    """

    def __init__(self, world: World, run: Path, name: str) -> None:
        self.private = type(world).private
        self.log = run / "private" / "tracebacks" / f"{name}.txt" if name else None
        self.logged = 0

    def note(self, verb: str, wrong: Exception) -> str:
        frames = traceback.extract_tb(wrong.__traceback__)
        inner = next((f for f in reversed(frames) if f.filename != __file__), None)
        where = f" ({Path(inner.filename).name}, line {inner.lineno})" if inner else ""
        if self.log is not None and self.logged < 5:
            self.log.parent.mkdir(exist_ok=True, mode=0o700)
            with self.log.open("a") as file:
                file.write("".join(traceback.format_exception(wrong)) + "\n")
            self.logged += 1
        kind = type(wrong).__name__
        return f"{verb}: {kind}{where}" if self.private else f"{verb}: {kind}: {wrong}{where}"


class Checker:
    """Runs a world's `check`, sync or async, on data from disk; verdicts that are none are bugs."""

    def __init__(self, world: World, run: Path, model: str) -> None:
        self.world, self._run, self._model = world, run, model
        self._ledger: Ledger | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, key: str, task: Task, data: Data, of_task: str = "") -> Verdict:
        """The verdict; `key` seeds ctx.rng, `of_task` is whose recorded answers may be read."""
        verdict: Any = self.world.check(task, data, Context(key, None, self._teacher(of_task)))
        if not isinstance(verdict, Verdict) and inspect.isawaitable(verdict):
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            verdict = self._loop.run_until_complete(verdict)
        return _sound(verdict)

    def text(self, task: Task, text: str) -> Verdict:
        """check(task, read(task, text)). A text that can't be read, or that breaks the check, is
        refused: models write what no maker would."""
        key, verb = digest(canonical([task, text]), 16).hex(), "read"
        try:
            try:
                (data,) = cast([self.world.read(task, text)], type(self.world).schema)
            except (ValueError, Unfit) as wrong:
                return Verdict((Check("read", False, str(wrong)),), 0.0)
            verb = "check"
            return self(key, task, data)
        except Exception as wrong:
            note = Failures(self.world, Path(), "").note(verb, wrong)
            return Verdict((Check(EXCEPTION, False, note),), 0.0)

    def close(self) -> None:
        """Let go of the ledger, so that its owner can fold its files into one."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _teacher(self, task: str) -> TaskTeacher | None:
        if not self._model or not task:
            return None
        if self._ledger is None:
            self._ledger = Ledger(self._run / "ledger.sqlite", read_only=True)
        return TaskTeacher(self._ledger, self._model, task, None)


def _sound(verdict: Any) -> Verdict:
    """The verdict as it will be on disk (numpy's numbers as Python's), or what is wrong with it."""
    if not isinstance(verdict, Verdict):
        raise TypeError(f"check returned {type(verdict).__name__}, not a Verdict")
    for c in verdict.checks:
        if type(c.ok) is not bool or type(c.name) is not str or type(c.detail) is not str:
            return _sound(_plain(verdict))
    if type(verdict.score) is not float:
        return _sound(_plain(verdict))
    if not 0 <= verdict.score <= 1:
        raise ValueError(f"a verdict's score lies in 0 to 1, not {verdict.score}")
    if not verdict.ok and any(c.name == EXCEPTION for c in verdict.checks):
        raise ValueError(f"the check name {EXCEPTION!r} is reserved")
    return verdict


def _plain(verdict: Verdict) -> Verdict:
    for c in verdict.checks:
        if not isinstance(c.ok, (bool, np.bool_)):
            raise TypeError(f"check {c.name!r}: ok is {c.ok!r:.40}, not True or False")
        if not isinstance(c.name, str) or not isinstance(c.detail, str):
            raise TypeError(f"check {c.name!r:.40}: name and detail must be text")
    if not isinstance(verdict.score, (int, float, np.number)):
        raise TypeError(f"a verdict's score is a number, not {verdict.score!r:.40}")
    checks = tuple(Check(str(c.name), bool(c.ok), str(c.detail)) for c in verdict.checks)
    return Verdict(checks, float(verdict.score))
