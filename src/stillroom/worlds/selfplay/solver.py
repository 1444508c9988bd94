"""Exact values of Connect Four positions: alpha-beta on bitboards with a table of transpositions.

A score counts the stones that the winner has left, the last one played included: 1 or more is a
win, 0 a draw, less a loss, and a sooner win scores higher. The search only ever asks whether a
score reaches a goal (a null window); for win, draw and loss the goals are 1 and 0.

Inside, a column has height + 1 bits, from the bottom up, and the topmost stays empty: no line of
four can then run over an edge.
"""

import numpy as np
from numpy.typing import NDArray

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import Game, State
from stillroom.worlds.selfplay.games.bits import ONE, ZERO, bit, compiled, count, signed

BUDGET = 20_000_000  # nodes a position: some four CPU-seconds
UNKNOWN, ILLEGAL = 100, -100  # in a value's place: the budget ran out; there is no such move

MOST = 64  # bits of a board
FAR = 32  # beyond any score
FLOOR, CELLS, COLUMNS = 0, 1, 2  # in `shape`: the lowest cells, all cells, a mask for each column
NODES, LIMIT, STAMP = 0, 1, 2  # in `work`
TABLE_BITS = 22  # 32 MiB. An entry: 42 bits of its position, 10 of the stamp, 6 for each bound
REST, BOUNDS, BOUND = np.uint64(64 - TABLE_BITS), np.uint64((1 << 12) - 1), np.uint64(63)
STAMPS = 1023
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses nothing

Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Values = NDArray[np.int8]


@compiled
def _spots(stones: np.uint64, tall: int) -> np.uint64:
    """The bits in which one more stone makes four; taken cells and bits off the board included."""
    found = (stones << ONE) & (stones << np.uint64(2)) & (stones << np.uint64(3))
    for step in (tall - 1, tall, tall + 1):
        near, far, last = np.uint64(step), np.uint64(2 * step), np.uint64(3 * step)
        below = (stones << near) & (stones << far)
        above = (stones >> near) & (stones >> far)
        found |= below & ((stones << last) | (stones >> near))
        found |= above & ((stones >> last) | (stones << near))
    return found


@compiled
def _has_line(stones: np.uint64, tall: int) -> bool:
    for step in (1, tall - 1, tall, tall + 1):
        two = stones & (stones >> np.uint64(step))
        if two & (two >> np.uint64(2 * step)):
            return True
    return False


@compiled
def _place(own: np.uint64, taken: np.uint64, floor: np.uint64) -> np.uint64:
    """A number of its own for each position: its slot in the upper bits, the rest below."""
    return (own + taken + floor) * SPREAD


@compiled
def _bounds(place: np.uint64, table: Words, work: Numbers) -> tuple[int, int]:
    """What the table knows of a position: least and highest score."""
    entry = table[signed(place >> REST)]
    if entry & ~BOUNDS != (place << np.uint64(TABLE_BITS)) | np.uint64(work[STAMP] << 12):
        return -FAR, FAR - 1
    return signed((entry >> np.uint64(6)) & BOUND) - FAR, signed(entry & BOUND) - FAR


@compiled
def _safe(own: np.uint64, taken: np.uint64, tall: int, shape: Words) -> np.uint64:
    """The moves after which the other has no win at once."""
    free = shape[CELLS] & ~taken
    danger = _spots(own ^ taken, tall) & free
    moves = (taken + shape[FLOOR]) & free
    forced = moves & danger
    if forced != ZERO:
        moves = forced if forced & (forced - ONE) == ZERO else ZERO
    safe: np.uint64 = moves & ~(danger >> ONE)
    return safe


@compiled
def _sort(
    own: np.uint64, moves: np.uint64, free: np.uint64, tall: int, shape: Words, order: Words
) -> int:
    """Moves into order[0]: those that leave most threats first, else from the middle outwards."""
    found = 0
    for column in shape[COLUMNS:]:
        move = moves & column
        if move == ZERO:
            continue
        threats = np.uint64(count(_spots(own | move, tall) & free & ~move))
        at = found
        while at > 0 and order[1, at - 1] < threats:
            order[0, at], order[1, at] = order[0, at - 1], order[1, at - 1]
            at -= 1
        order[0, at], order[1, at] = move, threats
        found += 1
    return found


@compiled
def _reaches(
    own: np.uint64,
    taken: np.uint64,
    left: int,
    goal: int,
    tall: int,
    shape: Words,
    table: Words,
    orders: Words,
    work: Numbers,
) -> int:
    """Whether the mover, who can't win at once, scores `goal` or more: 1, 0 or UNKNOWN."""
    work[NODES] += 1
    if work[NODES] > work[LIMIT]:
        return UNKNOWN
    other, free = own ^ taken, shape[CELLS] & ~taken
    moves = _safe(own, taken, tall, shape)
    if moves == ZERO:  # whatever is played, the other wins at once
        return 1 if goal <= -(left // 2) else 0
    if left <= 2:
        return 1 if goal <= 0 else 0
    if goal <= -((left - 2) // 2):
        return 1
    if goal > (left - 1) // 2:
        return 0
    if goal > 0 and not _has_line(own | free, tall):
        return 0
    if goal <= 0 and not _has_line(other | free, tall):
        return 1
    place = _place(own, taken, shape[FLOOR])
    low, high = _bounds(place, table, work)
    if low >= goal:
        return 1
    if high < goal:
        return 0
    order = orders[left]
    found = _sort(own, moves, free, tall, shape, order)
    for number in range(found):  # a move that the table knows to do saves the search
        then = _place(other, taken | order[0, number], shape[FLOOR])
        if _bounds(then, table, work)[1] < 1 - goal:
            return 1
    answer = 0
    for number in range(found):
        then = taken | order[0, number]
        theirs = _reaches(other, then, left - 1, 1 - goal, tall, shape, table, orders, work)
        if theirs == UNKNOWN:
            return UNKNOWN
        if theirs == 0:
            answer = 1
            break
    if answer == 1:
        low = goal
    else:
        high = goal - 1
    mark = (place << np.uint64(TABLE_BITS)) | np.uint64(work[STAMP] << 12)
    table[signed(place >> REST)] = mark | np.uint64(((low + FAR) << 6) | (high + FAR))
    return answer


@compiled
def _score(
    own: np.uint64,
    taken: np.uint64,
    worst: int,
    best: int,
    tall: int,
    shape: Words,
    table: Words,
    orders: Words,
    work: Numbers,
) -> int:
    """The score of a game that goes on, as far as it lies from `worst` to `best`; or UNKNOWN."""
    free = shape[CELLS] & ~taken
    left = count(free)
    low, high = max(worst, -(left // 2)), min(best, (left - 1) // 2)
    if _spots(own, tall) & free & (taken + shape[FLOOR]) != ZERO:
        return max(worst, min(best, (left + 1) // 2))
    while low < high:
        # Win, draw or loss first: what is learnt of that helps with the rest.
        goal = 1 if low < 1 <= high else 0 if low < 0 <= high else (low + high + 1) // 2
        answer = _reaches(own, taken, left, goal, tall, shape, table, orders, work)
        if answer == UNKNOWN:
            return UNKNOWN
        if answer == 1:
            low = goal
        else:
            high = goal - 1
    return max(worst, min(best, low))


@compiled
def _column_bits(rows: np.uint64, height: int, width: int) -> np.uint64:
    """A board of `Game`'s bits, row by row from the top, as columns from the bottom."""
    bits = ZERO
    for cell in range(height * width):
        if (rows >> np.uint64(cell)) & ONE:
            bits |= bit((cell % width) * (height + 1) + height - 1 - cell // width)
    return bits


@compiled
def _fault(own: np.uint64, other: np.uint64, tall: int, shape: Words) -> int:
    """Why no game can lead to a position, as a number of FAULTS; 0 if it may."""
    taken = own | other
    if own & other != ZERO:
        return 1
    if (taken + shape[FLOOR]) & taken != ZERO:
        return 2
    if count(own) != count(other) and count(own) + 1 != count(other):
        return 3
    return 4 if _has_line(own, tall) else 0


FAULTS = (
    "",
    "two stones share a cell",
    "a stone hangs in the air",
    "the players' stones differ by more than one, or the wrong one is to move",
    "the player to move has four in a line already",
    "a stone lies off the board",
)


@compiled
def _solve(
    states: Words,
    out: Values,
    each: bool,
    worst: int,
    best: int,
    budget: int,
    height: int,
    width: int,
    shape: Words,
    table: Words,
    orders: Words,
    work: Numbers,
) -> tuple[int, int, int]:
    """Fill `out` [N, 1], or [N, width] for `each` move; nodes; an illegal state and its fault."""
    tall, nodes = height + 1, 0
    for row in range(len(states)):
        own = _column_bits(states[row, 0], height, width)
        other = _column_bits(states[row, 1], height, width)
        fault = _fault(own, other, tall, shape)
        if fault == 0 and (states[row, 0] | states[row, 1]) >> np.uint64(height * width) != ZERO:
            fault = 5
        if fault:
            return nodes, row, fault
        taken = own | other
        over = _has_line(other, tall)
        # A new stamp forgets what the table holds: a budget must not buy more in one order of
        # positions than in another.
        if work[NODES] or work[STAMP] == 0:
            work[STAMP] = work[STAMP] % STAMPS + 1
            if work[STAMP] == 1:
                table[:] = ZERO
        work[NODES], work[LIMIT] = 0, budget
        if not each:
            if over or taken == shape[CELLS]:
                out[row, 0] = max(worst, -((height * width - count(taken) + 2) // 2)) if over else 0
            else:
                out[row, 0] = _score(own, taken, worst, best, tall, shape, table, orders, work)
        for column in range(width if each else 0):
            cell = (taken + bit(column * tall)) & (bit(height) - ONE) << np.uint64(column * tall)
            if over or cell == ZERO:
                out[row, column] = ILLEGAL
            elif _has_line(own | cell, tall):
                out[row, column] = min(best, (height * width - count(taken) + 1) // 2)
            elif taken | cell == shape[CELLS]:
                out[row, column] = 0
            else:
                theirs = _score(
                    other, taken | cell, -best, -worst, tall, shape, table, orders, work
                )
                out[row, column] = UNKNOWN if theirs == UNKNOWN else -theirs
        nodes += work[NODES]
    return nodes, -1, 0


class Solver:
    """Values of Connect Four positions: a table of 32 MiB, and how many nodes were searched.

    Answers don't depend on what was asked before. `budget` is a number of nodes for each position;
    beyond it a value is UNKNOWN. UserError for another game, for a board whose columns don't fit
    into 64 bits with a bit to spare each, and for a position that no game leads to.
    """

    def __init__(self, game: Game) -> None:
        height, width = game.height, game.width
        if game.name != "connect4":
            raise UserError(f"the solver knows connect4, not {game.name}")
        if (height + 1) * width > MOST:
            raise UserError(f"the solver can't hold {height}x{width}", do="8x7 or 7x8 at most")
        tall, self.game, self.nodes = height + 1, game, 0
        outwards = sorted(range(width), key=lambda column: abs(2 * column - width + 1))
        masks = [((1 << height) - 1) << (column * tall) for column in outwards]
        floor = sum(1 << (column * tall) for column in range(width))
        self._shape = np.array([floor, sum(masks), *masks], np.uint64)
        self._table = np.zeros(1 << TABLE_BITS, np.uint64)
        self._orders = np.zeros((MOST + 1, 2, width), np.uint64)
        self._work = np.zeros(3, np.int64)

    def values(self, states: Words, budget: int = BUDGET) -> Values:
        """1 won, 0 drawn, -1 lost or UNKNOWN for the player to move: uint64 [N, 2] to int8 [N]."""
        return self._solved(states, False, -1, 1, budget)[:, 0]

    def moves(self, states: Words, budget: int = BUDGET) -> Values:
        """What each move leads to for who makes it, UNKNOWN or ILLEGAL: int8 [N, actions].

        Every move is ILLEGAL in a position that has ended.
        """
        return self._solved(states, True, -1, 1, budget)

    def scores(self, states: Words, budget: int = BUDGET) -> Values:
        """As `moves`, with how soon: see the module. Several times dearer."""
        return self._solved(states, True, -FAR, FAR, budget)

    def best(self, state: State, budget: int = BUDGET) -> list[int]:
        """The moves that keep the result, and win soonest or lose latest where the budget allows.

        UserError where it doesn't even tell the result, and for a position that has ended.
        """
        values = self.moves(state[None], budget)[0]
        if (values == ILLEGAL).all():
            raise UserError("the game has ended: there is no move to look for")
        if (values == 1).any() or not (values == UNKNOWN).any():
            top = int(values[values != UNKNOWN].max())
        else:
            stones = self.game.moves(state)
            what = f"the solver couldn't settle a position of {stones} stones in {budget:,} nodes"
            raise UserError(what, do="begin later in the game, or allow more nodes")
        good = values == top
        if top:
            scores = self.scores(state[None], budget)[0]
            if not (scores[good] == UNKNOWN).any():
                good = scores == scores[good].max()
        return np.flatnonzero(good).tolist()

    def _solved(self, states: Words, each: bool, worst: int, best: int, budget: int) -> Values:
        height, width = self.game.height, self.game.width
        states = np.ascontiguousarray(states, np.uint64)
        out = np.empty((len(states), width if each else 1), np.int8)
        tools = (self._shape, self._table, self._orders, self._work)
        nodes, row, fault = _solve(states, out, each, worst, best, budget, height, width, *tools)
        self.nodes += nodes
        if fault:
            raise UserError(f"position {row} is illegal: {FAULTS[fault]}")
        return out
