"""Strength by play: paired games from common openings, and Bradley-Terry ratings of them.

Each opening is played twice, with the colours swapped, so that its own balance cancels out. A
player who breaks off, or makes an illegal move, loses that one game, and the game says why.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stillroom.errors import UserError
from stillroom.measures import Z
from stillroom.worlds.selfplay.game import GOES_ON, Game, State, new_state
from stillroom.worlds.selfplay.positions import (
    Positions,
    Share,
    States,
    random_opening,
    share_of,
    shipped_openings,
)
from stillroom.worlds.selfplay.rungs import Player, perfect_player
from stillroom.worlds.selfplay.solver import BUDGET, Solver

ELO = 400 / log(10)  # Elo points of one unit of log strength
PRIOR = 0.5  # games won, and as many lost, that each pair that met is given beside its own
TOGETHER = 256  # games in lock-step


class Forfeit(UserError):
    """A player that can't go on, and why: it loses this game, not the match."""


@dataclass(frozen=True)
class Batch:
    """A player that is asked for many games at once: states uint64 [N, words] to N actions."""

    choose: Callable[[States], ArrayLike]


AnyPlayer = Player | Batch
# A player may also have a method `follow(moves)`, called before it is asked: all the game's moves
# so far. Programs that keep a board of their own need it. And a method `settled(moves)`, asked once
# a game is over: all moves, with those that take dead stones off the board; their end counts.


class Played(NamedTuple):
    """One game: who played, from which opening, all moves, the first player's result.

    Where a program has settled it, `moves` are those that it gave.
    """

    first: str
    second: str
    opening: int
    moves: tuple[int, ...]
    result: int  # 1 the first player won, -1 lost, 0 a draw
    forfeit: str = ""  # why the loser didn't finish, in words


class Rating(NamedTuple):
    """Elo against the anchor's 0 with its interval of 95 %, games and points (a draw is a half)."""

    elo: float
    low: float
    high: float
    games: int
    points: float


@dataclass
class _Game:
    first: str
    second: str
    opening: int
    state: State
    moves: list[int]
    result: int = GOES_ON
    forfeit: str = ""


def openings(
    game: Game,
    count: int,
    plies: int,
    seed: int = 0,
    solver: Solver | None = None,
    budget: int = BUDGET,
) -> list[tuple[int, ...]]:
    """Different openings of random moves; where there is a solver, those it calls a draw.

    Of Connect Four the shipped ones come first, which cost no search, if they are of that length.
    UserError where the game hasn't that many.
    """
    rng, found = np.random.default_rng([seed, plies]), dict[int, tuple[int, ...]]()
    for moves in shipped_openings(game) if solver else ():
        if len(moves) == plies and len(found) < count:
            found[int(game.key(_after(game, moves)))] = moves
    for _ in range(1000 * count):
        if len(found) == count:
            break
        drawn, state = random_opening(game, plies, rng)
        if not solver or solver.values(state[None], budget)[0] == 0:
            found.setdefault(int(game.key(state)), tuple(drawn))
    else:
        what = f"{game.rules} has no {count} different openings of {plies} moves"
        raise UserError(what, do="ask for fewer, or for longer ones")
    return list(found.values())


def _after(game: Game, moves: Sequence[int]) -> State:
    state = new_state(game)
    for move in moves:
        game.play(state, move)
    return state


def match(
    game: Game,
    players: Mapping[str, AnyPlayer],
    starts: Sequence[Sequence[int]],
    pairs: Iterable[tuple[str, str]] | None = None,
) -> list[Played]:
    """Two games of every pair from every opening; without `pairs`, all play all.

    UserError for a name that isn't among the players.
    """
    pairs = list(combinations(players, 2)) if pairs is None else list(pairs)
    for name in {name for pair in pairs for name in pair} - set(players):
        raise UserError(f"no player is called {name!r}", do=f"there is {', '.join(players)}")
    games = [
        _Game(first, second, number, _after(game, opening), list(opening))
        for one, other in pairs
        for number, opening in enumerate(starts)
        for first, second in ((one, other), (other, one))
    ]
    return _finish(game, players, games)


def _finish(game: Game, players: Mapping[str, AnyPlayer], games: list[_Game]) -> list[Played]:
    """Play games on to their ends: a few hundred together where that helps anyone, else singly."""
    names = {name for one in games for name in (one.first, one.second)}
    together = TOGETHER if any(isinstance(players[name], Batch) for name in names) else 1
    for begin in range(0, len(games), together):
        live = games[begin : begin + together]
        while live := [one for one in live if not _ended(game, one)]:
            movers = dict[str, list[_Game]]()
            for one in live:
                mover = one.first if _first_moves(game, one) else one.second
                movers.setdefault(mover, []).append(one)
            for name, asked in movers.items():
                _move(game, name, players[name], asked)
    for one in games:
        _settle(game, players, one)
    return [
        Played(one.first, one.second, one.opening, tuple(one.moves), one.result, one.forfeit)
        for one in games
    ]


def _first_moves(game: Game, one: _Game) -> bool:
    return game.moves(one.state) % 2 == 0


def _ended(game: Game, one: _Game) -> bool:
    if one.result == GOES_ON and (result := game.result(one.state)) != GOES_ON:
        one.result = int(result) if _first_moves(game, one) else -int(result)
    return one.result != GOES_ON


def _settle(game: Game, players: Mapping[str, AnyPlayer], one: _Game) -> None:
    """Let a program that has played say what is dead; of two, the one that began."""
    asked = (getattr(players[name], "settled", None) for name in (one.first, one.second))
    settled = next(filter(None, asked), None)
    if settled is None or one.forfeit:
        return
    moves = list(settled(one.moves))
    if moves != one.moves:
        one.moves, one.state, one.result = moves, _after(game, moves), GOES_ON
        _ended(game, one)


def _move(game: Game, name: str, player: AnyPlayer, asked: list[_Game]) -> None:
    """Let a player move in all the games that wait for it."""
    mask = np.zeros(game.actions, np.uint8)
    if isinstance(player, Batch):
        chosen = np.asarray(player.choose(np.array([one.state for one in asked])))
        if chosen.shape != (len(asked),):
            raise ValueError(f"{name} gave {chosen.shape} actions for {len(asked)} positions")
    for number, one in enumerate(asked):
        try:
            action = int(chosen[number]) if isinstance(player, Batch) else _ask(player, one)
            game.legal(one.state, mask)
            if not (0 <= action < game.actions and mask[action]):
                raise Forfeit(f"action {action} is illegal after {game.moves(one.state)} moves")
        except Forfeit as wrong:
            one.forfeit = f"{name}: {wrong.what}"
            one.result = -1 if _first_moves(game, one) else 1
            continue
        game.play(one.state, action)
        one.moves.append(action)


def _ask(player: Player, one: _Game) -> int:
    follow = getattr(player, "follow", None)
    if follow is not None:
        follow(one.moves)
    return int(player(one.state.copy()))


def ratings(games: Iterable[Played], anchor: str, prior: float = PRIOR) -> dict[str, Rating]:
    """Bradley-Terry ratings by maximum likelihood (Newton), in Elo, the anchor at 0; best first.

    A draw is half a point to each. The prior keeps a player without a loss from being infinitely
    strong. Intervals come from the observed information and count games as independent. ValueError
    for an anchor without games, and for players whom no chain of games joins to it.
    """
    games = list(games)
    names = sorted({name for one in games for name in (one.first, one.second)})
    if anchor not in names:
        raise ValueError(f"{anchor} has played no game to measure others by")
    place, points = {name: n for n, name in enumerate(names)}, np.zeros((len(names),) * 2)
    for one in games:
        first, second = place[one.first], place[one.second]
        points[first, second] += (1 + one.result) / 2
        points[second, first] += (1 - one.result) / 2
    apart = [n for n, near in zip(names, _joined(points, place[anchor]), strict=True) if not near]
    if apart:
        raise ValueError(f"no chain of games joins {', '.join(apart)} to {anchor}")
    strength, error = _maximum(points, place[anchor], prior)
    found = {}
    for name in sorted(names, key=lambda name: -strength[place[name]]):
        row = place[name]
        elo, half = ELO * float(strength[row]), ELO * Z * float(error[row])
        count = round(points[row].sum() + points[:, row].sum())
        found[name] = Rating(elo, elo - half, elo + half, count, float(points[row].sum()))
    return found


def _joined(points: NDArray[np.float64], begin: int) -> NDArray[np.bool_]:
    met: NDArray[np.bool_] = points + points.T > 0
    near: NDArray[np.bool_] = np.arange(len(points)) == begin
    for _ in points:
        near = near | met[near].any(axis=0)
    return near


def _maximum(
    points: NDArray[np.float64], anchor: int, prior: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log strengths with the anchor's at 0, and their standard errors."""
    points = points + prior * (points + points.T > 0)
    played, free = points + points.T, np.arange(len(points)) != anchor
    strength, error = np.zeros(len(points)), np.zeros(len(points))
    if not free.any():
        return strength, error
    for _ in range(1000):
        chance = 1 / (1 + np.exp(strength[None, :] - strength[:, None]))
        slope = (points - played * chance).sum(axis=1)
        weight = played * chance * (1 - chance)
        curve = (np.diag(weight.sum(axis=1)) - weight)[np.ix_(free, free)]
        step = np.linalg.solve(curve, slope[free])
        strength[free] += step * min(1.0, 1 / max(abs(step).max(), 1e-300))  # never leaps too far
        if abs(step).max() < 1e-10:
            break
    error[free] = np.sqrt(np.diag(np.linalg.inv(curve)))
    return strength, error


def rank_correlation(one: ArrayLike, other: ArrayLike) -> float:
    """Spearman's rho of two series, ties at their mean rank; nan where either doesn't vary."""
    a, b = _ranks(one), _ranks(other)
    a, b = a - a.mean(), b - b.mean()
    spread = sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread else nan


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def converts(
    player: AnyPlayer, solver: Solver, positions: Positions, budget: int = BUDGET
) -> Share:
    """How many of the won positions a player, to move, goes on to win against perfect defence.

    Those in which a move wins at once say little: leave them out by `only(~positions.wins)`.
    The defence looks for its longest resistance: half a CPU-second a move at 10 stones, a tenth
    at 12, next to nothing from 16 on.
    """
    game, won = solver.game, positions.only(positions.values == 1)
    players = {"player": player, "solver": perfect_player(solver, budget=budget)}
    games = []
    for number, state in enumerate(won.states):
        first, second = ("player", "solver") if game.moves(state) % 2 == 0 else ("solver", "player")
        games.append(_Game(first, second, number, state.copy(), []))
    done = _finish(game, players, games)
    return share_of([one.result == (1 if one.first == "player" else -1) for one in done])
