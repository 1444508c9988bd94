"""The protocol: a World plans tasks, makes data for them, and checks that data another way.

A run is a fold over generations:

    state = world.start()
    for g in generations:
        records = map(make, then check, world.plan(g))
        state = world.learn(state, records so far)
    findings = world.audit(records)

Four verbs are required (`plan`, `make`, `check`, `show`) and one is expected (`spoil`, without
which a checker's power is measured by the core's faults alone). The rest are optional, and what a
world does not override is not called.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from stillroom.record import Record

Task = dict[str, Any]
"""What is to be made, as JSON. Its id is a hash of world, config, seed, generation, index, task."""

Data = dict[str, Any]
"""One whole thing (a lesson, a game, a patient), as the world's Arrow schema holds it."""

Message = dict[str, str]
"""A chat turn: {"role": "system" | "user" | "assistant", "content": text}.

An assistant's may have "reasoning_content": what it thinks before it answers.
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """Data with its lineage: ids of the records it was made from, and a named outside source."""

    data: Data
    parents: tuple[str, ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One question that was put to the data; `detail` says what was seen, above all when wrong."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `check` found. `score` in [0, 1] is the share of the data that stands under a check.

    No check at all is a "no": what nobody looked at has not passed.
    """

    checks: tuple[Check, ...]
    score: float = 1.0
    ok: bool = field(init=False)

    def __post_init__(self) -> None:
        ok = bool(self.checks)
        for check in self.checks:
            if not check.ok:
                ok = False
        object.__setattr__(self, "ok", ok)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def reason(self) -> str:
        """The first thing that was wrong, as "name: detail"; empty when nothing was."""
        wrong = next((c for c in self.checks if not c.ok), None)
        if wrong is None:
            return "" if self.checks else "nothing was checked"
        return f"{wrong.name}: {wrong.detail}" if wrong.detail else wrong.name


@dataclass(frozen=True, slots=True)
class View:
    """How a record looks to people and to other tools. There is no sixth field.

    `messages` is the record as a chat whose last turn is the training target. `html` is a picture
    for the page: a string, or a function called only when a page is drawn. `tags` are for
    quotas, slices and splits; `split` (train, validation, test) and `difficulty` are reserved.
    `features` are numbers that describe the record, for diversity and coverage.
    """

    text: str = ""
    messages: tuple[Message, ...] = ()
    html: "str | Callable[[], str]" = ""
    tags: dict[str, str] = field(default_factory=dict)
    features: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A truth about the set, from `audit`: a number, its unit, and whether it should be so.

    `low` and `high` are its interval of 95 %, where there is one. Findings whose names differ in
    the number at their end alone are a series: three or more of them are drawn as a curve.
    """

    name: str
    value: float
    unit: str = ""
    ok: bool | None = None
    detail: str = ""
    low: float | None = None
    high: float | None = None


class Teacher(Protocol):
    """Whatever answers a conversation. A subclass is not needed: `model` and `ask` are enough."""

    model: str

    async def ask(self, messages: Sequence[Message], **params: Any) -> Any:
        """Answer the chat: text, {"text": str, "prompt_tokens": int, ...}, or an answer.Reply."""


class Context:
    """What `make`, `check`, `start`, `learn` and `audit` may use besides their arguments.

    rng      a numpy Generator over a Philox stream of its own, keyed by the task (in `check`: by
             the record). All chance comes from here. Made when first asked for.
    state    the folder or file that `start` or `learn` returned; None in `check`.
    teacher  asks a model; every answer is kept in the run's ledger. In `check` it knows the
             recorded answers only. None when the run has no teacher.
    scratch  an empty folder, gone afterwards; `start` and `learn` return a path inside it.

    There is no fifth field.
    """

    __slots__ = ("_key", "_rng", "_scratch", "state", "teacher")

    def __init__(
        self,
        key: bytes | str,
        state: Path | None = None,
        teacher: Teacher | None = None,
        scratch: Callable[[], Path] | None = None,
    ) -> None:
        self._rng: np.random.Generator | None = None
        self._key, self._scratch = key, scratch
        self.state, self.teacher = state, teacher

    @property
    def rng(self) -> np.random.Generator:
        if self._rng is None:
            self._rng = stream(self._key)
        return self._rng

    @property
    def scratch(self) -> Path:
        if self._scratch is None:
            raise RuntimeError("this verb has no scratch folder: only start, learn and make do")
        return self._scratch()


def stream(key: bytes | str) -> np.random.Generator:
    """An own stream of random numbers for `key`: Philox4x64 (Salmon et al., SC 2011).

    A string key is read as hex where it is, else hashed; 16 bytes of it count.
    """
    from stillroom.record import digest

    raw = digest(key.encode() if isinstance(key, str) else key, size=16)
    return np.random.Generator(np.random.Philox(key=int.from_bytes(raw, "little")))


class Wishes(BaseModel, frozen=True, extra="forbid"):
    """Quotas by tag: {tag: {value: records wanted}}. A world's `plan` honours what it can."""

    quotas: dict[str, dict[str, int]]


class World(BaseModel):
    """A frozen, typed config with four verbs. Fields are config: tuples, not lists; no chance.

    A world is never pickled: workers are told where its class is and its config as JSON.
    Raise `version` whenever the same task would give other data or another verdict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)

    name: ClassVar[str]
    version: ClassVar[int] = 1
    schema: ClassVar[pa.StructType]
    """Arrow type of a record's data. Nested lists and structs are fine; floats must be finite."""
    shard: ClassVar[int] = 64
    """Tasks a shard: the unit of work and of loss. Part of the run's identity."""
    private: ClassVar[bool] = False
    """What `start` and `learn` make may not leave RUN/private."""
    formats: ClassVar[tuple[str, ...]] = ()
    """Exports the world brings itself, beyond chat, text and parquet."""

    generations: int = Field(default=1, ge=1)
    only: Wishes | None = None

    # The four verbs, and spoil.

    def plan(self, generation: int) -> Iterator[Task]:
        """Enumerate the tasks of a generation: pure, lazy, without chance; may be endless."""
        raise Missing(self, "plan")

    def make(
        self, task: Task, ctx: Context
    ) -> "list[Draft | Data] | Awaitable[list[Draft | Data]]":
        """Make none, one or several records for a task. May be `async def`."""
        raise Missing(self, "make")

    def check(self, task: Task, data: Data, ctx: Context) -> "Verdict | Awaitable[Verdict]":
        """Judge data by another route than `make`: an inverse, a rule book, a replay, a solver.

        It sees what is on disk and nothing else, and gives the same verdict every time.
        """
        raise Missing(self, "check")

    def show(self, record: "Record") -> View:
        """The record for people: text, chat, picture, tags, features."""
        raise Missing(self, "show")

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        """Plant one fault of the kind this world's makers really make: (its name, faulty copy)."""
        raise Missing(self, "spoil")

    # Optional.

    def expected(self, task: Task) -> int:
        """How many records a task is likely to give; decides how far ahead work is begun.

        It never decides what is kept, so that a wrong guess costs time alone.
        """
        return 1

    def read(self, task: Task, text: str) -> Data:
        """A model's text back into data; ValueError says why it can't be read.

        `read(task, show(record).messages[-1]["content"])` must pass `check`.
        """
        raise Missing(self, "read")

    def adopt(self, row: dict[str, Any]) -> tuple[Task, Data]:
        """A foreign row (JSON) as task and data; ValueError says why it can't be taken."""
        raise Missing(self, "adopt")

    def start(self, ctx: Context) -> Path | None:
        """The state before generation 0: random weights, a fitted model. None: nothing."""
        return None

    def learn(
        self, state: Path | None, generations: "Sequence[Iterable[Record]]", ctx: Context
    ) -> Path:
        """A better state from all generations so far; a strict barrier after each of them."""
        raise Missing(self, "learn")

    def audit(self, generations: "Sequence[Iterable[Record]]", ctx: Context) -> list[Finding]:
        """Truths about the whole set: diversity, privacy, realism, strength."""
        return []

    def overview(self, generations: "Sequence[Iterable[Record]]") -> str:
        """A picture of the whole set for the page: HTML as in `View.html`, in which nothing runs.

        Pure, as `show` is; empty where there is nothing to see.
        """
        return ""

    def export(self, records: "Iterable[Record]", format: str, folder: Path) -> None:
        """Write one of `formats` into an empty folder, streaming."""
        raise Missing(self, "export")


class Missing(NotImplementedError):
    """A verb that a world would need for what was asked of it."""

    def __init__(self, world: World, verb: str) -> None:
        super().__init__(f"world {type(world).__name__} has no {verb}()")


def has(world: World | type[World], verb: str) -> bool:
    """Whether the world brings this verb itself."""
    cls = world if isinstance(world, type) else type(world)
    return getattr(cls, verb) is not getattr(World, verb)
