"""Remake tasks of a finished run and compare: possible on the same CPU class and versions only."""

import asyncio
from itertools import islice
from pathlib import Path
from typing import Any

from stillroom import files, parts, shard, store, worlds
from stillroom.checker import Failures
from stillroom.drafts import Made
from stillroom.ledger import Ledger
from stillroom.parts import Shard
from stillroom.record import task_json
from stillroom.shard import Given, Making
from stillroom.world import World, has


def remake(
    folder: Path, about: dict[str, Any], world: World, spec: worlds.Spec, wanted: int
) -> tuple[int, list[str], str]:
    """Remake `wanted` tasks a generation, spread evenly: (remade, what differs, a note)."""
    if about["made_with"] != store.surroundings():
        return 0, [], "other CPU or library: cannot replay"
    done, problems = 0, []
    for home in parts.generation_folders(folder).values():
        path = home / "manifest.json"
        manifest = files.read_json(path) or {}
        number, total = manifest["generation"], manifest["counts"]["tasks"]
        few = min(wanted, total)
        places = {i * total // few for i in range(few)}
        learned = number - 1 if number and has(world, "learn") else None
        _, state = store.read_state(folder, learned, about["private"])
        expected = _ids_by_task(path.parent, manifest)
        for place, task in enumerate(islice(world.plan(number), total)):
            if place not in places:
                continue
            m = Making(
                spec=spec.json(),
                config=world.model_dump(mode="json"),
                seed=about["parts"]["seed"],
                generation=number,
                index=0,
                first=place,
                tasks=[task_json(task)],
                run=str(folder),
                state=str(state or ""),
                model=about["parts"]["teacher"],
            )
            tasks = shard.given(world, m)
            made, silent = _make(world, m, tasks), Failures(world, folder, "")
            found = {record.id for record in shard.settle(world, m, tasks, made, silent, {})}
            done += 1
            if found != expected.get(tasks[0].id, set()):
                what = f"task {place} ({tasks[0].id})"
                problems.append(f"g{number:03d}: {what} gives other records now")
    return done, problems, ""


def _make(world: World, m: Making, tasks: list[Given]) -> list[Made]:
    if not shard.in_parent(world, m.model):
        return shard.make(world, m, tasks, Failures(world, Path(m.run), ""))
    ledger = Ledger(Path(m.run) / "ledger.sqlite", read_only=True) if m.model else None
    return asyncio.run(shard.make_async(world, m, ledger, None))


def _ids_by_task(folder: Path, manifest: dict[str, Any]) -> dict[str, set[str]]:
    ids: dict[str, set[str]] = {}
    for one in (Shard(**told) for told in manifest["shards"]):
        for name in [one.name, one.rest_name] if one.rest_sha256 else [one.name]:
            for row in files.read_parquet(folder / name, ["id", "task"]).to_pylist():
                ids.setdefault(row["task"]["id"], set()).add(row["id"])
    return ids
