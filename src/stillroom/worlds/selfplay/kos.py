"""Kos in recorded games of Go: a stone has just taken a single one and could itself be taken."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.learning import planes_of


def games_with_ko(game: Game, games: pa.StructArray) -> int:
    """In how many games a ko was opened, in the positions that were searched.

    The capturing stone stands alone, and its one liberty is where the stone was that it took.
    """
    lists = games.field("positions")
    rows = lists.flatten()
    of = np.repeat(np.arange(len(games)), np.diff(lists.offsets.to_numpy()))
    there = planes_of(game, rows)[:, :2].reshape(len(rows), 2, -1) > 0
    move = rows.field("move").to_numpy()
    at = np.flatnonzero((of[1:] == of[:-1]) & (move[:-1] < there.shape[2]))
    theirs, ours = there[at + 1, 0], there[at + 1, 1]  # who took the stone waits now
    taken = (there[at, 1] & ~theirs).sum(axis=1)
    near = _neighbours(game)[move[at]]
    alone = ~(near & ours).any(axis=1)
    free = (near & ~ours & ~theirs).sum(axis=1)
    return len(set(of[at[(taken == 1) & alone & (free == 1)]].tolist()))


def _neighbours(game: Game) -> NDArray[np.bool_]:
    """Whether two cells touch: [cells, cells]."""
    y, x = np.divmod(np.arange(game.height * game.width), game.width)
    touching: NDArray[np.bool_] = abs(y[:, None] - y) + abs(x[:, None] - x) == 1
    return touching
