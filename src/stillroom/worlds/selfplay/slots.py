"""The arrays of many games that are played at once: slots, a cache, and batches for the net."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillroom.worlds.selfplay.game import Game

IDLE, FRESH, READY, THINKING, ASKING, OVER = range(6)

SLOT = np.dtype(
    [
        ("key", np.uint64),  # the game's stream
        ("counter", np.uint64),
        ("phase", np.int32),
        ("nodes", np.int32),
        ("leaf", np.int32),  # the node that waits for the net
        ("done", np.int32),  # simulations of this search
        ("budget", np.int32),
        ("opening", np.int32),  # random moves at the start
        ("made", np.int32),  # positions searched
        ("first_low", np.int32),  # how often in a row each side expected too little
        ("second_low", np.int32),
        ("gave_up", np.int32),  # the ply at which somebody would have; -1 for none
        ("full", np.int8),
        ("stubborn", np.int8),  # nobody gives up in this game
        ("resigned", np.int8),
        ("result", np.int8),  # of the player to move in the end
    ],
    align=True,
)
SEARCHED = np.dtype(
    [
        ("value", np.float32),
        ("move", np.int32),
        ("simulations", np.int32),
        ("full", np.int8),
        ("proof", np.int8),
    ],
    align=True,
)


class Slots(NamedTuple):
    """G slots, and the positions of their games so far: at most L each."""

    slot: NDArray[np.void]  # SLOT [G]
    now: NDArray[np.uint64]  # [G, words]: what is on the board
    noise: NDArray[np.float64]  # [G, A]: Gumbel's, at the root
    random: NDArray[np.int32]  # [G, L]: the moves of the opening
    searched: NDArray[np.void]  # SEARCHED [G, L]
    policy: NDArray[np.float32]  # [G, L, A]
    visits: NDArray[np.int32]  # [G, L, A]
    work: NDArray[np.float64]  # [A]


class Cache(NamedTuple):
    """What the net has said of positions, by key; empty arrays for no cache."""

    taken: NDArray[np.uint8]
    key: NDArray[np.uint64]
    logits: NDArray[np.float32]
    value: NDArray[np.float32]


class Exchange(NamedTuple):
    """A batch on its way to the net and back: who asked, planes, logits, values."""

    asked: NDArray[np.int64]  # [G]
    planes: NDArray[np.float32]  # [G, planes, height, width]
    logits: NDArray[np.float32]  # [G, A]
    values: NDArray[np.float32]  # [G]


def new_slots(game: Game, slots: int, longest: int) -> Slots:
    """Idle slots; `longest` is the number of positions of a game that they can hold."""
    return Slots(
        np.zeros(slots, SLOT),
        np.zeros((slots, game.words), np.uint64),
        np.zeros((slots, game.actions)),
        np.zeros((slots, longest), np.int32),
        np.zeros((slots, longest), SEARCHED),
        np.zeros((slots, longest, game.actions), np.float32),
        np.zeros((slots, longest, game.actions), np.int32),
        np.zeros(game.actions),
    )


def new_cache(game: Game, entries: int) -> Cache:
    """Room for so many positions, a power of two; 0 for none."""
    return Cache(
        np.zeros(entries, np.uint8),
        np.zeros(entries, np.uint64),
        np.zeros((entries, game.actions), np.float32),
        np.zeros(entries, np.float32),
    )


def new_exchange(game: Game, slots: int) -> Exchange:
    """An empty batch with room for all slots."""
    return Exchange(
        np.zeros(slots, np.int64),
        np.zeros((slots, game.planes, game.height, game.width), np.float32),
        np.zeros((slots, game.actions), np.float32),
        np.zeros(slots, np.float32),
    )
