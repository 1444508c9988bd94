"""`check_world`: the contract that every world passes, ours and yours."""

import copy
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from stillroom import power
from stillroom.checker import Checker
from stillroom.dataset import generation
from stillroom.dataset import open as open_dataset
from stillroom.pipeline import Result, run
from stillroom.record import Record, canonical, task_json
from stillroom.stages.verify import verify
from stillroom.world import Teacher, View, World, has

ROLES = {"system", "user", "assistant"}


def check_world(
    world: World,
    folder: Path,
    *,
    count: int = 40,
    teacher: Teacher | None = None,
    own: float = 0.95,
    core: float = 0.8,
) -> Result:
    """Put a world through its contract in `folder`; AssertionError lists every breach.

    The plan is pure; config goes through JSON; any number of workers gives one root; a stranger's
    `verify` with replay says yes; `check` neither changes its data nor changes its mind; `show` is
    well formed; `read` undoes it; `overview` draws the same twice, and no script; planted faults
    are noticed: at least `own` of the world's own and `core` of the core's. `count` records are
    made (a generation).
    """
    wrong: list[str] = [*_config(world), *_plan(world)]
    results: list[Result] = []
    for workers in (0, 2):
        out = folder / f"workers-{workers}"
        if results and type(world).private:
            # A private start may draw from the operating system: one state, then one root.
            shutil.copytree(results[0].folder / "private/make", out / "private/make")
        quick = ("power.sample=0",)
        made = run(world, out=out, count=count, workers=workers, teacher=teacher, settings=quick)
        results.append(made)
    if results[0].root != results[1].root:
        wrong.append(f"1 worker gives root {results[0].root}, 2 give {results[1].root}")
    report = verify(results[0].folder, trust_code=True, replay=5)
    wrong += [f"verify: {problem}" for problem in report.problems]
    records = list(open_dataset(results[0].folder))
    model = teacher.model if teacher else ""
    checker = Checker(world, results[0].folder, model)
    for record in records:
        wrong += [f"record {record.id}: {line}" for line in _record(world, record, checker)]
    wrong += _overview(world, results[0].folder)
    wrong += _power(power.measure(world, records, checker, spoils=8, leaves=40), world, own, core)
    assert not wrong, f"{type(world).__name__} breaks its contract:\n- " + "\n- ".join(wrong[:20])
    return results[0]


def _config(world: World) -> list[str]:
    cls, wrong = type(world), []
    if not isinstance(cls.schema, pa.StructType):
        wrong.append(f"schema is {cls.schema!r}, not a pyarrow struct type")
    if cls.model_validate(world.model_dump(mode="json")) != world:
        wrong.append("its config is another one after a trip through JSON")
    return wrong


def _plan(world: World) -> list[str]:
    first, again = (
        [task_json(task) for task in islice(world.plan(0), 2 * type(world).shard)] for _ in range(2)
    )
    return [] if first == again else ["plan(0) gives other tasks the second time"]


def _record(world: World, record: Record, checker: Checker) -> list[str]:
    wrong = []
    data = copy.deepcopy(record.data)
    if checker(record.id, record.task, data, record.task_id) != record.verdict:
        wrong.append("check changed its mind")
    if canonical(data) != canonical(record.data):
        wrong.append("check changed the data")
    view: Any = world.show(record)
    if not isinstance(view, View):
        return [*wrong, f"show gave {type(view).__name__}, not a View"]
    for message in view.messages:
        # Only an assistant reasons; servers and chat templates know the field by this name.
        extra = {"reasoning_content"} if message.get("role") == "assistant" else set()
        if set(message) - extra != {"role", "content"} or message["role"] not in ROLES:
            wrong.append(f"a message is not {{role, content}}: {message!r:.80}")
    if view.messages and view.messages[-1]["role"] != "assistant":
        wrong.append("the last message is not the assistant's: it is the training target")
    if has(world, "read"):
        target = view.messages[-1]["content"] if view.messages else view.text
        verdict = checker(record.id, record.task, world.read(record.task, target), record.task_id)
        if not verdict.ok:
            wrong.append(f"read(show) does not pass check: {verdict.reason}")
    return wrong


def _overview(world: World, folder: Path) -> list[str]:
    if not has(world, "overview"):
        return []
    sets = [generation(folder, number) for number in range(world.generations)]
    drawn: Any = world.overview(sets)
    if not isinstance(drawn, str):
        return [f"overview gave {type(drawn).__name__}, not text"]
    wrong = [] if world.overview(sets) == drawn else ["overview draws another picture next time"]
    # The page's frame runs nothing: what needs a script would be a dead picture there.
    return wrong + ["overview needs a script"] * ("<script" in drawn.lower())


def _power(found: dict[str, Any], world: World, own: float, core: float) -> list[str]:
    wrong = []
    for kind, least in (("own", own), ("core", core)):
        tally = found[kind]
        if kind == "own" and not has(world, "spoil"):
            continue
        if not tally["planted"]:
            wrong.append(f"no {kind} fault could be planted")
        elif tally["power"] < least:
            some = "; ".join(tally["missed"][:5])
            share = f"{100 * tally['power']:.1f} %"
            wrong.append(f"check notices {share} of the {kind} faults, not {least:.0%}: {some}")
    return wrong
