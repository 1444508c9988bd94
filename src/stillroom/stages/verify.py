"""Re-check a run from disk: hashes, order, counts, roots, and every verdict by the world's check.

What a stranger can't see without an outside root (`root=`): a run forged as a whole, consistently.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import files, parts, store, worlds
from stillroom.engines.local import Job, Local, in_order
from stillroom.errors import UserError
from stillroom.parts import Shard
from stillroom.record import FORMAT, task_json
from stillroom.stages import mixing
from stillroom.stages.relearn import relearn as learn_again
from stillroom.stages.replay import remake
from stillroom.world import World, has

Json = dict[str, Any]


@dataclass
class Report:
    """What `verify` found. `problems` name file and record; none: all is as it was made."""

    root: str = ""
    records: int = 0
    checked: int = 0
    replayed: int = 0
    relearned: int = 0
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
    relearn: Sequence[int] = (),
    trust_code: bool = False,
    workers: int = 0,
) -> Report:
    """Re-check a finished run from disk alone.

    root        the root that you were told elsewhere: catches a consistent forgery
    replay      remake this many tasks a generation and compare (same CPU class and versions only)
    relearn     learn once more after these generations and compare: bit for bit where the run was
                made, elsewhere the weights' distance is a note
    trust_code  run a world's code that is not Stillroom's own; without it hashes alone are checked
    """
    folder = Path(run)
    if not store.is_run(folder):
        raise UserError("no run is there", folder, "give the folder that `stillroom run` named")
    again = (replay, tuple(relearn))
    return asyncio.run(_verify(folder, root, again, trust_code, workers))


async def _verify(
    folder: Path,
    root: str | None,
    again: tuple[int, tuple[int, ...]],
    trust_code: bool,
    workers: int,
) -> Report:
    report = Report()
    about = _sealed(folder / "run.json", report)
    if about is None:
        return report
    with _guarded("run.json", report):
        if about["parts"]["format"] != FORMAT:
            report.problems.append(f"run.json: not of format {FORMAT}, which this version reads")
            return report
        if store.identity_hash(about["parts"]) != about["identity"]:
            report.problems.append("run.json: its parts do not give its identity")
        world, spec = _world(folder, about, trust_code, report)
        manifests = []
        async with Local(workers if workers > 1 else 0) as engine:
            known = parts.generation_folders(folder).values()
            for home in sorted({p for p in (folder / "make").glob("g*") if p.is_dir()} - {*known}):
                report.problems.append(f"make/{home.name}: added: no part of this run")
            for home in known:
                with _guarded(f"{home.name}/manifest.json", report):
                    manifest = _sealed(home / "manifest.json", report)
                    if manifest is not None:
                        await _generation(home, about, world, spec, manifest, engine, report)
                        manifests.append(manifest)
        _states(folder, world, about["private"], len(manifests), report)
    with _guarded("make/manifest.json", report):
        _whole(folder, about, manifests, report)
    for home in mixing.mixes(folder):
        with _guarded(f"{home.name}/manifest.json", report):
            report.problems += mixing.recheck(home, report.root)
    if root is not None and root != report.root:
        report.problems.append(f"the root is {report.root}, not {root} as you were told")
    if report.ok and world is not None:
        await asyncio.to_thread(_again, folder, about, world, spec, again, report)
    return report


def _again(
    folder: Path,
    about: Json,
    world: World,
    spec: worlds.Spec,
    again: tuple[int, tuple[int, ...]],
    report: Report,
) -> None:
    """Make so many tasks again, and learn again after these generations."""
    replay, numbers = again
    if replay:
        report.replayed, wrong, note = remake(folder, about, world, spec, replay)
        report.problems += wrong
        report.notes += [note] if note else []
    for number in numbers:
        wrong, note = learn_again(folder, about, world, spec, number)
        report.relearned += 1
        report.problems += wrong
        report.notes += [note] if note else []


def _sealed(path: Path, report: Report) -> Json | None:
    """A sealed JSON file; None, and a problem, when it is missing, broken or edited."""
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
        return None
    return found


@contextmanager
def _guarded(name: str, report: Report) -> Iterator[None]:
    """A file that was sealed anew with other keys or kinds of values ends in a problem, no bug."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, OSError, pa.ArrowException) as bad:
        report.problems.append(f"{name}: edited or damaged: {type(bad).__name__}: {bad!s:.100}")


def _world(
    folder: Path, about: Json, trust: bool, report: Report
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


async def _generation(
    home: Path,
    about: Json,
    world: World | None,
    spec: worlds.Spec,
    manifest: Json,
    engine: Local,
    report: Report,
) -> None:
    """A generation's shards, one by one, then all that its manifest says of them."""
    name, dropped, before = home.name, [], len(report.problems)
    index = home / "index.parquet"
    if not index.is_file() or files.sha256(index) != manifest["index_sha256"]:
        report.problems.append(f"{name}/index.parquet: missing, damaged or edited")
        return
    jobs = _jobs(home, about, world, spec, manifest, report)
    work = aclosing(
        in_order(
            lambda job: engine.call("stillroom.stages.recheck:recheck", job),
            jobs,
            lambda open_: open_ < max(1, engine.workers + 1),
        )
    )
    async with work as results:
        async for found in results:
            report.problems += found["problems"]
            report.checked += found["checked"]
            dropped += found["dropped"]
    shards = [Shard(**one) for one in manifest["shards"]]
    listed = {n for s in shards for n in (s.name, s.rest_name if s.rest_sha256 else "")}
    for path in sorted(home.glob("[0-9]*.parquet")):
        if path.name not in listed:
            report.problems.append(f"{name}/{path.name}: added: the manifest does not know it")
    if len(report.problems) > before:
        return  # the numbers can't be right then; what is wrong has been named
    for key, right in _expected(about, manifest, shards, dropped, home).items():
        if manifest[key] != right:
            report.problems.append(f"{name}/manifest.json: {key} is not what the records give")


def _expected(
    about: Json, manifest: Json, shards: list[Shard], dropped: list[list[str]], home: Path
) -> Json:
    """What a generation's manifest must say, from its records."""
    outcomes = files.read_parquet(home / "index.parquet", ["outcome"])["outcome"].to_pylist()
    kept, surplus = outcomes.count("kept"), outcomes.count("surplus")
    number, first, ordered = int(home.name[1:]), 0, []
    key = store.stage_key(about["identity"], number)
    for place, shard in enumerate(shards):
        ordered.append(shard.index == place and shard.first == first)
        first += shard.tasks
    return {
        "stage": "make",
        "key": key,
        "generation": number,
        "counts": {
            "tasks": first,
            "kept": kept + surplus,
            "refused": outcomes.count("refused"),
            "failed": outcomes.count("failed"),
            "dataset": kept,
            "surplus": surplus,
        },
        "shards": manifest["shards"] if all(ordered) and _sums(shards, outcomes) else None,
        "dropped": dropped,
        "root": parts.generation_root(key, home),
    }


def _sums(shards: list[Shard], outcomes: list[str]) -> bool:
    numbers = parts.tally(shards)
    here = [outcomes.count(name) for name in ("refused", "failed")]
    return [numbers["refused"], numbers["failed"]] == here


def _jobs(
    home: Path,
    about: Json,
    world: World | None,
    spec: worlds.Spec,
    manifest: Json,
    report: Report,
) -> Iterator[Job]:
    """A job for each shard of a generation; with the world's code, also the tasks it must hold."""
    number = int(home.name[1:])
    plan = world.plan(number) if world else iter(())
    config = {"spec": spec.json(), "config": world.model_dump(mode="json")} if world else None
    for one in manifest["shards"]:
        job = {"run": str(home.parent.parent), "generation": number, "shard": one, "world": config}
        job["tasks"] = [task_json(task) for task in islice(plan, one["tasks"])]
        job |= {"seed": about["parts"]["seed"], "model": about["parts"]["teacher"]}
        yield job
    if world and manifest["plan_ended"] and next(plan, None) is not None:
        report.problems.append(f"{home.name}/manifest.json: plan_ended: the plan has more tasks")


def _states(
    folder: Path, world: World | None, private: bool, generations: int, report: Report
) -> None:
    """The files of the states against their hashes."""
    for number in (None, *range(generations)):
        home = store.state_home(folder, number, private)
        name = f"{home.parent.name}/{home.name}"
        verb = "start" if number is None else "learn"
        note = files.read_json(home.with_suffix(".json"))
        if note is None:
            if home.exists() or (world is not None and has(world, verb)):
                report.problems.append(f"{name}.json: missing: the state can't be checked")
        elif not files.sealed(note) or files.tree(home) != note["files"]:
            report.problems.append(f"{name}: the state was edited")


def _whole(folder: Path, about: Json, manifests: list[Json], report: Report) -> None:
    """data/, make/manifest.json and audit.json against the generations."""
    before = len(report.problems)
    if manifests:
        report.root = store.run_root([manifest["root"] for manifest in manifests])
        report.records = sum(manifest["counts"]["dataset"] for manifest in manifests)
    whole = _sealed(folder / "make" / "manifest.json", report)
    told = {part["name"]: part["sha256"] for part in whole["data"]} if whole else {}
    data = list(_data(folder, manifests, told, report))
    if whole is None or not manifests:
        return
    if about.get("last", len(whole["generations"]) - 1) != len(whole["generations"]) - 1:
        report.problems.append("run.json: last is not the last generation of this run")
    for manifest in manifests[len(whole["generations"]) :]:
        report.problems.append(f"g{manifest['generation']:03d}: added: no part of this run")
    audit = files.read_json(folder / "audit.json")
    if audit is None or not files.sealed(audit) or audit["root"] != whole["root"]:
        report.problems.append("audit.json: missing, edited, or of other records")
    if len(report.problems) == before:
        expected = store.whole_manifest(manifests, data, about["identity"])
        for key, right in expected.items():
            if whole[key] != right:
                what = f"{key} is not what the generations give"
                report.problems.append(f"make/manifest.json: {what}")


def _data(
    folder: Path, manifests: list[Json], told: dict[str, str], report: Report
) -> Iterator[Json]:
    """The parts of data/ as they are, each compared with its hash and its shard."""
    expected = {name: (source, rows) for name, source, rows in store.data_parts(folder, manifests)}
    here = {path.name for path in (folder / "data").glob("*")}
    for name in sorted(here - set(expected)):
        report.problems.append(f"data/{name}: added: no generation knows it")
    for name, (source, rows) in expected.items():
        part = folder / "data" / name
        if name not in here:
            report.problems.append(f"data/{name}: missing ({rows} records)")
        elif name in told and files.sha256(part) != told[name]:
            report.problems.append(f"data/{name}: its bytes are not what the manifest says")
        elif not _same_rows(part, source, rows):
            report.problems.append(f"data/{name}: not the records of its shard")
        else:
            yield {"name": name, "rows": rows, "sha256": files.sha256(part)}


def _same_rows(part: Path, source: Path, rows: int) -> bool:
    try:
        if source.exists() and part.samefile(source):
            return bool(pq.read_metadata(part).num_rows == rows)
        left, right = files.read_parquet(part), files.read_parquet(source)
    except (OSError, pa.ArrowException):
        return False
    right = right.slice(0, rows)
    return bool(left.replace_schema_metadata(None).equals(right.replace_schema_metadata(None)))
