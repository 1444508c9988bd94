"""Players of fixed strength: random moves, tree search with random rollouts, the perfect player.

A player is a function of a state row that returns a legal action. These draw their chance from the
position and a seed alone: the same position gets the same move, whatever was played before.
"""

from collections.abc import Callable

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import GOES_ON, Game, Mask, State
from stillroom.worlds.selfplay.games.bits import compiled, mix, signed
from stillroom.worlds.selfplay.solver import BUDGET, Solver

EXPLORATION = 1.4  # for rewards from -1 to 1

Player = Callable[[State], int]

# The game's functions as pointers of one type each: the search is compiled once for all games and
# found again on disk. As ordinary arguments each game's would be a type of its own.
_ROW, _MASK = types.Array(types.uint64, 1, "C"), types.Array(types.uint8, 1, "C")
_LEGAL = types.FunctionType(types.int64(_ROW, _MASK))
_PLAY = types.FunctionType(types.void(_ROW, types.int64))
_RESULT = types.FunctionType(types.int64(_ROW))
_VISITS = types.Array(types.int64, 1, "C")


@compiled
def _draw(chance: NDArray[np.uint64], below: int) -> int:
    """A whole number from 0 up, less than `below`: the next of a counter's hashes."""
    chance[0] += np.uint64(1)
    return signed((mix(chance[0]) >> np.uint64(32)) * np.uint64(below) >> np.uint64(32))


@compiled
def _pick(mask: Mask, number: int) -> int:
    """The action of the mask's n-th one."""
    for action in range(len(mask)):
        if mask[action]:
            if number == 0:
                return action
            number -= 1
    return -1


@numba.njit(types.int64(_ROW, _MASK, _LEGAL, _PLAY, _RESULT, _ROW), cache=True)
def _rollout(state, mask, legal, play, result, chance):  # type: ignore[no-untyped-def]
    """The result of random play from a state, from its mover's view; the state is played on."""
    sign = 1
    while True:
        ended = result(state)
        if ended != GOES_ON:
            return sign * ended
        play(state, _pick(mask, _draw(chance, legal(state, mask))))
        sign = -sign


@numba.njit(
    types.float64(_ROW, _LEGAL, _PLAY, _RESULT, types.int64, types.uint64, _VISITS), cache=True
)
def _search(root, legal, play, result, simulations, seed, visits):  # type: ignore[no-untyped-def]
    """UCT from `root`: fills the visits of its moves, returns its mean value for the mover."""
    actions, size = len(visits), simulations + 1
    states = np.empty((size, len(root)), np.uint64)
    untried = np.zeros((size, actions), np.uint8)
    left = np.zeros(size, np.int64)
    ended = np.full(size, GOES_ON, np.int64)
    parent = np.full(size, -1, np.int64)
    child = np.full((size, actions), -1, np.int64)
    count = np.zeros(size, np.int64)
    total = np.zeros(size, np.float64)  # of values for the mover
    scratch, mask = np.empty(len(root), np.uint64), np.empty(actions, np.uint8)
    chance = np.full(1, seed, np.uint64)
    states[0] = root
    left[0] = legal(states[0], untried[0])
    nodes = 1
    for _ in range(simulations):
        at = 0
        while ended[at] == GOES_ON and left[at] == 0:
            best, high = -1, -np.inf
            for action in range(actions):
                below = child[at, action]
                if below >= 0:
                    bonus = np.sqrt(np.log(count[at]) / count[below])
                    score = EXPLORATION * bonus - total[below] / count[below]
                    if score > high:
                        best, high = below, score
            at = best
        if ended[at] == GOES_ON:
            action = _pick(untried[at], _draw(chance, left[at]))
            untried[at, action] = 0
            left[at] -= 1
            states[nodes] = states[at]
            play(states[nodes], action)
            child[at, action], parent[nodes] = nodes, at
            at = nodes
            nodes += 1
            ended[at] = result(states[at])
            if ended[at] == GOES_ON:
                left[at] = legal(states[at], untried[at])
        if ended[at] == GOES_ON:
            scratch[:] = states[at]
            value = _rollout(scratch, mask, legal, play, result, chance)
        else:
            value = ended[at]
        while at >= 0:
            count[at] += 1
            total[at] += value
            value, at = -value, parent[at]
    for action in range(actions):
        visits[action] = count[child[0, action]] if child[0, action] >= 0 else 0
    return total[0] / count[0]


def random_player(game: Game, seed: int = 0) -> Player:
    """Plays any legal move, all alike."""
    mask = np.zeros(game.actions, np.uint8)

    def play(state: State) -> int:
        legal = game.legal(state, mask)
        chance = np.array([_seeded(game, state, seed)], np.uint64)
        return int(_pick(mask, _draw(chance, legal)))

    return play


def rollout_player(game: Game, simulations: int, seed: int = 0) -> Player:
    """Tree search with random rollouts (UCT, Kocsis and Szepesvári 2006); plays the most visited.

    UserError for a game that isn't compiled, and for fewer than one simulation.
    """
    if simulations < 1:
        raise UserError(f"a search can't have {simulations} simulations", do="1 or more")
    if not game.compiled:
        what = f"{game.name} isn't compiled, and rollouts in plain Python would take too long"
        raise UserError(what, do="take one of Stillroom's games or one of your own")

    def play(state: State) -> int:
        return int(rollout_visits(game, state, simulations, seed).argmax())

    return play


def rollout_visits(game: Game, state: State, simulations: int, seed: int = 0) -> NDArray[np.int64]:
    """How often each move was tried by a tree search with random rollouts: int64 [actions]."""
    visits = np.zeros(game.actions, np.int64)
    functions = (game.legal, game.play, game.result)
    _search(state.copy(), *functions, simulations, _seeded(game, state, seed), visits)
    return visits


def perfect_player(solver: Solver, seed: int = 0, budget: int = BUDGET) -> Player:
    """Keeps the result, wins as soon and loses as late as it can; among equals any.

    It raises UserError where the budget doesn't settle a position (`Solver.best`).
    """

    def play(state: State) -> int:
        best = solver.best(state, budget)
        chance = np.array([_seeded(solver.game, state, seed)], np.uint64)
        return best[_draw(chance, len(best))]

    return play


def _seeded(game: Game, state: State, seed: int) -> np.uint64:
    return np.uint64(mix(np.uint64(game.key(state)) ^ mix(np.uint64(seed))))
