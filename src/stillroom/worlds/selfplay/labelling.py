"""What a solver knows of a game's positions, for its record: exact values where they are cheap."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from stillroom.worlds.selfplay.game import Floats, Game, State
from stillroom.worlds.selfplay.solver import MOST, UNKNOWN, Solver

Labels = list[int | None]
Label = Callable[[Floats], Labels]
"""Planes [n, P, ...] to a value for each mover: 1, 0, -1, or None where nothing is known."""


@lru_cache(maxsize=2)
def labeller(game: Game, least: int, nodes: int) -> Label | None:
    """Labels the positions of ply `least` and later, `nodes` at most on each; None: no solver.

    A label depends on its position alone, so that `check` finds the same.
    """
    if game.name != "connect4" or (game.height + 1) * game.width > MOST or not nodes:
        return None
    solver = Solver(game)

    def label(planes: Floats) -> Labels:
        stones = (planes.reshape(len(planes), 2, -1) != 0).sum(axis=(1, 2))
        known: Labels = [None] * len(planes)
        late = np.flatnonzero(stones >= least)
        if len(late):
            values = solver.values(states_of(planes[late]), nodes)
            for row, value in zip(late.tolist(), values.tolist(), strict=True):
                known[row] = None if value == UNKNOWN else value
        return known

    return label


def states_of(planes: Floats) -> State:
    """Connect Four's states [n, 2] from its planes [n, 2, ...]."""
    bits = np.zeros((len(planes), 2, 64), np.uint8)
    flat = planes.reshape(len(planes), 2, -1)
    bits[:, :, : flat.shape[2]] = flat != 0
    packed = np.packbits(bits, axis=2, bitorder="little")
    return packed.view("<u8").reshape(len(planes), 2).astype(np.uint64)
