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
    read_parquet,
    seal,
    sha256,
    tree,
    write_file,
    write_json,
)
from stillroom.parts import (
    INDEX,
    Shard,
    generation_folder,
    generation_folders,
    generation_root,
    index_of,
    tally,
)
from stillroom.record import canonical, digest

INDEX_ROWS = 16_384  # of the index that are written together

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
        try:
            self._begin()
        except OSError:
            self._lock.close()
            raise
        return self

    def _begin(self) -> None:
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        self._lock.flush()
        self.private.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(self.private / "scratch", ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.private / "scratch", ignore_errors=True)
        self._lock.close()

    def event(self, kind: str, **fields: Any) -> None:
        """One line in events.jsonl: the only place, with the manifests, for clock times."""
        line = orjson.dumps({"time": round(time.time(), 3), "event": kind, **fields})
        with (self.folder / "events.jsonl").open("ab+") as file:
            if file.tell():  # a killed run may have left half a line
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
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
        dropped = _write_index(folder, shards, cut)
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
        data = []
        for name, source, rows in data_parts(self.folder, manifests):
            _link(source, fresh / name, rows)
            data.append({"name": name, "rows": rows, "sha256": sha256(fresh / name)})
        if (self.folder / "data").exists():
            (self.folder / "data").rename(old)
        fresh.rename(self.folder / "data")
        shutil.rmtree(old, ignore_errors=True)
        whole = whole_manifest(manifests, data, key)
        write_json(self.folder / "make" / "manifest.json", seal(whole))
        return whole


def data_parts(run: Path, manifests: list[dict[str, Any]]) -> Iterator[tuple[str, Path, int]]:
    """(name in data/, the shard it comes from, how many of its first rows) of every part."""
    for manifest in manifests:
        folder = generation_folder(run, manifest["generation"])
        shards = [Shard(**one) for one in manifest["shards"]]
        for shard in shards:
            rows = shard.kept - (manifest["counts"]["surplus"] if shard is shards[-1] else 0)
            if rows:
                yield f"{folder.name}-{shard.name}", folder / shard.name, rows


def whole_manifest(
    manifests: list[dict[str, Any]], data: list[dict[str, Any]], key: str
) -> dict[str, Any]:
    """The manifest of the whole run, from those of its generations and the parts of data/."""
    return {
        "stage": "run",
        "key": key,
        "counts": {n: sum(m["counts"][n] for m in manifests) for n in manifests[0]["counts"]},
        "generations": [{"generation": m["generation"], "root": m["root"]} for m in manifests],
        "data": data,
        "plan_ended": any(m["plan_ended"] for m in manifests),
        "root": run_root([m["root"] for m in manifests]),
    }


def _link(source: Path, target: Path, rows: int) -> None:
    """A hard link, or a copy of the first rows where not all count."""
    if rows < pq.read_metadata(source).num_rows:
        table = read_parquet(source).slice(0, rows).replace_schema_metadata(None)
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
    return [(source, rows) for _, source, rows in data_parts(run, [manifest])]


def evidence(run: Path) -> Iterator[Path]:
    """Files of refused and failed records, in order."""
    for folder in generation_folders(run).values():
        yield from sorted(folder.glob("[0-9]*.rest.parquet"))


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
    for folder in generation_folders(run).values():
        for _, reason in (read_json(folder / "manifest.json") or {"dropped": []})["dropped"]:
            if reason != "surplus":
                counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _write_index(folder: Path, shards: list[Shard], cut: int) -> list[tuple[str, str]]:
    """Write index.parquet; (id, why) of every record that is not in the dataset.

    Shards share row groups: Parquet keeps some 10 kB of memory for each group until the end.
    """
    dropped: list[tuple[str, str]] = []
    part, waiting = folder / ".index.parquet.part", list[pa.Table]()
    with pq.ParquetWriter(part, INDEX, compression="zstd") as writer:
        for shard in shards:
            table, reasons = index_of(folder, shard, shard.kept - cut * (shard is shards[-1]))
            waiting.append(table)
            dropped += reasons
            if shard is shards[-1] or sum(len(one) for one in waiting) >= INDEX_ROWS:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()
    part.replace(folder / "index.parquet")
    return dropped


def is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file()
