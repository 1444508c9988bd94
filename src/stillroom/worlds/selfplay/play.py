"""Games played, and positions searched, by one net: batches between compiled slots and the net."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillroom.worlds.selfplay import slots as slots_
from stillroom.worlds.selfplay.advance import advance
from stillroom.worlds.selfplay.choosing import PUCT, Settings, halving
from stillroom.worlds.selfplay.game import Game, State
from stillroom.worlds.selfplay.net import Evaluate
from stillroom.worlds.selfplay.rules import addresses
from stillroom.worlds.selfplay.slots import FRESH, IDLE, OVER, READY, SLOT
from stillroom.worlds.selfplay.tree import new_tree

PAD = 32  # rows of a batch come in multiples: then a row's bits do not depend on the batch
CACHE_BYTES = 8 << 20


class Played(NamedTuple):
    """A game: the opening's random moves, then n searched positions and how it ended."""

    number: int  # of its key
    opening: NDArray[np.int32]
    policy: NDArray[np.float32]  # [n, A]
    visits: NDArray[np.int32]  # [n, A]
    searched: NDArray[np.void]  # slots.SEARCHED [n]
    end: State  # [words]: the last position
    result: int  # of the player to move there
    resigned: bool
    gave_up: int


class Searched(NamedTuple):
    """What a search says of n positions."""

    policy: NDArray[np.float32]  # [n, A]
    visits: NDArray[np.int32]  # [n, A]
    move: NDArray[np.int32]  # [n]
    value: NDArray[np.float32]  # [n]
    proof: NDArray[np.int8]  # [n]: 1, 0, -1, or 2 for unknown


class _Table:
    """The arrays of some slots, and the loop between them and the net."""

    def __init__(
        self, game: Game, evaluate: Evaluate, settings: Settings, slots: int, cache: bool
    ) -> None:
        one = settings.one_move
        size = -(-slots // PAD) * PAD
        nodes = max(settings.simulations, settings.fast) + 1
        self.slots = slots_.new_slots(game, size, 1 if one else game.longest)
        self.evaluate = evaluate
        self._exchange = slots_.new_exchange(game, size)
        entries = 1 << ((CACHE_BYTES // (4 * game.actions + 13)).bit_length() - 1) if cache else 0
        self._rest: tuple[Any, ...] = (
            slots_.new_cache(game, entries),
            self._exchange,
            settings,
            _tables(settings),
        )
        self._where, self._tree = addresses(game), new_tree(game, size, nodes)
        self._asking = 0

    def step(self) -> bool:
        """Go on with all slots, ask the net once; whether anything is going on."""
        asking, over = advance()(self._where, self._tree, self.slots, *self._rest, self._asking)
        if asking:
            rows = -(-asking // PAD) * PAD
            logits, values = self.evaluate(self._exchange.planes[:rows])
            self._exchange.logits[:asking] = logits[:asking]
            self._exchange.values[:asking] = values[:asking]
        self._asking = asking
        return bool(asking or over)

    def over(self) -> Iterator[int]:
        """The slots whose games are over; each is idle from then on, unless it begins anew."""
        for g in np.flatnonzero(self.slots.slot["phase"] == OVER):
            self.slots.slot["phase"][g] = IDLE
            yield int(g)


def _tables(settings: Settings) -> NDArray[np.int32]:
    """The order of visits in a full and in a fast search: [2, considered + 1, simulations]."""
    budgets = (settings.simulations, settings.fast)
    tables = np.zeros((2, settings.considered + 1, max(budgets)), np.int32)
    for table, simulations in zip(tables, budgets, strict=True):
        table[:, :simulations] = halving(settings.considered, simulations)
    return tables


def play_games(
    game: Game,
    evaluate: Evaluate,
    settings: Settings,
    keys: NDArray[np.uint64],
    slots: int = 64,
    cache: bool = True,
) -> list[Played]:
    """A game for each key (uint64, its random stream), in that order, `slots` at a time."""
    table = _Table(game, evaluate, settings, min(slots, len(keys)), cache)
    numbers = np.full(len(table.slots.slot), -1)
    waiting = iter(range(len(keys)))

    def begin(g: int) -> None:
        number = next(waiting, None)
        if number is not None:
            numbers[g] = number
            table.slots.slot[g] = _fresh(keys[number])

    for g in range(min(slots, len(keys))):
        begin(g)
    played: list[Played] = []
    while table.step():
        for g in table.over():
            played.append(_played(table.slots, g, int(numbers[g])))
            begin(g)
    return sorted(played, key=lambda one: one.number)


def _fresh(key: np.uint64, phase: int = FRESH) -> NDArray[np.void]:
    slot = np.zeros((), SLOT)
    slot["key"], slot["phase"], slot["gave_up"] = key, phase, -1
    return slot


def _played(slots: slots_.Slots, g: int, number: int) -> Played:
    slot = slots.slot[g]
    made, opening = int(slot["made"]), int(slot["opening"])
    return Played(
        number,
        slots.random[g, :opening].copy(),
        slots.policy[g, :made].copy(),
        slots.visits[g, :made].copy(),
        slots.searched[g, :made].copy(),
        slots.now[g].copy(),
        int(slot["result"]),
        bool(slot["resigned"]),
        int(slot["gave_up"]),
    )


def search_positions(
    game: Game,
    evaluate: Evaluate,
    states: State,
    settings: Settings,
    key: int = 0,
    slots: int = 64,
) -> Searched:
    """Search positions [n, words] in which the game goes on; `key` is for noise alone."""
    settings = settings._replace(one_move=True, full_share=1.0)
    table = _Table(game, evaluate, settings, min(slots, len(states)), cache=True)
    numbers = np.zeros(len(table.slots.slot), np.int64)
    count = len(states)
    found = Searched(
        np.zeros((count, game.actions), np.float32),
        np.zeros((count, game.actions), np.int32),
        np.zeros(count, np.int32),
        np.zeros(count, np.float32),
        np.zeros(count, np.int8),
    )
    waiting = iter(range(count))

    def begin(g: int) -> None:
        number = next(waiting, None)
        if number is not None:
            numbers[g] = number
            table.slots.now[g] = states[number]
            table.slots.slot[g] = _fresh(np.uint64(key + number), READY)

    for g in range(min(slots, count)):
        begin(g)
    while table.step():
        for g in table.over():
            n, one = numbers[g], table.slots.searched[g, 0]
            found.policy[n], found.visits[n] = table.slots.policy[g, 0], table.slots.visits[g, 0]
            found.move[n], found.value[n], found.proof[n] = one["move"], one["value"], one["proof"]
            begin(g)
    return found


def judging(simulations: int, kind: int = PUCT, proofs: bool = False) -> Settings:
    """Settings for a strength that can be compared: no noise, no openings, the best move."""
    return Settings(
        kind=kind, simulations=simulations, proofs=proofs, noise=False, temperature_plies=0
    )
