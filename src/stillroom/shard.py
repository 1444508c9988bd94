"""One shard of tasks: make, cast, check, show. This is what a worker process does for the fold.

A task that raises costs itself only: it becomes a failed record with the exception as its check.
"""

import asyncio
import gc
import inspect
import shutil
import tempfile
from collections.abc import Awaitable, Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stillroom import parts, worlds
from stillroom.checker import Checker, Failures
from stillroom.drafts import Made, drafts_of, fit, receive
from stillroom.engines.local import Job
from stillroom.errors import Stopped, UserError
from stillroom.ledger import Ledger, TaskTeacher
from stillroom.origin import Origins
from stillroom.parts import Shard
from stillroom.record import (
    EXCEPTION,
    Record,
    Shared,
    canonical,
    record_id,
    task_id,
    task_prefix,
)
from stillroom.world import (
    Check,
    Context,
    Task,
    Teacher,
    Verdict,
    World,
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


def world_of(spec: dict[str, str], config: dict[str, Any]) -> World:
    return _world_of(canonical([spec, config]))


@lru_cache(maxsize=8)
def _world_of(key: bytes) -> World:
    spec, config = orjson.loads(key)
    return worlds.build(worlds.Spec(**spec), config)


def ready(job: Job) -> None:
    """Load the world, so that a worker's first shard does not wait for it."""
    world_of(job["spec"], job["config"])
    gc.freeze()  # what is loaded by now lives as long as the worker: no collection need walk it


def make_shard(job: Job) -> dict[str, Any]:
    """Make, check and write one shard (or check and write the parent's drafts); its numbers."""
    made = _write(*_records(job))
    if job["index"] < 4:  # what a world loaded when it was first needed, as in `ready`
        gc.freeze()
    return made


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
                made += drafts_of(place, drafts)
            except Stopped:
                raise
            except Exception as wrong:  # a task that raises costs itself only
                made.append(Made(place, 0, None, failure=failures.note("make", wrong)))
    finally:
        for folder in temporary:
            shutil.rmtree(folder, ignore_errors=True)
    return made


def in_parent(world: World, model: str) -> bool:
    """Whether the parent makes the drafts: where they are waited for, or a teacher is asked."""
    return bool(model) or inspect.iscoroutinefunction(world.make)


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
            made = drafts_of(place, await drafts if isinstance(drafts, Awaitable) else drafts)
        except (Stopped, UserError):
            raise
        except Exception as wrong:  # a task that raises costs itself only
            made = [Made(place, 0, None, failure=failures.note("make", wrong))]
        if asked and made:
            made[0].usage = asked.usage()
        return made

    try:
        tasks = enumerate(given(world, m))
        # All come to their end, also when one stops the run: what was asked is paid for.
        work = (one(place, task) for place, task in tasks)
        groups = await asyncio.gather(*work, return_exceptions=True)
    finally:
        for folder in temporary:
            shutil.rmtree(folder, ignore_errors=True)
    made: list[Made] = []
    for group in groups:
        if isinstance(group, BaseException):
            raise group
        made += group
    return made


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
    name, check, origin = (
        type(world).name,
        Checker(world, Path(m.run), m.model),
        Origins(world, m.run, m.generation, m.model),
    )
    records = []
    for one in fit(list(made), type(world).schema):
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
    check.close()
    return records


def _failed(why: str) -> Verdict:
    return Verdict((Check(EXCEPTION, False, why),), 0.0)


def _tags(tags: Any) -> dict[str, str]:
    for key, value in tags.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"tags must be text to text, got {tags!r:.80}")
    return tags  # type: ignore[no-any-return]
