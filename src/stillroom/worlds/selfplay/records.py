"""What a record of self-play holds: a game, and the positions that were searched in it."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stillroom.world import Data
from stillroom.worlds.selfplay.game import Floats, Game, Ints
from stillroom.worlds.selfplay.labelling import Label
from stillroom.worlds.selfplay.net import TERRITORY
from stillroom.worlds.selfplay.play import Played
from stillroom.worlds.selfplay.rules import replay
from stillroom.worlds.selfplay.tree import UNKNOWN

POSITION = pa.struct(
    [
        ("ply", pa.int32()),  # moves before it, those of the opening included
        ("planes", pa.binary()),  # bits of [planes, height, width]: where a plane isn't 0
        ("levels", pa.list_(pa.float32())),  # what a plane is there; null where 1 everywhere
        ("legal", pa.list_(pa.bool_())),
        ("policy", pa.list_(pa.float32())),  # what the search recommends
        ("visits", pa.list_(pa.int32())),
        ("simulations", pa.int32()),
        ("full", pa.bool_()),  # a fast search's policy is no target
        ("move", pa.int32()),  # that was played
        ("value", pa.float32()),  # what the mover may expect, after the search
        ("proof", pa.int8()),  # that value where the search has proven it, else null
        ("outcome", pa.int8()),  # what came of it: 1, 0, -1 for the mover
        ("canonical", pa.string()),  # hash of the position's smallest image under symmetry
        ("symmetry", pa.int16()),  # the first symmetry that leads there
        ("exact", pa.int8()),  # what a solver knows, else null
    ]
)
GAME = pa.struct(
    [
        ("rules", pa.string()),
        ("net", pa.string()),  # hash of the weights that played both sides
        ("generation", pa.int32()),
        ("number", pa.int32()),  # of the game in its generation
        ("opening", pa.int32()),  # how many random moves came first
        ("moves", pa.list_(pa.int32())),
        ("result", pa.int8()),  # 1, 0, -1 for the first player
        ("ended", pa.string()),  # by the rules, at the cap, resigned
        ("gave_up", pa.int32()),  # the ply at which a side would have resigned, or did; else null
        ("score", pa.float32()),  # territory: the first player's lead; else null
        ("ownership", pa.list_(pa.int8())),  # territory: whose each cell is; else null
        ("positions", pa.list_(POSITION)),
    ]
)


def packed(planes: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Planes [n, P, ...] as bits [n, bytes] and levels [n, P]; each may hold 0 and one number."""
    flat = planes.reshape(*planes.shape[:2], -1)
    levels: Floats = flat.max(axis=2)
    there = flat != 0
    if (there & (flat != levels[:, :, None])).any():
        raise ValueError("a plane must hold 0 and one positive number, so that bits can keep it")
    return np.packbits(there.reshape(len(planes), -1), axis=1), levels


def unpacked(bits: NDArray[np.uint8], levels: Floats, shape: tuple[int, int, int]) -> Floats:
    """Planes [n, P, height, width] from bits [n, bytes] and levels [n, P]."""
    count = shape[0] * shape[1] * shape[2]
    there: Floats = np.unpackbits(bits, axis=1, count=count).reshape(-1, *shape).astype(np.float32)
    return there * levels[:, :, None, None]


def canonical(planes: Floats, cells: Ints) -> tuple[list[str], list[int]]:
    """Hashes of the smallest images of planes [n, P, ...], and the symmetries that lead there.

    Of all images as bits, the one that is first as bytes; its hash is 8 bytes of BLAKE2b.
    """
    flat = planes.reshape(*planes.shape[:2], -1)
    images = []
    for turn in cells:
        image = np.empty_like(flat)
        image[:, :, turn] = flat
        images.append([bits.tobytes() for bits in packed(image)[0]])
    tops = [level.astype("<f4").tobytes() for level in flat.max(axis=2)]
    hashes, symmetries = [], []
    for rows, level in zip(zip(*images, strict=True), tops, strict=True):
        best = min(rows)
        hashes.append(blake2b(best + level, digest_size=8).hexdigest())
        symmetries.append(rows.index(best))
    return hashes, symmetries


def ending(game: Game, moves: Sequence[int], free: bool) -> str:
    """How a game ended that nobody resigned; `free` says whether a move was legal in the end."""
    if len(moves) < game.longest or not free or game.drop:
        return "rules"
    return "rules" if all(game.cell_of[a] < 0 for a in moves[-2:]) else "cap"


def record_of(
    game: Game,
    played: Played,
    *,
    net: str,
    generation: int,
    number: int,
    label: Label | None = None,
) -> Data:
    """A game as a record's data; `label` gives a solver's values of its positions."""
    opening = len(played.opening)
    moves = np.concatenate([played.opening, played.searched["move"]])
    first = played.result if len(moves) % 2 == 0 else -played.result
    score, ownership = _territory(game, played, len(moves))
    ended = "resigned"
    if not played.resigned:
        free = game.legal(played.end, np.zeros(game.actions, np.uint8)) > 0
        ended = ending(game, moves.tolist(), free)
    return {
        "rules": game.rules,
        "net": net,
        "generation": generation,
        "number": number,
        "opening": opening,
        "moves": moves.tolist(),
        "result": first,
        "ended": ended,
        "gave_up": played.gave_up if played.gave_up >= 0 else None,
        "score": score,
        "ownership": ownership,
        "positions": _positions(game, played, moves, first, label),
    }


def _territory(game: Game, played: Played, moves: int) -> tuple[float | None, list[int] | None]:
    if game.name not in TERRITORY or played.resigned:
        return None, None
    owners = np.zeros(game.height * game.width, np.float32)
    sign = 1 if moves % 2 == 0 else -1
    score = sign * game.score(played.end, owners)
    return float(np.float32(score)), (sign * owners).astype(int).tolist()


def _positions(
    game: Game, played: Played, moves: Ints, first: int, label: Label | None
) -> list[Data]:
    opening = len(played.opening)
    planes, masks = replay(game, moves, opening)
    bits, levels = packed(planes)
    plain = ((levels == 0) | (levels == 1)).all(axis=1)
    hashes, symmetries = canonical(planes, game.cells)
    columns: dict[str, Sequence[Any]] = {
        "ply": range(opening, len(moves)),
        "planes": [row.tobytes() for row in bits],
        "levels": [None if one else row.tolist() for one, row in zip(plain, levels, strict=True)],
        "legal": masks.astype(bool).tolist(),
        "policy": played.policy.tolist(),
        "visits": played.visits.tolist(),
        "simulations": played.searched["simulations"].tolist(),
        "full": played.searched["full"].astype(bool).tolist(),
        "move": played.searched["move"].tolist(),
        "value": played.searched["value"].tolist(),
        "proof": [None if p == UNKNOWN else p for p in played.searched["proof"].tolist()],
        "outcome": [first if ply % 2 == 0 else -first for ply in range(opening, len(moves))],
        "canonical": hashes,
        "symmetry": symmetries,
        "exact": label(planes) if label is not None else [None] * len(planes),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
