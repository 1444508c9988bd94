"""Othello: enclosed discs turn over; whoever has no move passes; the most discs win."""

import numpy as np

from stillroom.worlds.selfplay.game import DRAWN, GOES_ON, LOST, WON, Floats, Game, Mask, State
from stillroom.worlds.selfplay.games.bits import (
    ONE,
    ZERO,
    bit,
    compiled,
    count,
    dihedral,
    fill,
    get,
    lowest,
    mix_words,
    permutations,
    signed,
    with_pass,
    within,
)

PLIES = 2  # the word of the state that counts moves, passes included
UPRIGHT = 2  # the pair of directions, up and down, that can't wrap


@compiled
def _shift(stones: np.uint64, direction: int, size: int) -> np.uint64:
    """All stones a step further in one of eight directions; wrapping is the caller's care."""
    step = np.uint64(1 if direction < 2 else size + direction // 2 - 2)
    return stones << step if direction % 2 else stones >> step


@compiled
def _inner(size: int) -> np.uint64:
    """All cells but those of the first and last column: from there no step wraps."""
    row, board = ((ONE << np.uint64(size - 2)) - ONE) << ONE, ZERO
    for number in range(size):
        board |= row << np.uint64(number * size)
    return board


@compiled
def _full(size: int) -> np.uint64:
    return ~ZERO >> np.uint64(64 - size * size)


@compiled
def _places(own: np.uint64, other: np.uint64, size: int) -> np.uint64:
    """The empty cells from which a line of the other's discs ends in an own one."""
    inner, found = _inner(size), ZERO
    for direction in range(8):
        between = other if direction // 2 == UPRIGHT else other & inner
        line = _shift(own, direction, size) & between
        for _ in range(size - 3):
            line |= _shift(line, direction, size) & between
        found |= _shift(line, direction, size)
    return found & ~(own | other) & _full(size)


@compiled
def _turned(own: np.uint64, other: np.uint64, cell: int, size: int) -> np.uint64:
    inner, found = _inner(size), ZERO
    for direction in range(8):
        between = other if direction // 2 == UPRIGHT else other & inner
        line, step = ZERO, _shift(bit(cell), direction, size)
        while step & between != ZERO:
            line |= step
            step = _shift(step, direction, size)
        if step & own != ZERO:
            found |= line
    return found


@compiled
def _legal(state: State, mask: Mask, size: int) -> int:
    mask[:] = 0
    places = _places(state[0], state[1], size)
    if places == ZERO:
        mask[size * size] = 1
        return 1
    total = count(places)
    while places != ZERO:
        mask[lowest(places)] = 1
        places &= places - ONE
    return total


@compiled
def _play(state: State, action: int, size: int) -> None:
    own, other = state[0], state[1]
    if action < size * size:
        turned = _turned(own, other, action, size)
        own, other = own | turned | bit(action), other & ~turned
    state[0], state[1] = other, own
    state[PLIES] += ONE


@compiled
def _result(state: State, size: int) -> int:
    own, other = state[0], state[1]
    if _places(own, other, size) != ZERO or _places(other, own, size) != ZERO:
        return GOES_ON
    ahead = count(own) - count(other)
    return WON if ahead > 0 else LOST if ahead < 0 else DRAWN


@compiled
def _start(state: State, size: int) -> None:
    corner = (size // 2 - 1) * size + size // 2 - 1
    state[0] = bit(corner + 1) | bit(corner + size)
    state[1] = bit(corner) | bit(corner + size + 1)
    state[PLIES] = ZERO


@compiled
def plane(state: State, out: Floats) -> None:
    fill(state, 0, out[0])
    fill(state, 1, out[1])


@compiled
def key(state: State) -> np.uint64:
    return mix_words(state, 2)


@compiled
def moves(state: State) -> int:
    return signed(state[PLIES])


@compiled
def score(state: State, out: Floats) -> float:
    """By how many discs the mover is ahead; whose disc lies on each cell."""
    for cell in range(len(out)):
        out[cell] = 1.0 if get(state, 0, cell) else -1.0 if get(state, 1, cell) else 0.0
    return float(count(state[0]) - count(state[1]))


def game(size: int = 8) -> Game:
    """Othello on 4x4, 6x6 or 8x8. Planes: own discs, the opponent's."""
    within("othello", "size", size, 4, 8, 2)

    @compiled
    def start(state: State) -> None:
        _start(state, size)

    @compiled
    def legal(state: State, mask: Mask) -> int:
        return _legal(state, mask, size)

    @compiled
    def play(state: State, action: int) -> None:
        _play(state, action, size)

    @compiled
    def result(state: State) -> int:
        return _result(state, size)

    cells = permutations(size, size, dihedral())
    return Game(
        name="othello",
        rules=f"othello {size}x{size}, pass only without a move, most discs win",
        height=size,
        width=size,
        actions=size * size + 1,
        words=3,
        longest=2 * (size * size - 4),  # never reached: nobody passes after a pass
        planes=2,
        symmetries=with_pass(cells),
        cells=cells,
        cell_of=np.array([*range(size * size), -1], np.int32),
        start=start,
        legal=legal,
        play=play,
        result=result,
        plane=plane,
        key=key,
        moves=moves,
        score=score,
    )
