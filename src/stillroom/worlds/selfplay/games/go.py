"""Go by area, with positional superko: no move may bring back a whole-board position.

A state's words: the mover's stones, the opponent's, then from META on moves and passes, the hash of
the position, the sum of all hashes so far, and a hash table of all positions so far. Colours are
told from the count of moves, for a pass is a move too.
"""

import math

import numpy as np
from numpy.typing import NDArray

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import (
    DRAWN,
    GOES_ON,
    LOST,
    WON,
    Floats,
    Game,
    Ints,
    Mask,
    State,
)
from stillroom.worlds.selfplay.games.bits import (
    ONE,
    ZERO,
    bit,
    compiled,
    dihedral,
    fill,
    get,
    lowest,
    mix,
    permutations,
    signed,
    with_pass,
    within,
)

EMPTY, OWN, OTHER, WALL, REGION = 0, 1, 2, 3, 4  # REGION + whose stones an empty region touches
NONE, MANY = -1, -2  # a chain's liberty, where it isn't the one cell
META, HASH, SUM, TABLE = 0, 1, 2, 3  # words, counted from the end of the two boards
PASS = np.uint64(1 << 32)  # in META: above the moves, how many passes were just made
LOW = np.uint64((1 << 32) - 1)
ZOBRIST = np.random.default_rng(9301).integers(0, 2**64, (2, 19 * 19), np.uint64)
EMPTY_BOARD = np.uint64(0x9E3779B97F4A7C15)


def table_words(longest: int) -> int:
    """Slots for the hashes of a whole game, a power of two: a quarter more than can be taken."""
    return 1 << (longest + longest // 4).bit_length()


@compiled
def _meta(state: State, size: int) -> int:
    return 2 * ((size * size + 63) >> 6)


@compiled
def _seen(state: State, first: int, position: np.uint64) -> int:
    """The slot of a position in the table, or the free slot for it."""
    slots = len(state) - first
    slot = signed(position & np.uint64(slots - 1))
    while state[first + slot] != ZERO and state[first + slot] != position:
        slot = (slot + 1) & (slots - 1)
    return first + slot


@compiled
def _spread(state: State, size: int, board: Ints) -> None:
    """One number a cell, with walls: a column beside the last one, a row above and one below."""
    board[:] = WALL
    words, width = (size * size + 63) >> 6, size + 1
    cell = 0
    for row in range(size):
        at = (row + 1) * width
        for column in range(size):
            word, shift = cell >> 6, np.uint64(cell & 63)
            own = (state[word] >> shift) & ONE
            other = (state[words + word] >> shift) & ONE
            board[at + column] = signed(own + other + other)
            cell += 1


@compiled
def _chains(board: Ints, size: int, hashes: NDArray[np.uint64], mover: int, work: Ints) -> None:
    """Number the chains of stones in work[0]; their one liberty into work[1], hashes too."""
    chain, liberty, stack = work[0], work[1], work[2]
    width = size + 1
    chain[:] = NONE
    found = 0
    for row in range(size):
        for column in range(size):
            begin = (row + 1) * width + column
            colour = board[begin]
            if colour == EMPTY or chain[begin] != NONE:
                continue
            one, total, depth = NONE, ZERO, 1
            stack[0] = begin
            chain[begin] = found
            owner = mover if colour == OWN else 1 - mover
            while depth:
                depth -= 1
                at = stack[depth]
                total ^= ZOBRIST[owner, at - width - (at // width - 1)]
                for step in (-width, -1, 1, width):
                    near = at + step
                    if board[near] == EMPTY:
                        if one == NONE:
                            one = near
                        elif one != near:
                            one = MANY
                    elif board[near] == colour and chain[near] == NONE:
                        chain[near] = found
                        stack[depth] = near
                        depth += 1
            liberty[found] = one
            hashes[found] = total
            found += 1


@compiled
def _legal(state: State, mask: Mask, size: int) -> int:
    meta, width = _meta(state, size), size + 1
    mover = signed(state[meta + META] & ONE)
    work = np.empty((4, (size + 2) * width), np.int32)
    hashes = np.empty(size * size, np.uint64)
    board, chain, liberty = work[3], work[0], work[1]
    _spread(state, size, board)
    _chains(board, size, hashes, mover, work)
    total = 1
    mask[size * size] = 1
    for row in range(size):
        for column in range(size):
            at, cell = (row + 1) * width + column, row * size + column
            mask[cell] = 0
            if board[at] != EMPTY:
                continue
            breathes = False
            position = state[meta + HASH] ^ ZOBRIST[mover, cell]
            first, second, third = NONE, NONE, NONE
            for step in (-width, -1, 1, width):
                near = at + step
                if board[near] == EMPTY:
                    breathes = True
                elif board[near] == OWN:
                    breathes |= liberty[chain[near]] == MANY
                elif board[near] == OTHER and liberty[chain[near]] != MANY:
                    breathes = True
                    taken = chain[near]
                    if taken != first and taken != second and taken != third:
                        position ^= hashes[taken]
                        first, second, third = taken, first, second
            if breathes and state[_seen(state, meta + TABLE, position)] == ZERO:
                mask[cell] = 1
                total += 1
    return total


@compiled
def _near(cell: int, side: int, size: int) -> int:
    """The cell above, left, right or below (sides 0 to 3); NONE beyond the board."""
    if side == 0:
        return cell - size if cell >= size else NONE
    if side == 1:
        return cell - 1 if cell % size else NONE
    if side == 2:
        return cell + 1 if (cell + 1) % size else NONE
    return cell + size if cell + size < size * size else NONE


@compiled
def _take(state: State, begin: int, size: int, dead: State, stack: Ints) -> bool:
    """Whether the other's chain at a cell has no liberty; its stones are then in `dead`."""
    words, depth = len(dead), 1
    dead[:] = ZERO
    stack[0] = begin
    dead[begin >> 6] |= bit(begin & 63)
    while depth:
        depth -= 1
        at = stack[depth]
        for side in range(4):
            near = _near(at, side, size)
            if near == NONE or get(state, 0, near) or get(dead, 0, near):
                continue
            if not get(state, words, near):
                return False
            dead[near >> 6] |= bit(near & 63)
            stack[depth] = near
            depth += 1
    return True


@compiled
def _play(state: State, action: int, size: int) -> None:
    meta = _meta(state, size)
    words, mover = meta // 2, signed(state[meta + META] & ONE)
    if action == size * size:
        state[meta + META] += PASS
    else:
        state[meta + META] &= LOW
        state[action >> 6] |= bit(action & 63)
        position = state[meta + HASH] ^ ZOBRIST[mover, action]
        dead, stack = np.empty(words, np.uint64), np.empty(size * size, np.int32)
        for side in range(4):
            near = _near(action, side, size)
            if near == NONE or not get(state, words, near):
                continue
            if _take(state, near, size, dead, stack):
                for word in range(words):
                    state[words + word] &= ~dead[word]
                    left = dead[word]
                    while left != ZERO:
                        position ^= ZOBRIST[1 - mover, 64 * word + lowest(left)]
                        left &= left - ONE
        state[meta + HASH] = position
        state[meta + SUM] += mix(position)
        state[_seen(state, meta + TABLE, position)] = position
    state[meta + META] += ONE
    for word in range(words):
        state[word], state[words + word] = state[words + word], state[word]


@compiled
def _start(state: State, size: int) -> None:
    meta = _meta(state, size)
    state[:] = ZERO
    state[meta + HASH] = EMPTY_BOARD
    state[_seen(state, meta + TABLE, EMPTY_BOARD)] = EMPTY_BOARD


@compiled
def _score(state: State, out: Floats, size: int, komi: float) -> float:
    meta, width = _meta(state, size), size + 1
    work = np.empty((2, (size + 2) * width), np.int32)
    board, stack = work[0], work[1]
    _spread(state, size, board)
    for row in range(size):
        for column in range(size):
            begin = (row + 1) * width + column
            if board[begin] != EMPTY:
                continue
            done, count, edges = 0, 1, 0
            stack[0] = begin
            board[begin] = REGION
            while done < count:
                at = stack[done]
                done += 1
                for step in (-width, -1, 1, width):
                    near = at + step
                    if board[near] == EMPTY:
                        board[near] = REGION
                        stack[count] = near
                        count += 1
                    elif board[near] == OWN or board[near] == OTHER:
                        edges |= board[near]
            for number in range(count):
                board[stack[number]] = REGION + edges
    ahead = komi if state[meta + META] & ONE != ZERO else -komi
    for row in range(size):
        for column in range(size):
            value = board[(row + 1) * width + column] & WALL
            owner = 1.0 if value == OWN else -1.0 if value == OTHER else 0.0
            out[row * size + column] = owner
            ahead += owner
    return ahead


@compiled
def _result(state: State, size: int, komi: float, longest: int) -> int:
    meta = state[_meta(state, size) + META]
    if meta < PASS + PASS and signed(meta & LOW) < longest:
        return GOES_ON
    ahead = _score(state, np.empty(size * size, np.float32), size, komi)
    return WON if ahead > 0 else LOST if ahead < 0 else DRAWN


@compiled
def _plane(state: State, out: Floats, size: int, longest: int) -> None:
    meta = _meta(state, size)
    fill(state, 0, out[0])
    fill(state, meta // 2, out[1])
    mask = np.empty(size * size + 1, np.uint8)
    _legal(state, mask, size)
    for row in range(size):
        for column in range(size):
            taken = out[0, row, column] + out[1, row, column]
            out[2, row, column] = 1.0 - taken - mask[row * size + column]
    out[3] = 1.0 - signed(state[meta + META] & ONE)
    out[4] = 1.0 if state[meta + META] >= PASS else 0.0
    out[5] = signed(state[meta + META] & LOW) / longest


@compiled
def _key(state: State, size: int) -> np.uint64:
    meta = _meta(state, size)
    return mix(mix(state[meta + HASH] ^ mix(state[meta + SUM])) ^ state[meta + META])


@compiled
def _moves(state: State, size: int) -> int:
    return signed(state[_meta(state, size) + META] & LOW)


def game(size: int = 9, komi: float = 7.5) -> Game:
    """Go on 2x2 to 19x19, without suicide, ended by two passes or after 2 size² moves.

    Planes: own stones, the opponent's, empty cells that are forbidden, ones for Black to move, ones
    after a pass, the share of the most moves that has been made.
    """
    within("go", "size", size, 2, 19)
    if type(komi) not in (int, float) or not math.isfinite(komi) or abs(komi) > size * size:
        most = size * size
        raise UserError(f"go can't have komi {komi!r}", do=f"komi is a number, {-most} to {most}")
    komi, longest, words = float(komi), 2 * size * size, -(-size * size // 64)

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
        return _result(state, size, komi, longest)

    @compiled
    def plane(state: State, out: Floats) -> None:
        _plane(state, out, size, longest)

    @compiled
    def key(state: State) -> np.uint64:
        return _key(state, size)

    @compiled
    def moves(state: State) -> int:
        return _moves(state, size)

    @compiled
    def score(state: State, out: Floats) -> float:
        return _score(state, out, size, komi)

    cells = permutations(size, size, dihedral())
    return Game(
        name="go",
        rules=f"go {size}x{size}, area scoring, komi {komi:g}, positional superko, no suicide, "
        f"ends after 2 passes or {longest} moves",
        height=size,
        width=size,
        actions=size * size + 1,
        words=2 * words + TABLE + table_words(longest),
        longest=longest,
        planes=6,
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
