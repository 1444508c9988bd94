"""Two nets against each other, without any search: each plays its policy's best move.

Games come in pairs from the same opening, each net beginning once. A raw policy can't hide behind
a search that sees the end by itself, and a game costs one evaluation a move.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stillroom.worlds.selfplay.game import GOES_ON, Game, Ints, State, new_state
from stillroom.worlds.selfplay.net import Evaluate
from stillroom.worlds.selfplay.play import PAD
from stillroom.worlds.selfplay.rules import describe, play_all


@dataclass(frozen=True)
class Match:
    """What the first net got out of `games` games: 1 a win, 1/2 a draw."""

    games: int
    wins: int
    draws: int

    @property
    def score(self) -> float:
        return (self.wins + self.draws / 2) / self.games


def openings(game: Game, count: int, plies: int, rng: np.random.Generator) -> State:
    """Positions [count, words] after 0 to `plies` random moves in which the game goes on."""
    found: list[State] = []
    mask = np.zeros(game.actions, np.uint8)
    while len(found) < count:
        state = new_state(game)
        for _ in range(int(rng.integers(plies + 1))):
            if game.result(state) != GOES_ON:
                break
            game.legal(state, mask)
            game.play(state, int(rng.choice(np.flatnonzero(mask))))
        if game.result(state) == GOES_ON:
            found.append(state)
    return np.array(found)


def best_moves(game: Game, evaluate: Evaluate, states: State) -> Ints:
    """The legal move that the policy likes best, in each state [n, words]."""
    planes, masks = describe(game, states)
    logits = logits_of(evaluate, planes)
    best: Ints = np.where(masks == 1, logits, -np.inf).argmax(axis=1).astype(np.int32)
    return best


def logits_of(evaluate: Evaluate, planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The policy's logits [n, A], 64 positions a batch as in self-play."""
    rows = []
    for first in range(0, len(planes), 2 * PAD):
        part = planes[first : first + 2 * PAD]
        padded = np.zeros((-(-len(part) // PAD) * PAD, *planes.shape[1:]), np.float32)
        padded[: len(part)] = part
        rows.append(evaluate(padded)[0][: len(part)])
    return np.concatenate(rows)


def play_match(game: Game, one: Evaluate, other: Evaluate, begin: State) -> Match:
    """Each opening [n, words] played twice: once with each net to move first."""
    states = np.concatenate([begin, begin])
    # Whether `one` is to move, and whose view a result is from.
    ours = np.arange(len(states)) < len(begin)
    going = np.ones(len(states), bool)
    wins = draws = 0
    while going.any():
        moves = np.zeros(len(states), np.int32)
        for evaluate, turn in ((one, going & ours), (other, going & ~ours)):
            if turn.any():
                moves[turn] = best_moves(game, evaluate, states[turn])
        left = states[going]
        results = np.full(len(states), GOES_ON)
        results[going] = play_all(game, left, moves[going])
        states[going] = left
        ours ^= going
        over = going & (results != GOES_ON)
        draws += int((results[over] == 0).sum())
        wins += int((results[over] == np.where(ours[over], 1, -1)).sum())
        going &= ~over
    return Match(len(states), wins, draws)
