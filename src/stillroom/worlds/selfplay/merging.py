"""Positions that are the same up to symmetry, turned into their canonical form and made one."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stillroom.record import ORIGIN
from stillroom.worlds.selfplay.game import Game, Ints

Numbers = NDArray[np.float64]

UNIQUE = pa.schema(
    [
        ("canonical", pa.string()),
        ("weight", pa.int64()),  # positions that this row stands for
        ("ply", pa.int32()),  # the least
        ("planes", pa.binary()),
        ("levels", pa.list_(pa.float32())),
        ("legal", pa.list_(pa.bool_())),
        ("policy", pa.list_(pa.float32())),  # the mean over full searches, null without one
        ("policy_weight", pa.int64()),  # how many those are
        ("visits", pa.list_(pa.int64())),
        ("moves", pa.list_(pa.int64())),  # how often each was played
        ("simulations", pa.int64()),
        ("value", pa.float32()),
        ("proof", pa.int8()),
        ("outcome", pa.float32()),
        ("exact", pa.int8()),
        ("generations", pa.list_(pa.int32(), 2)),  # the first and the last
        ("origin", ORIGIN),
    ]
)


def merged(game: Game, rows: pa.Table) -> pa.Table:
    """One row a canonical position, in the order of `rows`, which stand side by side if alike.

    Whatever belongs to actions or cells is turned by each row's own symmetry first. ValueError when
    positions of one hash are not the same.
    """
    names = np.array(rows["canonical"].to_pylist(), "U16")
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(names)]))
    weight = np.bincount(group)
    turns = rows["symmetry"].to_numpy()
    actions = game.symmetries[turns]
    full = rows["policy"].is_valid().to_numpy()
    trained = np.add.reduceat(full.astype(np.int64), starts)
    policy = np.zeros((len(names), game.actions))
    policy[full] = _matrix(rows["policy"], game.actions)
    mean = _sums(_turned(policy, actions), starts) / np.maximum(trained, 1)[:, None]
    played = np.eye(game.actions)[rows["move"].to_numpy()]
    legal = _turned(_matrix(rows["legal"], game.actions), actions)
    columns: dict[str, Any] = {
        "canonical": names[starts].tolist(),
        "weight": weight,
        "ply": np.minimum.reduceat(rows["ply"].to_numpy(), starts),
        "planes": _planes(game, rows, turns, starts, group),
        "levels": [rows["levels"][int(n)].as_py() for n in starts],
        "legal": (_sums(legal, starts) > 0).tolist(),
        "policy": [row if n else None for row, n in zip(mean.tolist(), trained, strict=True)],
        "policy_weight": trained,
        "visits": _counts(_turned(_matrix(rows["visits"], game.actions), actions), starts),
        "moves": _counts(_turned(played, actions), starts),
        "simulations": np.add.reduceat(rows["simulations"].to_numpy().astype(np.int64), starts),
        "value": np.add.reduceat(rows["value"].to_numpy().astype(float), starts) / weight,
        "proof": _known(rows["proof"], group, len(starts)),
        "outcome": np.add.reduceat(rows["outcome"].to_numpy().astype(float), starts) / weight,
        "exact": _known(rows["exact"], group, len(starts)),
        "generations": _spans(rows["generation"].to_numpy(), starts),
        "origin": _origins(rows, starts),
    }
    arrays = [pa.array(columns[field.name], field.type) for field in UNIQUE]
    return pa.Table.from_arrays(arrays, schema=UNIQUE)


def _matrix(column: pa.ChunkedArray, width: int) -> Numbers:
    """The lists that aren't null as rows."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    found: Numbers = flat.reshape(-1, width).astype(np.float64)
    return found


def _turned(rows: Numbers, places: Ints) -> Numbers:
    """Each row's numbers at the places that its symmetry gives them."""
    turned = np.empty_like(rows)
    np.put_along_axis(turned, places.astype(np.int64), rows, axis=1)
    return turned


def _sums(rows: Numbers, starts: NDArray[np.int64]) -> Numbers:
    sums: Numbers = np.add.reduceat(rows, starts, axis=0)
    return sums


def _counts(rows: Numbers, starts: NDArray[np.int64]) -> list[list[int]]:
    found: list[list[int]] = _sums(rows, starts).astype(np.int64).tolist()
    return found


def _planes(
    game: Game,
    rows: pa.Table,
    turns: NDArray[np.int16],
    starts: NDArray[np.int64],
    group: NDArray[np.int64],
) -> list[bytes]:
    """The planes' bits in canonical form, which those of one hash have in common."""
    cells = game.height * game.width
    bits = np.frombuffer(b"".join(rows["planes"].to_pylist()), np.uint8).reshape(len(group), -1)
    flat = np.unpackbits(bits, axis=1, count=game.planes * cells).reshape(len(group), -1, cells)
    turned = np.empty_like(flat)
    np.put_along_axis(turned, game.cells[turns].astype(np.int64)[:, None, :], flat, axis=2)
    packed = np.packbits(turned.reshape(len(group), -1), axis=1)
    first = packed[starts]
    if (packed != first[group]).any():
        raise ValueError("two positions have one canonical hash, and are not the same")
    return [row.tobytes() for row in first]


def _known(column: pa.ChunkedArray, group: NDArray[np.int64], count: int) -> list[int | None]:
    """What any row of each group knows for certain."""
    found: list[int | None] = [None] * count
    for n, value in zip(group.tolist(), column.to_pylist(), strict=True):
        if value is not None:
            found[n] = value
    return found


def _spans(numbers: NDArray[np.int32], starts: NDArray[np.int64]) -> list[list[int]]:
    ends = np.minimum.reduceat(numbers, starts), np.maximum.reduceat(numbers, starts)
    found: list[list[int]] = np.stack(ends, axis=1).tolist()
    return found


def _origins(rows: pa.Table, starts: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The origins of merged positions: their parents are the games."""
    games, origins = rows["game"].to_pylist(), rows["origin"]
    found = []
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(games)], strict=True):
        parents = list(dict.fromkeys(games[start:end]))
        found.append(origins[start].as_py() | {"parents": parents})
    return found
