"""One shard of a finished run, in a worker: its rows against the index, its records once more."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import files, merkle, parts, shard
from stillroom.checker import Checker
from stillroom.engines.local import Job
from stillroom.origin import Origins
from stillroom.parts import Shard
from stillroom.record import Record, canonical, from_rows, record_id, row_bytes
from stillroom.shard import Making
from stillroom.world import World

Known = list[tuple[str, bytes]]  # (id, leaf) of each record, in order, as the index says


def recheck(job: Job) -> dict[str, Any]:
    """What is wrong with a shard, how many verdicts were run again, and who was dropped and why.

    The job names run, generation and shard (as its manifest tells it), and, where the world's code
    may be run, the world and the tasks that the plan gives for this shard.
    """
    told = Shard(**job["shard"])
    folder = parts.generation_folder(Path(job["run"]), job["generation"])
    index = pq.read_table(
        folder / "index.parquet", filters=[("shard", "=", told.index)]
    ).to_pylist()
    problems: list[str] = []
    checked = 0
    sides = [(told.name, told.sha256, ("kept", "surplus"))]
    if told.rest_sha256 or (folder / told.rest_name).exists():
        sides.append((told.rest_name, told.rest_sha256, ("refused", "failed")))
    groups = []
    for name, sha, outcomes in sides:
        known = [(row["id"], row["leaf"]) for row in index if row["outcome"] in outcomes]
        records, wrong = _file(folder / name, sha, known)
        problems += wrong
        groups.append((name, records))
    if job["world"]:
        checked, wrong = _records(job, told, groups)
        problems += wrong
    surplus = {row["id"] for row in index if row["outcome"] == "surplus"}
    dropped = [[r.id, "surplus"] for r in groups[0][1] if r.id in surplus]
    for _, records in groups[1:]:
        dropped += [[r.id, parts.reason(r.verdict.checks)] for r in records]
    where = f"g{job['generation']:03d}"
    return {
        "problems": [f"{where}/{line}" for line in problems],
        "checked": checked,
        "dropped": dropped,
    }


def _file(path: Path, sha: str, known: Known) -> tuple[list[Record], list[str]]:
    """The records of a file and what is wrong with them, by their ids and hashes in the index."""
    name = path.name
    if not path.is_file():
        return [], [f"{name}: missing, and with it {_few([one for one, _ in known])}"]
    try:
        rows = parts.shard_rows(path)
    except (OSError, pa.ArrowException, ValueError) as wrong:
        return [], [f"{name}: damaged ({wrong!s:.80}), and with it {_few([i for i, _ in known])}"]
    problems, records, found = [], [], []
    for row in rows:
        try:
            (record,) = from_rows([row])
        except ValueError as wrong:
            problems.append(f"{name}: {wrong}")
            found.append((str(row.get("id")), b""))
            continue
        records.append(record)
        found.append((record.id, merkle.leaf(row_bytes(record))))
    problems += [f"{name}: {line}" for line in _compare(known, found)]
    if files.sha256(path) != sha and not problems:
        problems.append(f"{name}: its bytes are not what the manifest says, its records are")
    return records, problems


def _compare(known: Known, found: Known) -> Iterator[str]:
    """Records changed, missing, added, doubled or moved."""
    leaves, here = dict(known), Counter(one for one, _ in found)
    for one, leaf in found:
        if one not in leaves:
            yield f"record {one} was added"
        elif leaf and leaf != leaves[one]:
            yield f"record {one} was changed"
    for one in leaves:
        if one not in here:
            yield f"record {one} is missing"
    for one, times in here.items():
        if times > 1:
            yield f"record {one} stands there more than once"
    shared = [one for one, _ in found if one in leaves]
    order = [one for one, _ in known if one in here]
    if len(shared) == len(order):
        for one, right in zip(shared, order, strict=True):
            if one != right:
                yield f"record {one} stands where {right} belongs"


def _few(ids: list[str]) -> str:
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"the records {', '.join(ids[:3])}{more}" if ids else "no record"


@dataclass(frozen=True)
class _Plan:
    """What the world's code says of a shard's tasks and of where its records come from."""

    world: World
    generation: int
    tasks: dict[str, tuple[int, str]]  # place and JSON, by task id
    origins: Origins
    check: Checker


def _records(
    job: Job, told: Shard, groups: list[tuple[str, list[Record]]]
) -> tuple[int, list[str]]:
    """Everything about each record that the world's own code can give again."""
    world = shard.world_of(**job["world"])
    m = Making(
        **job["world"],
        seed=job["seed"],
        generation=job["generation"],
        index=told.index,
        first=told.first,
        tasks=job["tasks"],
        run=job["run"],
        model=job["model"],
    )
    tasks = {one.id: (place, one.json) for place, one in enumerate(shard.given(world, m))}
    check = Checker(world, Path(job["run"]), job["model"])
    plan = _Plan(world, m.generation, tasks, Origins(world, m.run, m.generation, m.model), check)
    siblings = Counter(record.task_id for _, records in groups for record in records)
    problems, checked = [], 0
    for name, records in groups:
        last = 0
        for record in records:
            place, _ = tasks.get(record.task_id, (last, ""))
            wrong = list(_record(plan, record, siblings[record.task_id]))
            if place < last:
                wrong.append("it does not stand in the order of the plan")
            last = max(last, place)
            checked += record.outcome != "failed"
            problems += [f"{name}: record {record.id}: {line}" for line in wrong]
    return checked, problems


def _record(plan: _Plan, record: Record, siblings: int) -> Iterator[str]:
    _, task = plan.tasks.get(record.task_id, (0, ""))
    if task != record.task_json:
        yield "its task is not the plan's"
        return
    if (record.world, record.generation) != (type(plan.world).name, plan.generation):
        yield f"it says world {record.world}, generation {record.generation}"
    origin = plan.origins(record.origin.parents, record.origin.source)
    if record.origin.depth != origin.depth:
        yield f"its depth is {record.origin.depth}, should be {origin.depth}"
    elif record.origin != origin:
        yield f"its origin is {record.origin}, should be {origin}"
    content = canonical(record.data)
    if all(record_id(record.task_id, n, content) != record.id for n in range(siblings)):
        yield "its id is not the hash of its data"
    if record.outcome != "failed":
        yield from _verdict(plan, record)


def _verdict(plan: _Plan, record: Record) -> Iterator[str]:
    try:
        verdict = plan.check(record.id, record.task, record.data, record.task_id)
        tags = plan.world.show(record).tags
    except Exception as error:  # whatever a world's code raises is reported, never passed
        yield f"its check or show raised {type(error).__name__}: {error}"
        return
    if verdict != record.verdict:
        yield f"its check says now: {verdict.reason or 'all is right'}"
    if tags != record.tags:
        yield f"its tags are {record.tags}, should be {tags}"
