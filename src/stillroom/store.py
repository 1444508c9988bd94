"""The run folder: nothing else writes there.

    RUN/  recipe.toml  run.json  events.jsonl  ledger.sqlite  audit.json  report.html
      world/                        the user's file, if the world is one
      data/*.parquet                exactly the dataset: hard links, and one cut part a generation
      make/start/                   what `start` made
      make/g000/00000.parquet       kept records of a shard
      make/g000/00000.rest.parquet  its refused and failed ones
      make/g000/{state/ index.parquet manifest.json}
      make/manifest.json            the whole: counts, parts, root
      private/                      what may not leave

Files are written under a temporary name, synced, and renamed; a manifest comes last, so its
existence means "complete". A shard's own numbers stand in its Parquet footer.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import __version__
from stillroom.errors import DISK, UserError, disk_trouble
from stillroom.files import (
    parquet_bytes,
    read_json,
    seal,
    sealed,
    sha256,
    tree,
    write_file,
    write_json,
)
from stillroom.parts import INDEX, Shard, generation_folder, generation_root, index_of, tally
from stillroom.record import canonical, digest

# What may lie in a folder whose run was killed before it was named.
_EMPTY_RUN = {".lock", "private", "recipe.toml", "world", "events.jsonl"}


class Run:
    """An open run folder that this process alone may write to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private = folder / "private"

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / ".lock").open("a+")
            strange = {path.name for path in self.folder.iterdir()} - _EMPTY_RUN
        except OSError as wrong:
            raise (
                UserError(*disk_trouble(wrong))
                if wrong.errno in DISK
                else UserError(
                    f"can't use this folder: {wrong.strerror}",
                    self.folder,
                    "give another one with --out",
                )
            ) from None
        if strange and not is_run(self.folder):
            self._lock.close()
            (self.folder / ".lock").unlink()
            what = f"this folder has no run.json, but holds {', '.join(sorted(strange)[:5])}"
            raise UserError(what, self.folder, "give an empty or a new one with --out")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "another process"
            self._lock.close()
            raise UserError(
                f"this run is locked by {holder}", self.folder, "wait for it, or give another --out"
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        self._lock.flush()
        self.private.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(self.private / "scratch", ignore_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.private / "scratch", ignore_errors=True)
        self._lock.close()

    def event(self, kind: str, **fields: Any) -> None:
        """One line in events.jsonl: the only place, with the manifests, for clock times."""
        line = orjson.dumps({"time": round(time.time(), 3), "event": kind, **fields})
        with (self.folder / "events.jsonl").open("ab") as file:
            file.write(line + b"\n")

    def generation(self, number: int) -> Path:
        return generation_folder(self.folder, number)

    def keep_state(self, number: int | None, made: Path | None, private: bool) -> Path | None:
        """Move what `start` (number None) or `learn` returned to its place for good."""
        home = state_home(self.folder, number, private)
        if made is not None and not made.exists():
            raise UserError(
                f"the returned state is not there: {made.name}",
                do="return a path inside ctx.scratch",
            )
        part = home.with_name(home.name + ".part")
        for old in (part, home):
            shutil.rmtree(old, ignore_errors=True)
        part.mkdir(parents=True)
        if made is not None:
            shutil.move(made, part / made.name)
        for file in part.rglob("*"):
            if file.is_file():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
        part.rename(home)
        note = {"state": made.name if made else None, "files": tree(home)}
        write_json(home.with_suffix(".json"), seal(note))
        return home / made.name if made else None

    def finish(
        self, number: int, shards: list[Shard], count: int, key: str, ended: bool
    ) -> dict[str, Any]:
        """Write the index and, last, the manifest of a generation whose shards are all there."""
        folder = self.generation(number)
        cut = max(0, sum(s.kept for s in shards) - count)
        self._drop_surplus(folder, shards)
        dropped: list[tuple[str, str]] = []
        part = folder / ".index.parquet.part"
        with pq.ParquetWriter(part, INDEX, compression="zstd") as writer:
            for shard in shards:
                wanted = shard.kept - (cut if shard is shards[-1] else 0)
                table, reasons = index_of(folder, shard, wanted)
                writer.write_table(table)
                dropped += reasons
        part.replace(folder / "index.parquet")
        numbers = tally(shards)
        manifest = {
            "stage": "make",
            "key": key,
            "generation": number,
            "plan_ended": ended,
            "counts": numbers | {"dataset": numbers["kept"] - cut, "surplus": cut},
            "shards": [asdict(shard) for shard in shards],
            "dropped": dropped,
            "index_sha256": sha256(folder / "index.parquet"),
            "root": generation_root(key, folder),
        }
        write_json(folder / "manifest.json", seal(manifest))
        return manifest

    def _drop_surplus(self, folder: Path, shards: list[Shard]) -> None:
        """Remove shards past the last one needed: how many there are depends on the workers."""
        names = {n for s in shards for n in (s.name, s.rest_name if s.rest_sha256 else "")}
        for path in folder.glob("[0-9]*.parquet"):
            if path.name not in names:
                path.unlink()
        for path in folder.glob(".*.part"):
            path.unlink()

    def lay_data(self, manifests: list[dict[str, Any]], key: str) -> dict[str, Any]:
        """Make data/ exactly the dataset and write the manifest of the whole, last."""
        fresh, old = self.folder / ".data.part", self.folder / ".data.old"
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir()
        parts = []
        for manifest in manifests:
            folder, surplus = self.generation(manifest["generation"]), manifest["counts"]["surplus"]
            for shard in (Shard(**s) for s in manifest["shards"]):
                rows = shard.kept - (surplus if shard.index == len(manifest["shards"]) - 1 else 0)
                if rows:
                    target = fresh / f"g{manifest['generation']:03d}-{shard.name}"
                    _link(folder / shard.name, target, rows if rows < shard.kept else None)
                    parts.append({"name": target.name, "rows": rows, "sha256": sha256(target)})
        if (self.folder / "data").exists():
            (self.folder / "data").rename(old)
        fresh.rename(self.folder / "data")
        shutil.rmtree(old, ignore_errors=True)
        whole = {
            "stage": "run",
            "key": key,
            "counts": {n: sum(m["counts"][n] for m in manifests) for n in manifests[0]["counts"]},
            "generations": [{"generation": m["generation"], "root": m["root"]} for m in manifests],
            "data": parts,
            "plan_ended": any(m["plan_ended"] for m in manifests),
            "root": run_root([m["root"] for m in manifests]),
        }
        write_json(self.folder / "make" / "manifest.json", seal(whole))
        return whole


def _link(source: Path, target: Path, rows: int | None) -> None:
    if rows is not None:
        table = pq.read_table(source).slice(0, rows).replace_schema_metadata(None)
        write_file(target, parquet_bytes(table))
        return
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def state_home(run: Path, number: int | None, private: bool) -> Path:
    """Where the state after a generation lies; number None: what `start` made."""
    base = run / "private" / "make" if private else run / "make"
    return base / "start" if number is None else base / f"g{number:03d}" / "state"


def read_state(run: Path, number: int | None, private: bool) -> tuple[bool, Path | None]:
    """(whether the state is recorded, its path or None for "nothing")."""
    home = state_home(run, number, private)
    note = read_json(home.with_suffix(".json"))
    if note is None or not home.is_dir():
        return False, None
    return True, home / note["state"] if note["state"] else None


def identity_hash(parts: dict[str, Any]) -> str:
    """A run's identity: what its stage keys, and through them its roots, are bound to."""
    return digest(canonical(parts), 16).hex()


def stage_key(identity: str, generation: int) -> str:
    return digest(canonical(["make", identity, generation])).hex()


def run_root(roots: list[str]) -> str:
    return roots[0] if len(roots) == 1 else digest(canonical(roots)).hex()


def parts(run: Path, generation: int | None = None) -> list[tuple[Path, int | None]]:
    """(file, rows of it that count, None for all) of the dataset, or of one finished generation."""
    if generation is None:
        return [(path, None) for path in sorted((run / "data").glob("*.parquet"))]
    folder = generation_folder(run, generation)
    manifest = read_json(folder / "manifest.json")
    if manifest is None:
        raise UserError(
            f"generation {generation} is not finished", folder, "run it to its end first"
        )
    shards, surplus = [Shard(**s) for s in manifest["shards"]], manifest["counts"]["surplus"]
    rows = [s.kept - (surplus if s is shards[-1] else 0) for s in shards]
    return [(folder / s.name, n) for s, n in zip(shards, rows, strict=True) if n]


def evidence(run: Path) -> Iterator[Path]:
    """Files of refused and failed records, in order."""
    yield from sorted((run / "make").glob("g*/[0-9]*.rest.parquet"))


def damaged_shards(run: Path, manifest: dict[str, Any]) -> list[Path]:
    """Files of a finished generation that are missing or not what its manifest says."""
    folder = generation_folder(run, manifest["generation"])
    wanted = {s["name"]: s["sha256"] for s in map(_named, manifest["shards"])}
    wanted |= {
        s["rest"]: s["rest_sha256"] for s in map(_named, manifest["shards"]) if s["rest_sha256"]
    }
    wanted["index.parquet"] = manifest["index_sha256"]
    return [
        folder / name
        for name, known in wanted.items()
        if not (folder / name).is_file() or sha256(folder / name) != known
    ]


def _named(shard: dict[str, Any]) -> dict[str, Any]:
    one = Shard(**shard)
    return shard | {"name": one.name, "rest": one.rest_name}


def set_damaged_aside(run: Run) -> list[str]:
    """Move damaged files to RUN/damaged, so that the fold makes them anew; their names."""
    found = []
    for path in sorted((run.folder / "make").glob("g*/manifest.json")):
        try:
            manifest = read_json(path)
            if manifest is None or not sealed(manifest):
                raise UserError("the manifest was edited")
            damaged = damaged_shards(run.folder, manifest)
        except (UserError, KeyError, TypeError):
            damaged = [path]  # the shards know themselves; the manifest is made from them
        strange = set(path.parent.glob("[0-9]*.parquet")) - _listed(path)
        for file in [*damaged, *sorted(strange)]:
            home = run.folder / "damaged" / path.parent.name
            home.mkdir(parents=True, exist_ok=True)
            if file.exists():
                file.rename(home / f"{file.name}.{time.time_ns()}")
            found.append(f"{path.parent.name}/{file.name}")
        if found:
            path.unlink(missing_ok=True)
    return found


def _listed(path: Path) -> set[Path]:
    manifest = (read_json(path) if path.exists() else None) or {"shards": []}
    names = map(_named, manifest["shards"])
    return {path.parent / name for s in names for name in (s["name"], s["rest"])}


def surroundings() -> dict[str, str]:
    """What a replay depends on besides the recipe: CPU class and versions."""
    import platform

    import numpy

    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    vectors = [flag for flag in ("avx2", "avx512f", "asimd", "sve") if f" {flag} " in flags]
    return {
        "cpu": " ".join([platform.machine(), *vectors]),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "pyarrow": pa.__version__,
        "stillroom": __version__,
    }


def reasons(run: Path) -> dict[str, int]:
    """Why records are not in the dataset ("refused: NAME"), commonest first; surplus left out."""
    counts: dict[str, int] = {}
    for path in sorted((run / "make").glob("g*/manifest.json")):
        for _, reason in (read_json(path) or {})["dropped"]:
            if reason != "surplus":
                counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file()
