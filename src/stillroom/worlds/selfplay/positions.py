"""Positions whose every move a solver has judged: what a policy is graded by.

Only positions in which the choice matters count: some moves keep the result and others don't. The
shipped ones were drawn by random play (bench/label_positions.py makes them again); label those of
your own games with `labelled`, and leave out what a net was trained on with `grading.unseen`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from stillroom.errors import UserError
from stillroom.measures import wilson
from stillroom.worlds.selfplay.game import GOES_ON, LOST, Game, new_state
from stillroom.worlds.selfplay.solver import BUDGET, ILLEGAL, UNKNOWN, Solver

DATA = Path(__file__).parent / "data"

States = NDArray[np.uint64]
Policy = Callable[[States], ArrayLike]  # states uint64 [N, words] to N actions


@dataclass(frozen=True, eq=False)
class Positions:
    """Labelled positions of one game: N of them, rows of arrays."""

    rules: str
    states: States  # uint64 [N, words]
    plies: NDArray[np.int32]  # moves made so far
    values: NDArray[np.int8]  # 1 won, 0 drawn, -1 lost for the player to move
    labels: NDArray[np.int8]  # [N, actions]: what each move leads to for who makes it, or ILLEGAL
    wins: NDArray[np.bool_]  # whether a move wins at once
    keys: States  # uint64 [N]: the same for a position and its mirror image

    def __len__(self) -> int:
        return len(self.states)

    def only(self, rows: ArrayLike) -> "Positions":
        """Some of the positions: a mask, or their numbers."""
        chosen = np.asarray(rows)
        arrays = [getattr(self, field.name)[chosen] for field in fields(self)[1:]]
        return Positions(self.rules, *arrays)


def canonical_keys(game: Game, states: States) -> States:
    """The least key of each Connect Four position and its mirror image: uint64 [N, 2] to [N]."""
    cells = game.height * game.width
    bits = np.unpackbits(
        states.astype("<u8").view(np.uint8).reshape(len(states), 2, 8), axis=2, bitorder="little"
    )
    least = np.full(len(states), 2**64 - 1, np.uint64)
    for turn in game.cells:
        turned = np.zeros_like(bits)
        turned[:, :, turn] = bits[:, :, :cells]
        rows = np.packbits(turned, axis=2, bitorder="little").view("<u8")[:, :, 0]
        keys = [game.key(row) for row in rows.astype(np.uint64)]
        least = np.minimum(least, np.array(keys, np.uint64))
    return least


def labelled(solver: Solver, states: States, budget: int = BUDGET) -> Positions:
    """The positions in which the choice matters, each once; without those beyond the budget.

    `states` is uint64 [N, words]. UserError for an illegal position, ValueError for no position.
    """
    game = solver.game
    keys, first = np.unique(canonical_keys(game, states), return_index=True)
    order = np.argsort(first)
    states, keys = np.ascontiguousarray(states[first[order]]), keys[order]
    labels = solver.moves(states, budget)
    legal = labels != ILLEGAL
    best = np.where(legal, labels, -1).max(axis=1)
    worst = np.where(legal, labels, 1).min(axis=1)
    rows = (best > worst) & ~(labels == UNKNOWN).any(axis=1)
    plies = np.array([game.moves(state) for state in states], np.int32)
    wins = np.array([_wins(game, state) for state in states], bool)
    return Positions(game.rules, states, plies, best, labels, wins, keys).only(rows)


def _wins(game: Game, state: NDArray[np.uint64]) -> bool:
    mask = np.zeros(game.actions, np.uint8)
    game.legal(state, mask)
    for action in np.flatnonzero(mask):
        child = state.copy()
        game.play(child, int(action))
        if game.result(child) == LOST:
            return True
    return False


def shipped_positions(game: Game) -> Positions:
    """The shipped positions of a game. UserError where its rules have none."""
    path = DATA / f"{game.name}.parquet"
    if not path.exists() or (read := read_positions(path)).rules != game.rules:
        raise UserError(f"no positions are shipped for {game.rules}", do="take connect4 6x7")
    return read


def shipped_openings(game: Game) -> list[tuple[int, ...]]:
    """Shipped openings that a solver calls a draw, as moves; none for most games."""
    path = DATA / f"{game.name}_openings.parquet"
    if not path.exists():
        return []
    table = pq.read_table(path)
    if table.schema.metadata[b"rules"].decode() != game.rules:
        return []
    return [tuple(moves) for moves in table["moves"].to_pylist()]


def write_positions(positions: Positions, path: Path) -> None:
    """One row a position; moves that are illegal have no label."""
    actions = positions.labels.shape[1]
    flat = pa.array(positions.labels.ravel(), mask=positions.labels.ravel() == ILLEGAL)
    words = positions.states.shape[1]
    columns = {
        "state": pa.FixedSizeListArray.from_arrays(pa.array(positions.states.ravel()), words),
        "ply": pa.array(positions.plies.astype(np.int8)),
        "value": pa.array(positions.values),
        "labels": pa.FixedSizeListArray.from_arrays(flat, actions),
        "wins": pa.array(positions.wins),
        "key": pa.array(positions.keys),
    }
    table = pa.table(columns).replace_schema_metadata({"rules": positions.rules})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)


def read_positions(path: Path) -> Positions:
    """What `write_positions` wrote."""
    table = pq.read_table(path).combine_chunks()
    n = len(table)

    def flat(name: str) -> pa.Array:
        return table[name].combine_chunks().flatten()

    labels = flat("labels").fill_null(ILLEGAL).to_numpy().reshape(n, -1)
    return Positions(
        table.schema.metadata[b"rules"].decode(),
        flat("state").to_numpy().reshape(n, -1),
        table["ply"].to_numpy().astype(np.int32),
        table["value"].to_numpy(),
        labels,
        table["wins"].to_numpy(),
        table["key"].to_numpy(),
    )


class Share(NamedTuple):
    """How many of the positions a policy kept the result in, with the interval of 95 %."""

    kept: int
    tried: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.kept / self.tried if self.tried else float("nan")


class Grade(NamedTuple):
    """A policy's share over all positions, over the rest where no move wins at once, and by ply."""

    all: Share
    rest: Share
    by_ply: dict[int, Share]


def grade(policy: Policy, positions: Positions) -> Grade:
    """How often a policy's move keeps the result. ValueError for a move that is illegal."""
    actions = np.asarray(policy(positions.states)).astype(np.int64)
    if actions.shape != (len(positions),):
        raise ValueError(f"{len(positions)} positions want as many actions, not {actions.shape}")
    inside = (actions >= 0) & (actions < positions.labels.shape[1])
    labels = positions.labels[np.arange(len(positions)), np.where(inside, actions, 0)]
    illegal = np.flatnonzero(~inside | (labels == ILLEGAL))
    if len(illegal):
        row = int(illegal[0])
        raise ValueError(f"action {actions[row]} is illegal in position {row}")
    kept = labels == positions.values
    plies = sorted(set(positions.plies.tolist()))
    return Grade(
        share_of(kept),
        share_of(kept[~positions.wins]),
        {ply: share_of(kept[positions.plies == ply]) for ply in plies},
    )


def share_of(kept: ArrayLike) -> Share:
    """The share of a row of yes and no."""
    row = np.asarray(kept, bool)
    return Share(int(row.sum()), len(row), *wilson(int(row.sum()), len(row)))


def random_states(game: Game, ply: int, count: int, rng: np.random.Generator) -> States:
    """Positions after `ply` uniformly random moves of games that go on: uint64 [count, words]."""
    states = [random_opening(game, ply, rng)[1] for _ in range(count)]
    return np.array(states, np.uint64).reshape(count, game.words)


def random_opening(
    game: Game, ply: int, rng: np.random.Generator
) -> tuple[list[int], NDArray[np.uint64]]:
    """The moves of a game of random play that goes on after `ply` of them, and its position.

    Nobody passes who can do anything else.
    """
    mask, passes = np.zeros(game.actions, np.uint8), np.flatnonzero(game.cell_of == -1)
    for _ in range(10_000):
        state, moves = new_state(game), list[int]()
        while len(moves) < ply and game.result(state) == GOES_ON:
            game.legal(state, mask)
            if not game.drop and mask.sum() > 1:
                mask[passes] = 0
            moves.append(int(rng.choice(np.flatnonzero(mask))))
            game.play(state, moves[-1])
        if len(moves) == ply and game.result(state) == GOES_ON:
            return moves, state
    raise UserError(f"no random game of {game.rules} goes on after {ply} moves", do="fewer moves")


def actions_of(player: Callable[[NDArray[np.uint64]], int]) -> Callable[[States], Sequence[int]]:
    """A policy from a player that is asked for one position at a time."""
    return lambda states: [player(state) for state in states]
