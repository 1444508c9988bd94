"""Domineering, a game of your own for self-play, in one file: `game_of("own_game.py", size=4)`.

The first player lays dominoes upright, the second flat; who has no room for one has lost.
An action is the upper or left cell of the domino.
"""

import numpy as np
from numba import njit

from stillroom.worlds.selfplay.game import GOES_ON, LOST, Game


def game(size=5):  # up to 8: a state's first words are the cells of the mover, of the opponent
    one, cells = np.uint64(1), size * size

    @njit
    def legal(state, mask):
        upright, taken = state[2] % 2 == 0, state[0] | state[1]
        for cell in range(cells):
            last = cell >= cells - size if upright else (cell + 1) % size == 0
            two = (one | one << np.uint64(size if upright else 1)) << np.uint64(cell)
            mask[cell] = not last and taken & two == 0
        return mask.sum()

    @njit
    def play(state, action):
        two = one | one << np.uint64(size if state[2] % 2 == 0 else 1)
        state[0], state[1] = state[1], state[0] | two << np.uint64(action)
        state[2] += one

    @njit
    def result(state):
        return GOES_ON if legal(state, np.empty(cells, np.uint8)) else LOST

    @njit
    def start(state):
        state[:] = 0

    @njit
    def plane(state, out):
        for cell in range(cells):
            at, shift = (cell // size, cell % size), np.uint64(cell)
            out[0][at], out[1][at] = state[0] >> shift & one, state[1] >> shift & one
        out[2] = state[2] % 2

    @njit
    def key(state):
        return state[0] * np.uint64(0x9E3779B97F4A7C15) ^ state[1]

    @njit
    def moves(state):
        return np.int64(state[2])

    @njit
    def score(state, out):
        out[:] = 0
        return 0.0

    same = np.arange(cells, dtype=np.int32)
    return Game(
        name="domineering",
        rules=f"domineering {size}x{size}",
        height=size,
        width=size,
        actions=cells,
        words=3,
        longest=cells // 2,
        planes=3,
        symmetries=same[None],
        cells=same[None],
        cell_of=same,
        start=start,
        legal=legal,
        play=play,
        result=result,
        plane=plane,
        key=key,
        moves=moves,
        score=score,
    )
