"""What a teacher answered, kept for ever: nothing is asked, or paid for, twice.

An answer stands under hash(model, messages, params, schema, sample index). The sample index comes
from the task's id and the number of equal calls the task made before, so equal prompts of different
tasks get answers of their own. Only raw answers are kept; reading is always done again.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from stillroom.answer import Answer, Misfit, Reply, conform, raw_of, read
from stillroom.errors import Stopped, UserError
from stillroom.record import Usage, canonical, digest
from stillroom.world import Message, Teacher

_TABLE = """CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, model TEXT, raw BLOB,
    prompt_tokens INTEGER, completion_tokens INTEGER, cost REAL) STRICT"""
_INSERT = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)"
_Row = tuple[str, str, bytes, int, int, float]
TRIES = 3  # how often a question is put whose answers do not fit their schema


class Unrecorded(LookupError):
    """A question that the ledger holds no answer to, where only recorded answers may be used."""


class Cost(NamedTuple):
    """What the answers of one model took, all together."""

    model: str
    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


class Ledger:
    """The answers of one run in SQLite (WAL); many may read, the run's parent process writes.

    Answers that come in while others are being written wait for the next transaction: one fsync
    serves many, and no answer is used before it is on disk.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        if read_only and not path.is_file():
            raise Unrecorded(f"there is no ledger at {path}")
        self._write: sqlite3.Connection | None = None
        if not read_only:
            # Written from a thread of its own, while the loop goes on.
            self._write = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._write.execute("PRAGMA journal_mode=WAL")
            self._write.execute("PRAGMA synchronous=FULL")
            self._write.execute(_TABLE)
        # A finished ledger has no side files; immutable=1 opens it on read-only media too.
        mode = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
        self._read = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)
        self._flying: dict[str, asyncio.Future[Reply]] = {}
        self._waiting: list[tuple[_Row, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    def get(self, key: str) -> Reply | None:
        found = self._read.execute("SELECT raw, cost FROM answers WHERE key = ?", (key,)).fetchone()
        return None if found is None else Reply(*found)

    def costs(self) -> list[Cost]:
        """What was paid, model by model."""
        sums = "count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost)"
        rows = self._read.execute(f"SELECT model, {sums} FROM answers GROUP BY model ORDER BY 1")
        return [Cost(*row) for row in rows]

    def take_in(self, path: Path) -> None:
        """The answers of another ledger: they are not asked again."""
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as other:
            try:
                self._commit(other.execute("SELECT * FROM answers"))
            except sqlite3.DatabaseError as wrong:
                raise UserError(
                    f"this is no ledger: {wrong}", path, "give the ledger.sqlite of a run"
                ) from None

    async def ask(
        self, teacher: Teacher, key: str, messages: Sequence[Message], params: dict[str, Any]
    ) -> Reply:
        """The recorded answer, or a new one; equal calls in flight at once are one call."""
        known = self.get(key)
        if known is not None:
            return known
        if key not in self._flying:
            asking = asyncio.ensure_future(self._ask(teacher, key, messages, params))
            asking.add_done_callback(lambda _: self._flying.pop(key, None))
            self._flying[key] = asking
        return await asyncio.shield(self._flying[key])

    async def _ask(
        self, teacher: Teacher, key: str, messages: Sequence[Message], params: dict[str, Any]
    ) -> Reply:
        reply = raw_of(await teacher.ask(messages, **params))
        answer = read(reply)
        prompt, completion = answer.prompt_tokens, answer.completion_tokens
        await self._keep((key, teacher.model, reply.raw, prompt, completion, reply.cost))
        return reply

    async def _keep(self, row: _Row) -> None:
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_waiting())
        await done

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._commit, [row for row, _ in batch])
            except BaseException as wrong:
                self._waiting = batch + self._waiting  # `close` tries them once more
                for _, done in self._waiting:
                    if not done.done():
                        done.set_exception(_trouble(wrong))
                return
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def written(self) -> None:
        """Wait for the transaction that is under way, as `close` must not meet it."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    def _commit(self, rows: Iterable[_Row]) -> None:
        assert self._write is not None
        self._write.execute("BEGIN IMMEDIATE")
        try:
            self._write.executemany(_INSERT, rows)
            self._write.execute("COMMIT")
        except BaseException:
            self._write.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Write what was paid for and not written yet, and leave one file without side files."""
        self._read.close()
        if self._write is not None:
            self._commit([row for row, _ in self._waiting])
            # Where somebody still reads, the side files stay; they are as good.
            with suppress(sqlite3.OperationalError):
                self._write.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._write.execute("PRAGMA journal_mode=DELETE")
            self._write.close()


def recorded(path: Path) -> list[Cost]:
    """What the answers in a ledger took; nothing where there is none."""
    if not path.is_file():
        return []
    ledger = Ledger(path, read_only=True)
    try:
        return ledger.costs()
    finally:
        ledger.close()


def bring_ledger(own: Path, brought: Path) -> None:
    """Put the answers of a ledger that came with a recipe into a run's own."""
    ledger = Ledger(own)
    try:
        ledger.take_in(brought)
    finally:
        ledger.close()


def _trouble(wrong: BaseException) -> BaseException:
    if isinstance(wrong, sqlite3.OperationalError):
        return Stopped(
            f"the ledger can't be written: {wrong}", do="make room and run the same command again"
        )
    return wrong


def answer_key(
    model: str, messages: Sequence[Message], params: dict[str, Any], schema: Any, sample: str
) -> str:
    return digest(canonical([model, list(messages), params, schema, sample]), 16).hex()


class TaskTeacher:
    """A teacher as one task sees it: counts its calls and their usage, and asks the ledger first.

    Without a `teacher` it knows the recorded answers only, and raises Unrecorded for others.
    """

    def __init__(self, ledger: Ledger, model: str, task: str, teacher: Teacher | None) -> None:
        self.model, self.task = model, task
        self._ledger, self._teacher = ledger, teacher
        self._calls: dict[str, int] = {}
        self.answers: list[Answer] = []

    async def ask(
        self, messages: Sequence[Message], *, schema: dict[str, Any] | None = None, **params: Any
    ) -> Any:
        """The answer as an Answer. The teacher behind gets the same arguments.

        With a JSON `schema` the answer's `value` is JSON that conforms to it; a text that does not
        is kept and paid for, and the question put again, three times at most; then Misfit.
        """
        for attempt in range(TRIES):
            answer = await self._ask(messages, schema, params)
            if schema is None:
                return answer
            try:
                return replace(answer, value=conform(answer.text, schema))
            except Misfit as wrong:
                if attempt == TRIES - 1:
                    raise Misfit(f"{self.model}: {TRIES} answers, and none fits: {wrong}") from None
        raise AssertionError

    async def _ask(
        self, messages: Sequence[Message], schema: dict[str, Any] | None, params: dict[str, Any]
    ) -> Answer:
        same = answer_key(self.model, messages, params, schema, "")
        place = self._calls[same] = self._calls.get(same, 0) + 1
        key = answer_key(self.model, messages, params, schema, f"{self.task}:{place - 1}")
        if self._teacher is not None:
            given = params if schema is None else {**params, "schema": schema}
            reply = await self._ledger.ask(self._teacher, key, messages, given)
        else:
            known = self._ledger.get(key)
            if known is None:
                raise Unrecorded(f"the ledger holds no answer of {self.model} to this question")
            reply = known
        answer = read(reply)
        self.answers.append(answer)
        return answer

    def usage(self) -> Usage:
        return Usage(
            sum(a.prompt_tokens for a in self.answers),
            sum(a.completion_tokens for a in self.answers),
            sum(a.cost for a in self.answers),
        )


def named(teacher: Any) -> Teacher:
    """The teacher if it can answer, else the user's error."""
    if not isinstance(getattr(teacher, "model", None), str) or not hasattr(teacher, "ask"):
        raise UserError(
            f"{teacher!r:.60} is no teacher",
            do="it needs `model` (text) and `async def ask(messages)`",
        )
    return teacher  # type: ignore[no-any-return]
