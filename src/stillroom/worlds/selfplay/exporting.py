"""Games exploded into positions: one row each, or one row for all that are the same turned about.

FOLDER/train/00000.parquet ...  validation/  test/  shared/  README.md

A game is in one split, and so is a position, whichever game it comes from: a position that games of
several splits have belongs to the first of them. The other games' rows of it stand in `shared`,
where they can be counted and can't leak.
"""

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.record import ORIGIN, SPLITS, Record, split_of
from stillroom.world import Data
from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.merging import merged
from stillroom.worlds.selfplay.records import POSITION
from stillroom.worlds.selfplay.showing import chat

SHARED = "shared"
HOMES = (*SPLITS, SHARED)
# What is in memory at once, in moves of the longest game times actions: numbers of a policy.
CHUNK = 100_000  # as Python's objects
BUCKET = 2_000_000  # as arrays
BUCKETS = 128  # files that are open at once

ROW = pa.schema(
    [
        *(field for field in POSITION if field.name != "full"),
        ("policy_kind", pa.string()),  # full, or fast: such a search's policy is no target
        ("game", pa.string()),  # the record's id
        ("generation", pa.int32()),
        ("net", pa.string()),
        ("origin", ORIGIN),
    ]
)
RANK = ROW.append(pa.field("split", pa.int8()))  # of the game, until its positions are sorted out


def export_positions(game: Game, records: Iterable[Record], format: str, folder: Path) -> None:
    """Write `positions`, `positions-unique` or `positions-chat` into an empty folder.

    Memory holds a part of the positions: all are first dealt out by their canonical hash.
    """
    counts = {home: [0, 0] for home in HOMES}  # rows, and the positions that they stand for
    with TemporaryDirectory(dir=folder.parent) as room:
        for number, table in enumerate(_dealt(game, records, Path(room))):
            for home, rows in _homes(table).items():
                made, weight = _write(game, rows, format, folder / home, number)
                counts[home][0] += made
                counts[home][1] += weight
    (folder / "README.md").write_text(_told(game, format, counts))


def rows_of(record: Record) -> Iterator[Data]:
    """The rows of a game: those of its positions, with what belongs to the game."""
    data = record.data
    origin = {name: getattr(record.origin, name) for name in ORIGIN.names}
    for at in data["positions"]:
        full = at["full"]
        yield {name: at[name] for name in POSITION.names if name != "full"} | {
            "policy": at["policy"] if full else None,
            "policy_kind": "full" if full else "fast",
            "game": record.id,
            "generation": data["generation"],
            "net": data["net"],
            "origin": origin,
        }


def _split(record: Record) -> int:
    """Which split a game is in: by its moves, so that equal games stay together."""
    return SPLITS.index(split_of(record.tags, " ".join(map(str, record.data["moves"]))))


def _dealt(game: Game, records: Iterable[Record], room: Path) -> Iterator[pa.Table]:
    """All rows by their canonical hash: tables, each with whatever the positions in it have."""
    size = game.longest * game.actions
    games = len(records) if isinstance(records, Sized) else BUCKETS * BUCKET // size
    buckets = min(BUCKETS, 1 + games * size // BUCKET)
    writers = [pq.ParquetWriter(room / f"{n}.parquet", RANK) for n in range(buckets)]
    source = iter(records)
    while some := list(islice(source, 1 + CHUNK // size)):
        rows: list[list[Data]] = [[] for _ in writers]
        for record in some:
            rank = _split(record)
            for row in rows_of(record):
                rows[int(row["canonical"][:8], 16) % buckets].append(row | {"split": rank})
        for writer, chosen in zip(writers, rows, strict=True):
            if chosen:
                writer.write_table(pa.Table.from_pylist(chosen, schema=RANK))
    for writer in writers:
        writer.close()
    for n in range(buckets):
        yield pq.read_table(room / f"{n}.parquet")


def _homes(table: pa.Table) -> dict[str, pa.Table]:
    """The rows by where they go, in the order of their canonical hashes."""
    names = np.array(table["canonical"].to_pylist(), "U16")
    ranks = table["split"].to_numpy().astype(np.int64)
    _, position = np.unique(names, return_inverse=True)
    first = np.full(len(names), len(SPLITS))
    np.minimum.at(first, position, ranks)
    home = np.where(ranks == first[position], ranks, len(SPLITS))
    order = np.argsort(names, kind="stable")
    table = table.drop_columns("split")
    found = {name: order[home[order] == n] for n, name in enumerate(HOMES)}
    return {name: table.take(pa.array(rows)) for name, rows in found.items() if len(rows)}


def _write(game: Game, rows: pa.Table, format: str, folder: Path, number: int) -> tuple[int, int]:
    """One part; how many rows it has, and how many positions they stand for."""
    folder.mkdir(exist_ok=True)
    kept = rows if format == "positions" else merged(game, rows)
    if format == "positions-chat":
        # Where every move loses, none is better than another.
        some = (one for one in kept.to_pylist() if one["policy"] and one["proof"] != -1)
        lines = [_line(game, one) for one in some]
        (folder / f"{number:05d}.jsonl").write_bytes(b"".join(lines))
        return len(lines), len(rows)
    about = {
        "rules": game.rules,
        "planes": orjson.dumps([game.planes, game.height, game.width]),
        "actions": str(game.actions),
    }
    table = kept.replace_schema_metadata(about)
    pq.write_table(table, folder / f"{number:05d}.parquet", compression="zstd")
    return len(kept), len(rows)


def _line(game: Game, row: dict[str, Any]) -> bytes:
    """A position as a chat: what stands on the board, what the search looked at, its move."""
    body = {
        "messages": chat(game, row),
        "id": row["canonical"],
        "tags": {"rules": game.rules},
        **{name: row[name] for name in ("weight", "value", "outcome", "exact", "origin")},
    }
    return orjson.dumps(body) + b"\n"


TOLD = {
    "positions": (
        "One row a position, as it was searched (docs/selfplay.md lists the fields). `policy` is "
        "null where `policy_kind` is `fast`: that search was too short to teach one. `planes` are "
        "bits of [planes, height, width] (np.unpackbits), times `levels` where there are some."
    ),
    "positions-unique": (
        "One row for all positions that are the same up to symmetry, in their canonical form: "
        "`weight` says how many they are, `policy_weight` how many had a full search, over which "
        "`policy` is the mean; `visits`, `moves` (played) and `simulations` are sums; `value` and "
        "`outcome` are means over all; `origin.parents` are the games."
    ),
    "positions-chat": (
        "One chat for all positions that are the same up to symmetry: the board is asked about, "
        "the move of most weight in the mean policy is the answer, and `reasoning_content` says "
        "what the searches visited. Positions without a full search, and those that are proven "
        "to be lost, teach no move and are left out; they are counted below all the same."
    ),
}


def _told(game: Game, format: str, counts: dict[str, list[int]]) -> str:
    lines = "\n".join(f"| {home} | {rows} | {all_} |" for home, (rows, all_) in counts.items())
    return f"""{TOLD[format]}

Rules: {game.rules}. {game.actions} actions; planes [{game.planes}, {game.height}, {game.width}].

| | rows | positions that they stand for |
|---|---|---|
{lines}

Games that are equal share a split, and no canonical position is in two. `shared` holds what games
of a later split have in common with an earlier one: leave it out of training and of grading.
"""
