"""One shard of tasks: make, cast, check, show. This is what a worker process does for the fold.

A task that raises costs itself only: it becomes a failed record with the exception as its check.
"""

import asyncio
import gc
import inspect
import shutil
import tempfile
import traceback
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from stillroom import dataset, parts, worlds
from stillroom.engines.local import Job
from stillroom.errors import Stopped, UserError
from stillroom.ledger import Ledger, TaskTeacher
from stillroom.parts import Shard
from stillroom.record import (
    EXCEPTION,
    Origin,
    Record,
    Shared,
    Unfit,
    Usage,
    canonical,
    cast,
    record_id,
    task_id,
    task_prefix,
)
from stillroom.world import (
    Check,
    Context,
    Data,
    Draft,
    Task,
    Teacher,
    Verdict,
    World,
    has,
)


@dataclass(frozen=True)
class Making:
    """A shard's work as JSON: which world, which tasks, in which run."""

    spec: dict[str, str]
    config: dict[str, Any]
    seed: int
    generation: int
    index: int
    first: int
    tasks: list[str]  # canonical JSON
    run: str
    state: str = ""
    model: str = ""
    where: str = ""
    drafts: str = ""  # a file of drafts that the parent made, for worlds whose make is async


NONE = Usage()  # one object, so that it is converted once


@dataclass(slots=True)
class Made:
    """One draft of a task, or the failure that stands in its place."""

    place: int  # of the task in the shard
    ordinal: int  # of the draft among the task's drafts
    data: Any  # Data; None for a failure
    parents: tuple[str, ...] = ()
    source: str | None = None
    usage: Usage = NONE
    failure: str = ""


def world_of(spec: dict[str, str], config: dict[str, Any]) -> World:
    return _world_of(canonical([spec, config]))


@lru_cache(maxsize=8)
def _world_of(key: bytes) -> World:
    spec, config = orjson.loads(key)
    return worlds.build(worlds.Spec(**spec), config)


# What the fold calls.


def ready(job: Job) -> None:
    """Load the world, so that a worker's first shard does not wait for it."""
    world_of(job["spec"], job["config"])


def make_shard(job: Job) -> dict[str, Any]:
    """Make, check and write one shard (or check and write the parent's drafts); its numbers."""
    usual = gc.get_threshold()
    # A shard is many small live objects: collecting every 700 of them only walks over them again.
    gc.set_threshold(20_000, *usual[1:])
    try:
        return _write(*_records(job))
    finally:
        gc.set_threshold(*usual)


def try_shard(job: Job) -> list[str]:
    """Work on a shard without writing: what went wrong, in words."""
    _, _, records, _ = _records(job, log=False)
    return [f"{r.outcome}: {r.verdict.reason}" for r in records if not r.verdict.ok]


def _records(job: Job, log: bool = True) -> tuple[World, Making, list[Record], Shared]:
    m = Making(**job)
    world = world_of(m.spec, m.config)
    failures = Failures(world, Path(m.run), f"g{m.generation:03d}-{m.index:05d}" if log else "")
    tasks = given(world, m)
    made = receive(Path(m.drafts)) if m.drafts else make(world, m, tasks, failures)
    shared: Shared = {}
    return world, m, settle(world, m, tasks, made, failures, shared), shared


def _write(world: World, m: Making, records: list[Record], shared: Shared) -> dict[str, Any]:
    kept: list[Record] = []
    rest: list[Record] = []
    for record in records:
        (kept if record.verdict.ok else rest).append(record)
    failed = sum(record.outcome == "failed" for record in rest)
    shard = Shard(m.index, m.first, len(m.tasks), len(kept), len(rest) - failed, failed)
    folder = parts.generation_folder(Path(m.run), m.generation)
    return asdict(parts.write_shard(folder, shard, kept, rest, type(world).schema, shared))


# Make.


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


def _context(world: World, m: Making, key: str, teacher: Any, temporary: list[Path]) -> Context:
    def scratch() -> Path:
        home = Path(m.run) / "private" / "scratch"
        home.mkdir(parents=True, exist_ok=True)
        temporary.append(Path(tempfile.mkdtemp(dir=home)))
        return temporary[-1]

    return Context(key, Path(m.state) if m.state else None, teacher, scratch)


class Given(NamedTuple):
    """A task with its id, as the plan gives it."""

    id: str
    json: str

    @property
    def task(self) -> Task:
        task: Task = orjson.loads(self.json)  # anew each time: a world may change what it is given
        return task


def given(world: World, m: Making) -> list[Given]:
    """The shard's tasks with their ids."""
    prefix = task_prefix(world, m.seed)
    return [
        Given(task_id(prefix, m.generation, index, text.encode()), text)
        for index, text in enumerate(m.tasks, m.first)
    ]


def make(world: World, m: Making, tasks: list[Given], failures: Failures) -> list[Made]:
    """The drafts of a shard's tasks, in plan order."""
    made: list[Made] = []
    temporary: list[Path] = []
    try:
        for place, one in enumerate(tasks):
            ctx = _context(world, m, one.id, None, temporary)
            try:
                drafts = world.make(one.task, ctx)
                made += _drafts(place, drafts)
            except Stopped:
                raise
            except Exception as wrong:  # a task that raises costs itself only
                made.append(Made(place, 0, None, failure=failures.note("make", wrong)))
    finally:
        for folder in temporary:
            shutil.rmtree(folder, ignore_errors=True)
    return made


def _drafts(place: int, drafts: Any) -> list[Made]:
    if not isinstance(drafts, (list, tuple)):
        raise TypeError(f"make returned {type(drafts).__name__}, not a list of data")
    made = []
    for ordinal, one in enumerate(drafts):
        if isinstance(one, Draft):
            if not all(isinstance(text, str) for text in (*one.parents, one.source or "")):
                raise TypeError("a draft's parents and source are text: record ids, a name")
            made.append(Made(place, ordinal, one.data, one.parents, one.source))
        else:
            made.append(Made(place, ordinal, one))
    return made


async def make_async(
    world: World, m: Making, ledger: Ledger | None, teacher: Teacher | None
) -> list[Made]:
    """The same for a world whose `make` is async: all tasks of the shard at once.

    With a ledger but no teacher, recorded answers alone are used: that is how a stranger replays.
    """
    failures = Failures(world, Path(m.run), f"g{m.generation:03d}-{m.index:05d}" if teacher else "")
    temporary: list[Path] = []

    async def one(place: int, task: Given) -> list[Made]:
        asked = TaskTeacher(ledger, m.model, task.id, teacher) if ledger else None
        try:
            drafts = world.make(task.task, _context(world, m, task.id, asked, temporary))
            made = _drafts(place, await drafts if isinstance(drafts, Awaitable) else drafts)
        except (Stopped, UserError):
            raise
        except Exception as wrong:  # a task that raises costs itself only
            made = [Made(place, 0, None, failure=failures.note("make", wrong))]
        if asked and made:
            made[0].usage = asked.usage()
        return made

    try:
        tasks = enumerate(given(world, m))
        groups = await asyncio.gather(*(one(place, task) for place, task in tasks))
    finally:
        for folder in temporary:
            shutil.rmtree(folder, ignore_errors=True)
    return [made for group in groups for made in group]


def send(made: Sequence[Made], schema: pa.StructType, folder: Path) -> str:
    """Drafts into a file for the worker that will check them; its path."""
    fitted = _fit(made, schema)
    notes = [
        orjson.dumps([m.place, m.ordinal, m.parents, m.source, asdict(m.usage), m.failure]).decode()
        for m in fitted
    ]
    data = pa.array([m.data for m in fitted], type=schema)
    table = pa.table({"data": data, "note": pa.array(notes, type=pa.string())})
    path = folder / "drafts.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return str(path.resolve())


def receive(path: Path) -> list[Made]:
    with pa.OSFile(str(path), "rb") as source:
        rows = pa.ipc.open_file(source).read_all().to_pylist()
    made = []
    for row in rows:
        place, ordinal, parents, source, usage, failure = orjson.loads(row["note"])
        data = None if failure else row["data"]
        made.append(Made(place, ordinal, data, tuple(parents), source, Usage(**usage), failure))
    return made


def _fit(made: Sequence[Made], schema: pa.StructType) -> list[Made]:
    """Every draft's data as they will be read from disk, or the failure to be so."""
    good = [m for m in made if m.data is not None]
    try:
        for m, data in zip(good, cast([m.data for m in good], schema), strict=True):
            m.data = data
    except Unfit:
        for m in good:
            try:
                m.data = cast([m.data], schema)[0]
            except Unfit as wrong:
                m.data, m.failure = None, f"make: not what the schema holds: {wrong}"
    return [
        m if m.data is not None or m.failure else replace(m, failure="make: gave no data")
        for m in made
    ]


# Check.


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


def settle(
    world: World,
    m: Making,
    tasks: list[Given],
    made: Iterable[Made],
    failures: Failures,
    shared: Shared,
) -> list[Record]:
    """Records from drafts: cast, check, show, ids, origin. Nothing is written.

    `shared` takes the JSON of the data, which the rows' hashes need again.
    """
    name, check, origin = type(world).name, Checker(world, Path(m.run), m.model), Origins(world, m)
    records = []
    for one in _fit(list(made), type(world).schema):
        of, verdict, failure = tasks[one.place], None, one.failure
        content = canonical(one.data)
        shared[id(one.data)] = orjson.Fragment(content)
        rid = record_id(of.id, one.ordinal, content)
        if not failure:
            try:
                verdict = check(rid, of.task, one.data, of.id)
            except Stopped:
                raise
            except Exception as wrong:  # a check that raises is a failure, never a pass
                failure = failures.note("check", wrong)
        if verdict is None:
            verdict = _failed(failure)
        tags: dict[str, str] = {}
        record = Record(
            rid,
            name,
            of.id,
            of.json,
            m.generation,
            one.data,
            verdict,
            tags,
            origin(one.parents, one.source),
            one.usage,
        )
        if not failure:
            try:
                tags.update(_tags(world.show(record).tags))
                if canonical(one.data) != content:
                    raise ValueError("check or show changed the data that it was given")
            except Exception as wrong:  # a record that can't be shown has failed too
                record = record._replace(verdict=_failed(failures.note("show", wrong)))
                shared.pop(id(one.data))
        records.append(record)
    return records


def _failed(why: str) -> Verdict:
    return Verdict((Check(EXCEPTION, False, why),), 0.0)


def _tags(tags: Any) -> dict[str, str]:
    for key, value in tags.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"tags must be text to text, got {tags!r:.80}")
    return tags  # type: ignore[no-any-return]


class Origins:
    """Origins of a shard's records, by their parents and source; most are one object."""

    def __init__(self, world: World, m: Making) -> None:
        cls = type(world)
        maker = f"{cls.name}/{cls.version}" + (f" + {m.model}" if m.model else "")
        self.m = m
        self.plain = Origin(maker=maker, depth=maker_depth(world, m.generation, m.model))

    def __call__(self, parents: tuple[str, ...], source: str | None) -> Origin:
        if not (parents or source):
            return self.plain
        depth = self.plain.depth
        for parent in parents:
            known = _depths(self.m.run, self.m.generation).get(parent)
            depth = None if depth is None or known is None else max(depth, 1 + known)
        return replace(self.plain, parents=parents, source=source, depth=depth)


def maker_depth(world: World, generation: int, model: str) -> int | None:
    """1 + the depth of the maker's training data: 1 for a program alone, unknown for a teacher.

    A world that learns was trained on all generations before.
    """
    if model:
        return None
    return 1 + generation if has(world, "learn") else 1


@lru_cache(maxsize=2)
def _depths(run: str, generation: int) -> dict[str, int | None]:
    """Depth of every record of the generations before."""
    earlier = range(generation)
    sets = [dataset.generation(Path(run), number) for number in earlier]
    return {record.id: record.origin.depth for one in sets for record in one}
