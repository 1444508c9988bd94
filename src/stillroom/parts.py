"""Shards on disk: two Parquet files, their numbers and row hashes in the footer, and the index."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import merkle
from stillroom.files import parquet_bytes, read_parquet, sha256, write_file
from stillroom.record import (
    EXCEPTION,
    Record,
    Shared,
    canonical,
    digest,
    envelope,
    row_bytes,
    to_batch,
)
from stillroom.world import Check

INDEX = pa.schema(
    [("id", pa.string()), ("leaf", pa.binary(32)), ("outcome", pa.string()), ("shard", pa.int32())]
)
_FOOTER = b"stillroom"


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard's numbers. `first` is the index of its first task in the plan."""

    index: int
    first: int
    tasks: int
    kept: int
    refused: int
    failed: int
    sha256: str = ""
    rest_sha256: str = ""

    @property
    def name(self) -> str:
        return f"{self.index:05d}.parquet"

    @property
    def rest_name(self) -> str:
        return f"{self.index:05d}.rest.parquet"


def write_shard(
    folder: Path,
    shard: Shard,
    kept: list[Record],
    rest: list[Record],
    data: pa.StructType,
    shared: Shared,
) -> Shard:
    """Write a shard's two files, the kept one last; returns the shard with their hashes."""
    schema = envelope(data)
    rest_sha = ""
    if rest:
        content = parquet_bytes(to_batch(rest, schema))
        rest_sha = hashlib.sha256(content).hexdigest()
        write_file(folder / shard.rest_name, content)
    else:
        (folder / shard.rest_name).unlink(missing_ok=True)
    footer = asdict(shard) | {"rest_sha256": rest_sha, "leaves": _leaves(kept, shared)}
    footer["rest_leaves"] = _leaves(rest, shared)
    del footer["sha256"]
    table = to_batch(kept, schema.with_metadata({_FOOTER: canonical(footer)}))
    content = parquet_bytes(table)
    write_file(folder / shard.name, content)
    made = asdict(shard) | {"sha256": hashlib.sha256(content).hexdigest(), "rest_sha256": rest_sha}
    return Shard(**made)


def _leaves(records: list[Record], shared: Shared) -> str:
    leaves = [merkle.leaf(row_bytes(record, shared)) for record in records]
    return base64.b64encode(b"".join(leaves)).decode()


def _footer(path: Path) -> dict[str, Any]:
    footer: dict[str, Any] = orjson.loads(pq.read_schema(path).metadata[_FOOTER])
    return footer


def read_shard(folder: Path, index: int) -> Shard | None:
    """A finished shard's numbers; None when it is missing or can't be read: it is to be made."""
    path = folder / f"{index:05d}.parquet"
    try:
        footer = _footer(path)
        footer.pop("leaves"), footer.pop("rest_leaves")
        shard = Shard(**footer, sha256=sha256(path))
        if shard.rest_sha256 and sha256(folder / shard.rest_name) != shard.rest_sha256:
            return None
        read_parquet(path)
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
    return shard


def shard_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a part as dictionaries; OSError or ArrowException when damaged."""
    rows: list[dict[str, Any]] = read_parquet(path).to_pylist()
    return rows


def index_of(folder: Path, shard: Shard, wanted: int) -> tuple[pa.Table, list[tuple[str, str]]]:
    """A shard's part of the index, kept records first; (id, why) of what is not in it."""
    footer = _footer(folder / shard.name)
    ids = read_parquet(folder / shard.name, ["id"])["id"].to_pylist()
    outcomes = ["kept"] * wanted + ["surplus"] * (len(ids) - wanted)
    reasons = [(one, "surplus") for one in ids[wanted:]]
    if shard.rest_sha256:
        for row in read_parquet(folder / shard.rest_name, ["id", "verdict"]).to_pylist():
            checks = [Check(**check) for check in row["verdict"]["checks"]]
            reasons.append((row["id"], reason(checks)))
            outcomes.append(reasons[-1][1].partition(":")[0])
            ids.append(row["id"])
    packed = base64.b64decode(footer["leaves"]) + base64.b64decode(footer["rest_leaves"])
    leaves = pa.FixedSizeBinaryArray.from_buffers(
        INDEX.field("leaf").type, len(ids), [None, pa.py_buffer(packed)]
    )
    shard_column = pa.array([shard.index] * len(ids), INDEX.field("shard").type)
    return pa.table([ids, leaves, outcomes, shard_column], schema=INDEX), reasons


def reason(checks: Iterable[Check]) -> str:
    """ "failed: exception" or "refused: NAME", from the checks of a record that was not kept."""
    wrong = next((check.name for check in checks if not check.ok), "nothing was checked")
    return ("failed: " if wrong == EXCEPTION else "refused: ") + wrong


def index_leaves(folder: Path, dataset: bool) -> Iterator[bytes]:
    """Leaves of the dataset's rows in order, or of all the other rows."""
    file = pq.ParquetFile(folder / "index.parquet")
    for batch in file.iter_batches(4096, columns=["leaf", "outcome"]):
        for leaf, outcome in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if (outcome == "kept") == dataset:
                yield leaf


def generation_root(key: str, folder: Path) -> str:
    """What binds a generation: its key, the dataset's rows and all other rows, in order."""
    roots = [merkle.root(index_leaves(folder, dataset)) for dataset in (True, False)]
    return digest(canonical([key, *roots])).hex()


def tally(shards: Iterable[Shard]) -> dict[str, int]:
    names = ("tasks", "kept", "refused", "failed")
    return {name: sum(getattr(shard, name) for shard in shards) for name in names}


def generation_folder(run: Path, number: int) -> Path:
    return run / "make" / f"g{number:03d}"


def generation_folders(run: Path) -> dict[int, Path]:
    """The folders of a run's generations, begun or finished, in order; no others beside them."""
    found = {}
    for path in (run / "make").glob("g[0-9]*"):
        number = path.name[1:]
        if number.isdecimal() and path == generation_folder(run, int(number)) and path.is_dir():
            found[int(number)] = path
    return dict(sorted(found.items()))
