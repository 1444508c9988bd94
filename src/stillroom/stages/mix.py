"""Mixing: the whole human anchor, a share of *fresh* human records, synthetic ones on top.

The order is: sources and runs, read and judged -> copies dropped, shares drawn -> parts, ids,
weights, quotas, card -> manifest. See stages/mixing.py for what lies where.
"""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import dataset, files, worlds
from stillroom.collapse.settings import Mix
from stillroom.dataset import Dataset
from stillroom.errors import UserError
from stillroom.fold import Watch
from stillroom.record import FORMAT, canonical, digest
from stillroom.stages import balance, corpus, mix_figures, mixing, rates
from stillroom.stages.candidates import ANCHOR, FRESH, SYNTHETIC, Candidates, gather, open_run
from stillroom.stages.corpus import Corpus
from stillroom.stages.finished import finished_run
from stillroom.stages.lineage import UNKNOWN
from stillroom.stages.mix_card import write_card
from stillroom.stages.mixing import IDS, IN_MIX, Parts, files_of, read_manifest, root_of
from stillroom.stages.selection import ROLES, Selection, Used, counted, select
from stillroom.store import Run
from stillroom.world import World

VERSION = 1  # of what a mix is; part of its key
CLAIM = "pre-cutoff, presumed human: a date dates the bytes, it does not prove who wrote them"
NO_ANCHOR = "no anchor: there is no trusted human record in this mix"


@dataclass(frozen=True)
class Report:
    """A finished mix: its folder, and all of its manifest."""

    folder: Path
    figures: dict[str, Any] = field(repr=False)

    @property
    def dataset(self) -> Dataset:
        """The mixed records."""
        return dataset.open(self.folder)

    @property
    def held(self) -> Dataset:
        """The human records that are held out for the guard."""
        return Dataset(tuple((one, None) for one in sorted(self.folder.glob("guard/*.parquet"))))


def mix(
    run: str | Path,
    *,
    settings: Sequence[str] = (),
    out: str | Path | None = None,
    anchor: bool | None = None,
    trust_code: bool = False,
    watch: Watch | None = None,
) -> Report:
    """Mix a finished run with human data; done already: nothing is done.

    run       its folder; the table [mix] of its recipe says how
    settings  "mix.share=0.3": any key of that table
    out       RUN/mix by default, or RUN/mix/gNNN where one generation is mixed
    anchor    False: go on without any trusted human record, and say so wherever the mix is told of

    Raises UserError for a corpus that can't be read, and where nothing human is to be trusted.
    """
    watch = watch or Watch()
    if anchor is not None:
        settings = (*settings, f"mix.anchor={str(anchor).lower()}")
    opened = finished_run(run, "mix", settings, "mix.share=0.3")
    folder, settled = opened.folder, opened.recipe
    how = settled.mix or Mix()
    at = "mix" if how.generation is None else f"mix/g{how.generation:03d}"
    home = Path(out) if out is not None else folder / at
    with Run(folder):
        plan = _plan(folder, home, how, settled.seed, opened.root, trust_code)
        if (known := _known(home, plan.key)) is not None:
            return Report(home, known)
        return Report(home, _mix(plan, watch))


@dataclass(frozen=True)
class Plan:
    """What the steps of a mix need to know."""

    run: Path
    home: Path
    how: Mix
    seed: int
    root: str
    runs: list[tuple[str, Dataset, World]]
    sources: list[tuple[int, Corpus]]
    earlier: list[Path]
    identity: dict[str, Any]

    @property
    def key(self) -> str:
        return digest(canonical(self.identity)).hex()


def _plan(folder: Path, home: Path, how: Mix, seed: int, root: str, trust: bool) -> Plan:
    sources = [
        (pool, corpus.find(one))
        for pool, listed in ((ANCHOR, how.human), (FRESH, how.fresh))
        for one in listed
    ]
    runs, roots = [], []
    for number, one in enumerate((folder, *map(Path, how.runs))):
        name, records, world, its_root = _run(one, None if number else how.generation, trust)
        runs.append((name, records, world))
        roots.append(its_root)
    earlier = _earlier(home, how.after)
    # No path is part of it: a corpus that was moved is the same corpus.
    told = how.model_dump(mode="json", exclude={"human", "fresh", "after", "runs"})
    tables = [
        one.how.model_dump(mode="json", exclude={"path", "collection"}) | {"sha256": one.sha256}
        for _, one in sources
    ]
    identity = {
        "stage": "mix",
        "format": [FORMAT, VERSION],
        "mix": told,
        "seed": seed,
        "runs": roots,
        "sources": [[pool, one] for (pool, _), one in zip(sources, tables, strict=True)],
        "after": [_manifest(one)["seal"] for one in earlier],
    }
    return Plan(folder, home, how, seed, root, runs, sources, earlier, identity)


def _run(folder: Path, generation: int | None, trust: bool) -> tuple[str, Dataset, World, str]:
    about = files.read_json(folder / "run.json", "parts", "spec")
    whole = files.read_json(folder / "make" / "manifest.json", "root")
    if about is None or whole is None:
        raise UserError("no finished run is there", folder, "mix.runs names folders of runs")
    spec = worlds.recorded(about, folder)
    if not (spec.ours or trust):
        raise UserError(
            "mixing runs the world's own code, which is not Stillroom's",
            spec.file or spec.module,
            "read it, then add --trust-code",
        )
    world = worlds.build(spec, about["parts"]["config"])
    # Not the folder's name: the same run elsewhere gives the same mix.
    name = f"{type(world).name} {whole['root'][:8]}"
    return name, open_run(folder, generation), world, whole["root"]


def _earlier(home: Path, after: Sequence[str]) -> list[Path]:
    """The mixes whose fresh records are spent: those named, and earlier generations beside."""
    beside = [
        one
        for one in sorted(home.parent.glob("g*"))
        if re.fullmatch(r"g\d+", one.name)
        and re.fullmatch(r"g\d+", home.name)
        and int(one.name[1:]) < int(home.name[1:])
        and (one / "manifest.json").is_file()
    ]
    named = [Path(one) for one in after]
    for one in named:
        _manifest(one)
        if one.resolve() == home.resolve():
            raise UserError("a mix can't come after itself", one, "name the mixes before it")
    known = {one.resolve() for one in named}
    return [*named, *(one for one in beside if one.resolve() not in known)]


def _manifest(home: Path) -> dict[str, Any]:
    found = read_manifest(home)
    if found is None:
        raise UserError("no finished mix is there", home, "mix.after names folders of mixes")
    return found


def _known(home: Path, key: str) -> dict[str, Any] | None:
    """The manifest when this very mix is there; UserError when something else is."""
    known = read_manifest(home)
    if known is not None and known["key"] == key:
        return known
    if known is not None:
        raise UserError(
            "this folder holds a mix of other settings, data or history",
            home,
            "give another folder with --out, or remove this one",
        )
    if home.exists() and any(home.iterdir()):
        raise UserError("this folder is not empty", home, "give another one with --out")
    return None


def _mix(plan: Plan, watch: Watch) -> dict[str, Any]:
    part = plan.home.with_name(f".{plan.home.name}.{plan.key[:8]}.part")
    shutil.rmtree(part, ignore_errors=True)  # what a killed one left
    part.mkdir(parents=True)
    spool = part.with_suffix(".spool")
    try:
        told = gather(plan.how, plan.sources, plan.runs, spool, watch.say)
        watch.say(f"{len(told):,} records offered; looking for copies")
        picked = select(told, plan.how, plan.seed, _used(plan.earlier))
        if not picked.are("anchor", "fresh").any():
            _without_anchor(told, plan, picked)
        watch.say(f"writing {int(picked.are(*IN_MIX).sum()):,} records")
        manifest = _write(plan, part, told, picked)
        if plan.home.exists():
            plan.home.rmdir()
        part.rename(plan.home)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        spool.unlink(missing_ok=True)
    return manifest


def _used(earlier: Sequence[Path]) -> Used:
    names: set[bytes] = set()
    texts: set[bytes] = set()
    for home in earlier:
        table = mixing.roles_of(home, "fresh")
        names |= {bytes.fromhex(one) for one in table["id"].to_pylist()}
        texts |= {bytes.fromhex(one) for one in table["digest"].to_pylist()}
    return Used(frozenset(names), frozenset(texts))


def _without_anchor(told: Candidates, plan: Plan, picked: Selection) -> None:
    """Refuse a mix without a trusted human record, unless that was asked for."""
    if not picked.are("synthetic").any():
        why = counted(picked.reason, told.reasons)
        listed = ", ".join(f"{count:,} {reason}" for reason, count in why.items() if reason)
        raise UserError(f"nothing is left to mix: {listed or 'nothing was offered'}", plan.home)
    if not plan.how.anchor:
        picked.notes.append(NO_ANCHOR)
        return
    human = told.pool != SYNTHETIC
    why = counted(picked.reason[human & (picked.reason > 0)], told.reasons)
    listed = ", ".join(f"{count:,} {reason}" for reason, count in why.items())
    held = int(picked.are("guard").sum())
    listed += f"; the guard holds all {held:,} that are trusted" if held else ""
    raise UserError(
        f"no trusted human record is in this mix ({listed or 'no human source is named'})",
        plan.run / "recipe.toml",
        "name human data with evidence of tier A or B in [[mix.human]]; --no-anchor mixes without",
    )


# Writing.


def _write(plan: Plan, part: Path, told: Candidates, picked: Selection) -> dict[str, Any]:
    spooled = np.flatnonzero(told.spooled)
    kept, held = (picked.are(*roles)[spooled] for roles in (IN_MIX, ("guard",)))
    depth = told.depth[spooled]
    data, guard = Parts(part / "data"), Parts(part / "guard")
    for place, batch in told.batches():
        batch = _deepened(batch, depth[place])
        for mask, parts in ((kept[place], data), (held[place], guard)):
            if mask.any():
                parts.add(batch if mask.all() else batch.filter(pa.array(mask)))
    data.close()
    guard.close()
    root = root_of(plan.key, data.leaves, guard.leaves)
    _write_ids(part / "ids.parquet", told, picked)
    weighing = balance.weigh(part, plan.how, plan.runs)
    manifest = {
        "stage": "mix",
        "key": plan.key,
        "identity": plan.identity,
        "run": {"root": plan.root, "world": type(plan.runs[0][2]).name},
        "claim": CLAIM,
        "anchor": bool(picked.are("anchor", "fresh").any()),
        "notes": picked.notes + weighing.pop("notes"),
        "counts": mix_figures.counts(told, picked),
        "shares": mix_figures.portions(picked),
        "depths": mix_figures.depths(told, picked),
        "copies": picked.copies,
        "sources": [mix_figures.source(told, picked, n) for n in range(len(told.sources))],
        "balance": weighing,
        "pass_rates": mix_figures.lowest(rates.pass_rates(plan.run)),
        "root": root,
    }
    write_card(part, manifest, plan.how)
    manifest["files"] = files_of(part)
    for path in part.rglob("*"):
        if path.is_file():
            with path.open("rb") as written:
                os.fsync(written.fileno())
    files.write_json(part / "manifest.json", files.seal(manifest))
    return files.seal(manifest)


def _deepened(batch: pa.RecordBatch, depth: npt.NDArray[np.int16]) -> pa.RecordBatch:
    """The rows with the depth that their parents give them."""
    origin = batch["origin"]
    columns = origin.flatten()
    place = origin.type.get_field_index("depth")
    columns[place] = pa.array(depth.astype(np.int32), mask=depth == UNKNOWN)
    told = pa.StructArray.from_arrays(columns, fields=list(origin.type))
    return batch.set_column(batch.schema.get_field_index("origin"), "origin", told)


def _write_ids(path: Path, told: Candidates, picked: Selection) -> None:
    names = pa.array([one["source"] for one in told.sources], pa.string())
    with pq.ParquetWriter(path, IDS, compression="zstd") as writer:
        for begin in range(0, len(told), mixing.PART_ROWS):
            rows = slice(begin, begin + mixing.PART_ROWS)
            of = picked.of[rows]
            columns = [
                _hexes(told.ids[rows]),
                _hexes(told.digests[rows]),
                pa.array(ROLES).take(pa.array(picked.role[rows])),
                pa.array(told.reasons).take(pa.array(picked.reason[rows])),
                _hexes(told.ids[of], of < 0),
                names.take(pa.array(told.source[rows])),
                pa.array(told.row[rows]),
            ]
            writer.write_table(pa.table(columns, schema=IDS))


def _hexes(raw: npt.NDArray[np.uint8], missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """16 bytes a row as text in hex."""
    letters = np.frombuffer(b"0123456789abcdef", np.uint8)
    both = np.stack([letters[raw >> 4], letters[raw & 15]], axis=2)
    offsets = np.arange(0, 32 * (len(raw) + 1), 32, dtype=np.int32)
    told = pa.StringArray.from_buffers(
        len(raw), pa.py_buffer(offsets.tobytes()), pa.py_buffer(both.tobytes())
    )
    return told if missing is None else pa.array(told.to_pylist(), mask=missing)
