"""Re-check a run from disk: hashes, order, counts, roots, and every verdict by the world's check.

What a stranger can't see without an outside root (`root=`): a run forged as a whole, consistently.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import files, merkle, parts, shard, store, worlds
from stillroom.engines.local import Job, Local, in_order
from stillroom.errors import UserError
from stillroom.parts import Shard
from stillroom.record import FORMAT, Record, canonical, from_rows, record_id, row_bytes, task_json
from stillroom.shard import Checker, Making, maker_depth
from stillroom.stages.replay import remake
from stillroom.world import World


@dataclass
class Report:
    """What `verify` found. `problems` name file and record; none: all is as it was made."""

    root: str = ""
    records: int = 0
    checked: int = 0
    replayed: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(
    run: str | Path,
    *,
    root: str | None = None,
    replay: int = 0,
    trust_code: bool = False,
    workers: int = 0,
) -> Report:
    """Re-check a finished run from disk alone.

    root        the root that you were told elsewhere: catches a consistent forgery
    replay      remake this many tasks and compare (same CPU class and versions only)
    trust_code  run a world's code that is not Stillroom's own; without it hashes alone are checked
    """
    folder = Path(run)
    if not store.is_run(folder):
        raise UserError("no run is there", folder, "give the folder that `stillroom run` named")
    return asyncio.run(_verify(folder, root, replay, trust_code, workers))


async def _verify(
    folder: Path, root: str | None, replay: int, trust_code: bool, workers: int
) -> Report:
    report = Report()
    about = _manifest(folder / "run.json", report)
    whole = _manifest(folder / "make" / "manifest.json", report)
    if about is None or whole is None:
        return report
    if about.get("parts", {}).get("format") != FORMAT:
        report.problems.append(f"run.json: not of format {FORMAT}, which this version reads")
        return report
    if store.identity_hash(about["parts"]) != about["identity"]:
        report.problems.append("run.json: its parts do not give its identity")
    world, spec = _world(folder, about, trust_code, report)
    config = {"spec": spec.json(), "config": world.model_dump(mode="json")} if world else None
    roots = []
    async with Local(workers if workers > 1 else 0) as engine:
        for number in range(len(whole["generations"])):
            path = parts.generation_folder(folder, number) / "manifest.json"
            manifest = _manifest(path, report)
            if manifest is None:
                continue
            if manifest["key"] != store.stage_key(about["identity"], number):
                report.problems.append(f"g{number:03d}/manifest.json: not of this recipe")
            jobs = _jobs(folder, about, world, config, manifest, report)
            async for found in in_order(
                lambda job: engine.call("stillroom.stages.verify:verify_shard", job),
                jobs,
                lambda open_: open_ < max(1, engine.workers + 1),
            ):
                report.problems += found["problems"]
                report.checked += found["checked"]
            roots.append(_generation(folder, number, manifest, report))
            _states(folder, number, about["private"], report)
    _whole(folder, whole, roots, report)
    report.records = whole["counts"]["dataset"]
    report.root = store.run_root(roots) if roots else ""
    if whole["root"] != report.root:
        report.problems.append("make/manifest.json: its root is not that of the records")
    if root is not None and root != report.root:
        report.problems.append(f"the root is {report.root}, not {root} as you were told")
    if replay and report.ok and world is not None:
        done, wrong, note = await asyncio.to_thread(remake, folder, about, world, spec, replay)
        report.replayed, report.problems = done, wrong
        report.notes += [note] if note else []
    return report


def _manifest(path: Path, report: Report) -> dict[str, Any] | None:
    """A sealed JSON file; edits are reported."""
    name = f"{path.parent.name}/{path.name}" if path.name == "manifest.json" else path.name
    try:
        found = files.read_json(path)
    except UserError as wrong:
        report.problems.append(f"{name}: {wrong.what}")
        return None
    if found is None:
        report.problems.append(f"{name}: missing: the run is not finished, or it was removed")
    elif not files.sealed(found):
        report.problems.append(f"{name}: edited: it is not what its seal says")
    return found


def _world(
    folder: Path, about: dict[str, Any], trust: bool, report: Report
) -> tuple[World | None, worlds.Spec]:
    try:
        spec = worlds.recorded(about, folder)
    except UserError as wrong:
        report.problems.append(f"{about['spec']['file']}: {wrong.what}")
        return None, worlds.Spec(**about["spec"])
    if not (spec.ours or trust):
        where = about["spec"]["file"] or spec.module
        report.notes.append(
            f"checks were not run again: {where} is not Stillroom's own code; "
            "read it, then add --trust-code"
        )
        return None, spec
    world = worlds.build(spec, about["parts"]["config"])
    if type(world).version != about["parts"]["world"]["version"]:
        known = about["parts"]["world"]["version"]
        report.notes.append(
            f"checks were not run again: the records are of version {known} of this world, "
            f"installed is {type(world).version}"
        )
        return None, spec
    return world, spec


def _jobs(
    folder: Path,
    about: dict[str, Any],
    world: World | None,
    config: dict[str, Any] | None,
    manifest: dict[str, Any],
    report: Report,
) -> Iterator[Job]:
    """A job for each shard of a generation; with the world's code, also the tasks it must hold."""
    number = manifest["generation"]
    plan = world.plan(number) if world else iter(())
    index = parts.generation_folder(folder, number) / "index.parquet"
    if not index.is_file() or files.sha256(index) != manifest["index_sha256"]:
        report.problems.append(f"g{number:03d}/index.parquet: missing, damaged or edited")
        return
    for one in manifest["shards"]:
        job = {"run": str(folder), "generation": number, "shard": one, "world": config}
        job["tasks"] = [task_json(task) for task in islice(plan, one["tasks"])]
        job |= {"seed": about["parts"]["seed"], "model": about["parts"]["teacher"]}
        yield job


def verify_shard(job: Job) -> dict[str, Any]:
    """One shard's two files against the index, and every verdict again; in a worker."""
    told = Shard(**job["shard"])
    folder = parts.generation_folder(Path(job["run"]), job["generation"])
    index = pq.read_table(
        folder / "index.parquet", filters=[("shard", "=", told.index)]
    ).to_pylist()
    problems: list[str] = []
    records: list[Record] = []
    sides = [(told.name, told.sha256, ("kept", "surplus"))]
    if told.rest_sha256 or (folder / told.rest_name).exists():
        sides.append((told.rest_name, told.rest_sha256, ("refused", "failed")))
    for name, sha, outcomes in sides:
        known = [(row["id"], row["leaf"]) for row in index if row["outcome"] in outcomes]
        found, wrong = _file(folder / name, sha, known)
        problems += wrong
        records += found
    checked = 0
    if job["world"]:
        checked, wrong = _verdicts(job, told, records)
        problems += wrong
    where = f"g{job['generation']:03d}"
    return {"problems": [f"{where}/{line}" for line in problems], "checked": checked}


def _file(path: Path, sha: str, known: list[tuple[str, bytes]]) -> tuple[list[Record], list[str]]:
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


def _compare(known: list[tuple[str, bytes]], found: list[tuple[str, bytes]]) -> Iterator[str]:
    """Records changed, missing, added, doubled or moved."""
    leaves, here = dict(known), [one for one, _ in found]
    for one, leaf in found:
        if one not in leaves:
            yield f"record {one} was added"
        elif leaf and leaf != leaves[one]:
            yield f"record {one} was changed"
    for one in leaves:
        if one not in here:
            yield f"record {one} is missing"
    for one in (
        sorted({one for one in here if here.count(one) > 1}) if len(set(here)) < len(here) else []
    ):
        yield f"record {one} stands there more than once"
    shared = [one for one in here if one in leaves]
    order = [one for one, _ in known if one in set(here)]
    for one, right in zip(shared, order, strict=False):
        if one != right and len(shared) == len(order):
            yield f"record {one} stands where {right} belongs"


def _few(ids: list[str]) -> str:
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"the records {', '.join(ids[:3])}{more}" if ids else "no record"


def _verdicts(job: Job, told: Shard, records: list[Record]) -> tuple[int, list[str]]:
    """Ids, depth and verdict of each record once more, by the world's own code."""
    world = shard.world_of(**job["world"])
    m = Making(**job["world"], seed=job["seed"], generation=job["generation"], index=told.index,
               first=told.first, tasks=job["tasks"], run=job["run"])  # fmt: skip
    tasks = {one.id: one.json for one in shard.given(world, m)}
    check = Checker(world, Path(job["run"]), job["model"])
    siblings = Counter(record.task_id for record in records)
    problems = []
    checked = 0
    for record in records:
        wrong = []
        if tasks.get(record.task_id) != record.task_json:
            wrong.append("its task is not the plan's")
        depth = maker_depth(world, record.generation, job["model"])
        if not record.origin.parents and record.origin.depth != depth:
            wrong.append(f"its depth is {record.origin.depth}, should be {depth}")
        if record.outcome != "failed":
            checked += 1
            content = canonical(record.data)
            places = range(siblings[record.task_id])
            if not any(record_id(record.task_id, n, content) == record.id for n in places):
                wrong.append("its id is not the hash of its data")
            try:
                verdict = check(record.id, record.task, record.data, record.task_id)
            except Exception as error:
                wrong.append(f"its check raised {type(error).__name__}: {error}")
            else:
                if verdict != record.verdict:
                    wrong.append(f"its check says now: {verdict.reason or 'all is right'}")
        problems += [f"{told.name}: record {record.id}: {line}" for line in wrong]
    return checked, problems


def _generation(folder: Path, number: int, manifest: dict[str, Any], report: Report) -> str:
    """Counts, listed files and root of a generation against its manifest; the root found."""
    home = parts.generation_folder(folder, number)
    name = f"g{number:03d}"
    shards = [Shard(**one) for one in manifest["shards"]]
    listed = {n for s in shards for n in (s.name, s.rest_name if s.rest_sha256 else "")}
    for path in sorted(home.glob("[0-9]*.parquet")):
        if path.name not in listed:
            report.problems.append(f"{name}/{path.name}: added: the manifest does not know it")
    if not (home / "index.parquet").is_file():
        return ""
    outcomes = pq.read_table(home / "index.parquet", columns=["outcome"])["outcome"].to_pylist()
    counts = parts.tally(shards) | {
        "dataset": outcomes.count("kept"),
        "surplus": outcomes.count("surplus"),
    }
    for key, told in manifest["counts"].items():
        if counts.get(key) != told:
            report.problems.append(f"{name}/manifest.json: {key} is {counts.get(key)}, not {told}")
    if counts["refused"] != outcomes.count("refused") or counts["failed"] != outcomes.count(
        "failed"
    ):
        report.problems.append(
            f"{name}/manifest.json: shards and index disagree on what was refused"
        )
    root = parts.generation_root(manifest["key"], home)
    if root != manifest["root"]:
        report.problems.append(f"{name}/manifest.json: its root is not that of the records")
    return root


def _states(folder: Path, number: int, private: bool, report: Report) -> None:
    """The files of a learned state against their hashes."""
    for which in (None, number) if number == 0 else (number,):
        home = store.state_home(folder, which, private)
        note = files.read_json(home.with_suffix(".json"))
        if note is not None and (not files.sealed(note) or files.tree(home) != note["files"]):
            report.problems.append(f"{home.parent.name}/{home.name}: the state was edited")


def _whole(folder: Path, whole: dict[str, Any], roots: list[str], report: Report) -> None:
    """data/ against the manifest of the whole and against the generations' shards."""
    told = {part["name"]: part for part in whole["data"]}
    here = {path.name for path in (folder / "data").glob("*")}
    for name in sorted(here - set(told)):
        report.problems.append(f"data/{name}: added: the manifest does not know it")
    for name, part in told.items():
        if name not in here:
            report.problems.append(f"data/{name}: missing ({part['rows']} records)")
        elif files.sha256(folder / "data" / name) != part["sha256"]:
            report.problems.append(f"data/{name}: its bytes are not what the manifest says")
        elif not _same_rows(folder, name, part["rows"]):
            report.problems.append(f"data/{name}: not the records of its shard")
    if [one["root"] for one in whole["generations"]] != roots:
        report.problems.append("make/manifest.json: not the roots of the generations")


def _same_rows(folder: Path, name: str, rows: int) -> bool:
    number, _, source = name.partition("-")
    original = folder / "make" / number / source
    part = folder / "data" / name
    try:
        if part.samefile(original):
            return True
        left, right = pq.read_table(part), pq.read_table(original).slice(0, rows)
        return bool(left.replace_schema_metadata(None).equals(right.replace_schema_metadata(None)))
    except (OSError, pa.ArrowException):
        return True  # the original's own trouble is reported already
