"""What a teacher answered, kept for ever: nothing is asked, or paid for, twice.

An answer stands under hash(model, messages, params, sample index). The sample index comes from the
task's id and the number of equal calls the task made before, so equal prompts of different tasks
get answers of their own. Only raw answers are kept; parsing is always done again.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stillroom.errors import UserError
from stillroom.record import Usage, canonical, digest
from stillroom.world import Message, Teacher

_TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, model TEXT, answer BLOB) STRICT"


@dataclass(frozen=True, slots=True)
class Answer:
    """A teacher's raw answer: its text, and what it took."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Unrecorded(LookupError):
    """A question that the ledger holds no answer to, where only recorded answers may be used."""


class Ledger:
    """The answers of one run in SQLite (WAL); many may read, the run's parent process writes."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        if read_only:
            if not path.is_file():
                raise Unrecorded(f"there is no ledger at {path}")
            # A finished ledger has no side files; immutable=1 opens it on read-only media too.
            mode = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)
        else:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_TABLE)
        self._flying: dict[str, asyncio.Future[Answer]] = {}

    def get(self, key: str) -> Answer | None:
        row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else Answer(**orjson.loads(row[0]))

    def put(self, key: str, model: str, answer: Answer) -> None:
        row = (key, model, orjson.dumps(answer))
        self._db.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", row)

    async def ask(
        self, teacher: Teacher, key: str, messages: Sequence[Message], params: dict[str, Any]
    ) -> Answer:
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
    ) -> Answer:
        said = await teacher.ask(messages, **params)
        answer = Answer(said) if isinstance(said, str) else Answer(**said)
        self.put(key, teacher.model, answer)
        return answer

    def close(self) -> None:
        """Fold the WAL into the one file, so that a finished run has no side files."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.close()


def answer_key(model: str, messages: Sequence[Message], params: dict[str, Any], sample: str) -> str:
    return digest(canonical([model, list(messages), params, sample]), 16).hex()


class TaskTeacher:
    """A teacher as one task sees it: counts its calls and their usage, and asks the ledger first.

    Without a `teacher` it knows the recorded answers only, and raises Unrecorded for others.
    """

    def __init__(self, ledger: Ledger, model: str, task: str, teacher: Teacher | None) -> None:
        self.model, self.task = model, task
        self._ledger, self._teacher = ledger, teacher
        self._calls: dict[str, int] = {}
        self.answers: list[Answer] = []

    async def ask(self, messages: Sequence[Message], **params: Any) -> Any:
        """The answer as an Answer. The teacher behind gets the same arguments."""
        same = answer_key(self.model, messages, params, "")
        place = self._calls[same] = self._calls.get(same, 0) + 1
        key = answer_key(self.model, messages, params, f"{self.task}:{place - 1}")
        if self._teacher is not None:
            answer = await self._ledger.ask(self._teacher, key, messages, params)
        else:
            known = self._ledger.get(key)
            if known is None:
                raise Unrecorded(f"the ledger holds no answer of {self.model} to this question")
            answer = known
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
