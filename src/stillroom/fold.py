"""The fold: start, then for each generation plan, make, check, learn.

Making and checking are the only parallel part. A shard of tasks is worked on by `make_shard` in a
worker; for a world whose `make` is async the parent makes, and `check_shard` does the rest.
Everything is decided in plan order, so the result is the same for any number of workers.
"""

import tempfile
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stillroom import files, minutes, parts, store
from stillroom import shard as shards
from stillroom.drafts import send
from stillroom.engines.local import Job, Local, in_order
from stillroom.errors import Stopped
from stillroom.estimate import Estimate
from stillroom.ledger import Ledger
from stillroom.parts import Shard, tally
from stillroom.plan import Plan, Source
from stillroom.record import from_rows
from stillroom.shard import Making
from stillroom.store import Run
from stillroom.world import has

TOLD = 5  # of the reasons why a first task went wrong: one task may give many records


@dataclass
class Watch:
    """Who is told how a run goes: nobody, unless the command line or you say so."""

    progress: Callable[[int, dict[str, int]], None] = lambda generation, numbers: None
    """Told a generation's tasks, kept, refused and failed; seconds_left too where time is short."""
    say: Callable[[str], None] = lambda line: None
    before: Callable[[Estimate], None] = lambda estimate: None
    """Told what a server will be asked, before it is; raises to call it off."""


async def fold(plan: Plan, run: Run, engine: Local, watch: Watch) -> dict[str, Any]:
    """All generations, then data/ and the manifest of the whole, which is returned."""
    world, worked = plan.world, minutes.clock(run.folder)
    newest = max(parts.generation_folders(run.folder), default=0)
    watch = _timed(plan, watch, worked)
    state = await _start(plan, run, engine)
    ledger = Ledger(run.folder / "ledger.sqlite") if plan.teacher else None
    manifests = []
    try:
        # Where a task is a shard, what is wrong with the first one shows soon enough.
        if type(world).shard > 1 and parts.read_shard(run.generation(0), 0) is None:
            _tell(watch, await _trial(plan, run, engine, ledger, state))
        for number in range(world.generations):
            manifest = await _generation(plan, run, engine, ledger, number, state, watch)
            manifests.append(manifest)
            if has(world, "learn"):
                state = await _learn(plan, run, engine, number, state)
            # What was begun before is brought to its end. Where nothing is learnt, `count` is part
            # of the identity of several generations and not of one: that would be another run.
            more = max(newest, 0 if has(world, "learn") else 1) <= number < world.generations - 1
            if more and plan.minutes is not None and worked() >= 60 * plan.minutes:
                minutes.pin(run.folder, number, plan.minutes)
                watch.say(f"{plan.minutes:g} minutes are over: generation {number} is the last")
                break
    finally:
        if ledger is not None:
            ledger.close()
    return run.lay_data(manifests, plan.identity)


def _timed(plan: Plan, watch: Watch, worked: Callable[[], float]) -> Watch:
    """The same watch, told also how many seconds are left of the plan's minutes."""
    if plan.minutes is None:
        return watch
    seconds = 60 * plan.minutes

    def progress(generation: int, numbers: dict[str, int]) -> None:
        watch.progress(generation, numbers | {"seconds_left": max(0, round(seconds - worked()))})

    return replace(watch, progress=progress)


async def _generation(
    plan: Plan,
    run: Run,
    engine: Local,
    ledger: Ledger | None,
    number: int,
    state: Path | None,
    watch: Watch,
) -> dict[str, Any]:
    folder = run.generation(number)
    old = files.read_json(folder / "manifest.json", "counts", "plan_ended", "shards")
    key = store.stage_key(plan.identity, number)
    if old is not None and (old["counts"]["dataset"] == plan.count or old["plan_ended"]):
        watch.progress(number, old["counts"])
        return old
    folder.mkdir(parents=True, exist_ok=True)
    final = len(old["shards"]) if old else 0  # their failures are final
    source = Source(plan, run, number, state)
    done: list[Shard] = []
    fresh: set[int] = set()

    async def work(job: Job) -> Shard:
        known = parts.read_shard(folder, job["index"])
        if known is not None and (known.failed == 0 or job["index"] < final):
            return known
        fresh.add(job["index"])
        return Shard(**await _work(plan, run, engine, ledger, "stillroom.shard:make_shard", job))

    def window(open_: int) -> bool:
        """Open no more than workers or requests need, nor than `count` is likely to use."""
        size = type(plan.world).shard
        most = engine.workers + 1 if engine.workers else 1
        if plan.teacher is not None:
            # Twice what may be on the way, so that the last tasks of a shard keep nobody waiting.
            most += max(1, 2 * getattr(plan.teacher, "in_flight", 64) // size)
        short = plan.count - sum(s.kept for s in done) - sum(source.expected[len(done) :])
        return open_ < most and (short > 0 or open_ == 0)

    async with aclosing(in_order(work, source.jobs(), window)) as results:
        async for one in results:
            done.append(one)
            if number == 0 and len(done) == 1 and 0 in fresh and type(plan.world).shard == 1:
                _tell(watch, _wrong(folder, one))
            numbers = tally(done)
            watch.progress(number, numbers)
            run.event("shard", generation=number, **asdict(one))
            _limits(plan.count, numbers, source)
            if numbers["kept"] >= plan.count:
                break
    numbers = tally(done)
    if not numbers["kept"]:
        raise Stopped(
            f"nothing was kept in generation {number}: {_sum(numbers)}",
            run.folder,
            source.worst(),
        )
    manifest = run.finish(number, done, plan.count, key, numbers["kept"] < plan.count)
    run.event("generation", generation=number, counts=manifest["counts"], root=manifest["root"])
    return manifest


def _limits(count: int, numbers: dict[str, int], source: Source) -> None:
    """Stop a run that goes wrong; seen shard by shard in plan order, so always at one place."""
    tasks, failed, kept = numbers["tasks"], numbers["failed"], numbers["kept"]
    if failed > max(20, 0.05 * tasks):
        raise Stopped(
            f"too many failures: {_sum(numbers)}",
            source.run.folder,
            f"{source.worst()}\n{_tracebacks(source.run)}"
            "mend the world and run again: shards with failures are made anew",
        )
    if kept < count and tasks >= max(1000, 20 * count):
        raise Stopped(
            f"too few were kept: {_sum(numbers)}; {count} are wanted",
            source.run.folder,
            source.worst(),
        )


def _tracebacks(run: Run) -> str:
    folder = run.private / "tracebacks"
    return f"tracebacks are in {folder}\n" if folder.is_dir() else ""


def _sum(numbers: dict[str, int]) -> str:
    kept, refused, failed = numbers["kept"], numbers["refused"], numbers["failed"]
    return f"{numbers['tasks']} tasks used, {kept} kept, {refused} refused, {failed} failed"


async def _work(
    plan: Plan, run: Run, engine: Local, ledger: Ledger | None, function: str, job: Job
) -> Any:
    """Call the function for a shard; what an async `make` drafts is made here first."""
    if not shards.in_parent(plan.world, job["model"]):
        return await engine.call(function, job)
    scratch = run.private / "scratch"
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        made = await shards.make_async(plan.world, Making(**job), ledger, plan.teacher)
        drafts = send(made, type(plan.world).schema, Path(folder))
        return await engine.call(function, job | {"drafts": drafts})


async def _trial(
    plan: Plan, run: Run, engine: Local, ledger: Ledger | None, state: Path | None
) -> list[str]:
    """Task 0 alone, its result thrown away: what was wrong with it, so that it shows at once."""
    job = next(Source(plan, run, 0, state).jobs(), None)
    if job is None:
        return []
    job["tasks"] = job["tasks"][:1]
    wrong: list[str] = await _work(plan, run, engine, ledger, "stillroom.shard:try_shard", job)
    return wrong


def _wrong(folder: Path, shard: Shard) -> list[str]:
    """What was wrong with a shard's records, in words, as from a trial."""
    if not shard.rest_sha256:
        return []
    rows = parts.shard_rows(folder / shard.rest_name)
    return [f"{record.outcome}: {record.verdict.reason}" for record in from_rows(rows)]


def _tell(watch: Watch, wrong: list[str]) -> None:
    for line in list(dict.fromkeys(wrong))[:TOLD]:
        watch.say(f"the first task went wrong: {line}")


async def _start(plan: Plan, run: Run, engine: Local) -> Path | None:
    private = type(plan.world).private
    known, state = store.read_state(run.folder, None, private)
    if known or not has(plan.world, "start"):
        return state
    job = _state_job(plan, run, None, "start")
    made = await engine.call("stillroom.state:start_state", job)
    kept = run.keep_state(None, Path(made) if made else None, private)
    run.event("start")
    return kept


async def _learn(
    plan: Plan, run: Run, engine: Local, number: int, state: Path | None
) -> Path | None:
    private = type(plan.world).private
    known, learned = store.read_state(run.folder, number, private)
    if known:
        return learned
    job = _state_job(plan, run, number, f"learn after generation {number}")
    job["state"] = str(state.resolve()) if state else ""
    made = await engine.call("stillroom.state:learn_state", job)
    kept = run.keep_state(number, Path(made) if made else None, private)
    run.event("learn", generation=number)
    return kept


def _state_job(plan: Plan, run: Run, number: int | None, where: str) -> Job:
    scratch = run.private / "scratch" / ("start" if number is None else f"g{number:03d}")
    scratch.mkdir(parents=True, exist_ok=True)
    return {
        "spec": plan.spec,
        "config": plan.config,
        "seed": plan.seed,
        "run": str(run.folder.resolve()),
        "generation": number,
        "scratch": str(scratch.resolve()),
        "where": where,
        "state": "",
    }


async def audit(plan: Plan, run: Run, engine: Local) -> list[dict[str, Any]]:
    """The world's own findings about the whole set."""
    if not has(plan.world, "audit"):
        return []
    last = plan.world.generations - 1
    job = _state_job(plan, run, last, "audit")
    private = type(plan.world).private
    _, state = store.read_state(run.folder, last if has(plan.world, "learn") else None, private)
    job["state"] = str(state.resolve()) if state else ""
    found: list[dict[str, Any]] = await engine.call("stillroom.state:audit_set", job)
    return found


async def power(plan: Plan, run: Run, engine: Local, sample: int) -> dict[str, Any]:
    """The checker's power on a sample of the kept records; nothing when the sample is 0."""
    if not sample:
        return {}
    job = _state_job(plan, run, None, "checker power")
    job |= {"sample": sample, "model": plan.teacher.model if plan.teacher else ""}
    measured: dict[str, Any] = await engine.call("stillroom.power:measure_run", job)
    return measured
