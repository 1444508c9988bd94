"""Connect Four: drop a stone into a column; four in a line win."""

import numpy as np

from stillroom.worlds.selfplay.game import DRAWN, GOES_ON, LOST, Floats, Game, Mask, State
from stillroom.worlds.selfplay.games.bits import (
    ONE,
    ZERO,
    bit,
    compiled,
    count,
    fill,
    mirrored,
    mix_words,
    no_score,
    permutations,
    within,
)


@compiled
def four(stones: np.uint64, height: int, width: int) -> bool:
    """Whether four of the stones are in a line. Cells are bits, row by row from the top."""
    full = (ONE << np.uint64(width)) - ONE
    row_left = full >> np.uint64(3)  # columns from which three more lie to the right
    row_right = full & ~np.uint64(7)  # and to the left
    left, right = ZERO, ZERO
    for row in range(height):
        left |= row_left << np.uint64(row * width)
        right |= row_right << np.uint64(row * width)
    across = _line(stones, np.uint64(1)) & left
    falling = _line(stones, np.uint64(width + 1)) & left
    rising = _line(stones, np.uint64(width - 1)) & right
    return bool(across | falling | rising | _line(stones, np.uint64(width)))


@compiled
def _line(stones: np.uint64, step: np.uint64) -> np.uint64:
    two = stones & (stones >> step)
    return two & (two >> (step + step))


@compiled
def _legal(state: State, mask: Mask, width: int) -> int:
    taken, total = state[0] | state[1], 0
    for column in range(width):
        mask[column] = np.uint8((~taken >> np.uint64(column)) & ONE)
        total += mask[column]
    return total


@compiled
def _play(state: State, action: int, height: int, width: int) -> None:
    taken, cell = state[0] | state[1], action
    while cell + width < height * width and (taken >> np.uint64(cell + width)) & ONE == ZERO:
        cell += width
    state[0], state[1] = state[1], state[0] | bit(cell)


@compiled
def _result(state: State, height: int, width: int) -> int:
    if four(state[1], height, width):
        return LOST
    return DRAWN if count(state[0] | state[1]) == height * width else GOES_ON


@compiled
def start(state: State) -> None:
    state[:] = ZERO


@compiled
def key(state: State) -> np.uint64:
    return mix_words(state, 2)


@compiled
def moves(state: State) -> int:
    return count(state[0] | state[1])


@compiled
def plane(state: State, out: Floats) -> None:
    fill(state, 0, out[0])
    fill(state, 1, out[1])


def game(height: int = 6, width: int = 7) -> Game:
    """Connect Four; 4 to 8 rows and columns. Planes: own stones, the opponent's."""
    within("connect4", "height", height, 4, 8)
    within("connect4", "width", width, 4, 8)

    @compiled
    def legal(state: State, mask: Mask) -> int:
        return _legal(state, mask, width)

    @compiled
    def play(state: State, action: int) -> None:
        _play(state, action, height, width)

    @compiled
    def result(state: State) -> int:
        return _result(state, height, width)

    return Game(
        name="connect4",
        rules=f"connect4 {height}x{width}",
        height=height,
        width=width,
        actions=width,
        words=2,
        longest=height * width,
        planes=2,
        symmetries=permutations(1, width, [mirrored]),
        cells=permutations(height, width, [mirrored]),
        cell_of=np.full(width, -1, np.int32),
        start=start,
        legal=legal,
        play=play,
        result=result,
        plane=plane,
        key=key,
        moves=moves,
        score=no_score,
        drop=True,
    )
