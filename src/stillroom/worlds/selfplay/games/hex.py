"""Hex: the first player joins top and bottom, the second left and right; nobody swaps.

The board is a rhombus: the cell (row, column) touches those beside it, (row - 1, column),
(row - 1, column + 1), (row + 1, column - 1) and (row + 1, column).
"""

import numpy as np

from stillroom.worlds.selfplay.game import GOES_ON, LOST, Floats, Game, Mask, State
from stillroom.worlds.selfplay.games.bits import (
    ONE,
    ZERO,
    bit,
    compiled,
    count,
    fill,
    get,
    half_turn,
    mix_words,
    no_score,
    permutations,
    within,
)


@compiled
def _row(state: State, first: int, row: int, size: int) -> np.uint64:
    """A row of one board as the low bits of a word."""
    at = row * size
    word, offset = first + (at >> 6), at & 63
    bits = state[word] >> np.uint64(offset)
    if offset + size > 64:
        bits |= state[word + 1] << np.uint64(64 - offset)
    return np.uint64(bits & ((ONE << np.uint64(size)) - ONE))


@compiled
def _joined(state: State, first: int, size: int, down: bool) -> bool:
    """Whether the board's stones join top and bottom, or left and right."""
    rows, reached = np.empty(size, np.uint64), np.zeros(size, np.uint64)
    for row in range(size):
        rows[row] = _row(state, first, row, size)
        if not down:
            reached[row] = rows[row] & ONE
    if down:
        reached[0] = rows[0]
    again = True
    while again:
        again = False
        for step in range(2 * size - 1):  # down to the last row and back up
            row = step if step < size else 2 * size - 2 - step
            grown = reached[row]
            if row > 0:
                grown |= reached[row - 1] | (reached[row - 1] >> ONE)
            if row < size - 1:
                grown |= reached[row + 1] | (reached[row + 1] << ONE)
            grown = _along(grown & rows[row], rows[row])
            if grown != reached[row]:
                reached[row] = grown
                again = True
    if down:
        return bool(reached[size - 1])
    right = ZERO
    for row in range(size):
        right |= reached[row]
    return bool(right >> np.uint64(size - 1))


@compiled
def _along(seeds: np.uint64, row: np.uint64) -> np.uint64:
    before = ZERO
    while seeds != before:
        before = seeds
        seeds = (seeds | (seeds << ONE) | (seeds >> ONE)) & row
    return seeds


@compiled
def _made(state: State) -> int:
    total = 0
    for word in range(len(state)):
        total += count(state[word])
    return total


@compiled
def _legal(state: State, mask: Mask, size: int) -> int:
    words, total = len(state) // 2, 0
    for cell in range(size * size):
        free = not (get(state, 0, cell) or get(state, words, cell))
        mask[cell] = free
        total += free
    return total


@compiled
def start(state: State) -> None:
    state[:] = ZERO


@compiled
def play(state: State, action: int) -> None:
    words = len(state) // 2
    state[action >> 6] |= bit(action & 63)
    for word in range(words):
        state[word], state[words + word] = state[words + word], state[word]


@compiled
def plane(state: State, out: Floats) -> None:
    fill(state, 0, out[0])
    fill(state, len(state) // 2, out[1])
    out[2] = 1.0 - _made(state) % 2


@compiled
def key(state: State) -> np.uint64:
    return mix_words(state, len(state))


@compiled
def moves(state: State) -> int:
    return _made(state)


def game(size: int = 11) -> Game:
    """Hex on 2x2 to 19x19. Planes: own stones, the opponent's, ones for the first player."""
    within("hex", "size", size, 2, 19)
    words = -(-size * size // 64)

    @compiled
    def legal(state: State, mask: Mask) -> int:
        return _legal(state, mask, size)

    @compiled
    def result(state: State) -> int:
        """Only who moved last can have joined their sides."""
        return LOST if _joined(state, words, size, _made(state) % 2 == 1) else GOES_ON

    cells = permutations(size, size, [half_turn])
    return Game(
        name="hex",
        rules=f"hex {size}x{size}, first player joins top and bottom, no swap",
        height=size,
        width=size,
        actions=size * size,
        words=2 * words,
        longest=size * size,
        planes=3,
        symmetries=cells,
        cells=cells,
        cell_of=np.arange(size * size, dtype=np.int32),
        start=start,
        legal=legal,
        play=play,
        result=result,
        plane=plane,
        key=key,
        moves=moves,
        score=no_score,
    )
