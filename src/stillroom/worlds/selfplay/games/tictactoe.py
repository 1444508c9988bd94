"""Tic-tac-toe: three in a line win."""

import numpy as np

from stillroom.worlds.selfplay.game import DRAWN, GOES_ON, LOST, Floats, Game, Mask, State
from stillroom.worlds.selfplay.games.bits import (
    ONE,
    ZERO,
    bit,
    compiled,
    count,
    dihedral,
    fill,
    mix_words,
    no_score,
    permutations,
)

LINES = np.array(
    [0b111, 0b111 << 3, 0b111 << 6, 0b1001001, 0b1001001 << 1, 0b1001001 << 2, 0o421, 0o124],
    np.uint64,
)


@compiled
def start(state: State) -> None:
    state[:] = ZERO


@compiled
def legal(state: State, mask: Mask) -> int:
    taken = state[0] | state[1]
    for cell in range(9):
        mask[cell] = np.uint8((~taken >> np.uint64(cell)) & ONE)
    return 9 - count(taken)


@compiled
def play(state: State, action: int) -> None:
    state[0], state[1] = state[1], state[0] | bit(action)


@compiled
def result(state: State) -> int:
    for line in LINES:
        if state[1] & line == line:
            return LOST
    return DRAWN if count(state[0] | state[1]) == 9 else GOES_ON


@compiled
def plane(state: State, out: Floats) -> None:
    fill(state, 0, out[0])
    fill(state, 1, out[1])


@compiled
def key(state: State) -> np.uint64:
    return mix_words(state, 2)


@compiled
def moves(state: State) -> int:
    return count(state[0] | state[1])


def game() -> Game:
    """Tic-tac-toe. Planes: own marks, the opponent's."""
    symmetries = permutations(3, 3, dihedral())
    return Game(
        name="tictactoe",
        rules="tictactoe 3x3",
        height=3,
        width=3,
        actions=9,
        words=2,
        longest=9,
        planes=2,
        symmetries=symmetries,
        cells=symmetries,
        cell_of=np.arange(9, dtype=np.int32),
        start=start,
        legal=legal,
        play=play,
        result=result,
        plane=plane,
        key=key,
        moves=moves,
        score=no_score,
    )
