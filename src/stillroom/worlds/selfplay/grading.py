"""How good a run's nets are: against the solver, and against one another.

Some eight CPU-seconds of an audit, for 4x32 nets. bench/selfplay.py asks for more.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from stillroom.errors import UserError
from stillroom.world import Finding
from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.ladder import (
    AnyPlayer,
    Batch,
    Played,
    Rating,
    match,
    rank_correlation,
    ratings,
)
from stillroom.worlds.selfplay.lineage import nets_of
from stillroom.worlds.selfplay.match import best_moves
from stillroom.worlds.selfplay.net import Evaluate, Net, evaluator
from stillroom.worlds.selfplay.play import judging, search_positions
from stillroom.worlds.selfplay.positions import (
    Grade,
    Policy,
    Positions,
    Share,
    grade,
    random_opening,
    shipped_openings,
    shipped_positions,
)
from stillroom.worlds.selfplay.records import canonical
from stillroom.worlds.selfplay.rules import describe
from stillroom.worlds.selfplay.rungs import random_player

LATE = 20  # ply from which on outcomes are held against the solver
SIMULATIONS = 64  # of the search that is judged
STARTS, RANDOM_STARTS = 32, 50  # openings of a pair of nets; of the last net and random play


def late_outcomes(positions: pa.StructArray) -> list[Finding]:
    """How many of the late positions ended as a solver says they had to; none without labels."""
    exact = positions.field("exact")
    known = exact.is_valid().to_numpy(zero_copy_only=False)
    rows = known & (positions.field("ply").to_numpy() >= LATE)
    if not rows.any():
        return []
    outcome = positions.field("outcome").to_numpy()[rows]
    right = exact.fill_null(0).to_numpy()[rows] == outcome
    detail = f"of {rows.sum()} of ply {LATE} and later, in the last generation"
    share = 100 * float(right.mean())
    return [Finding("outcomes that the solver confirms", share, "%", None, detail)]


def by_solver(game: Game, state: Path, device: str, trained: set[str]) -> list[Finding]:
    """Nets of the run on the shipped positions, less those among the `trained` (hashes).

    The raw policies of some, the random start among them, then the last net by itself, also where
    no move wins at once, and its search.
    """
    try:
        positions = unseen(game, shipped_positions(game), trained)
    except UserError:
        return []  # nothing is shipped for these rules
    if not len(positions):
        return []
    name, found = "raw policy keeps the result", []
    for number, net in nets_of(state, game).items():
        evaluate = evaluator(net, device)
        last = grade(raw(game, evaluate), positions)
        found += _kept(f"{name}, net {number}", last)[:1]
    searched = grade(searching(game, evaluate), positions)
    return [
        *found,
        *_kept(name, last),
        *_kept(f"search of {SIMULATIONS} keeps the result", searched),
    ]


def unseen(game: Game, positions: Positions, trained: set[str]) -> Positions:
    """The positions that are no symmetric image of a trained one."""
    hashes, _ = canonical(describe(game, positions.states)[0], game.cells)
    return positions.only([name not in trained for name in hashes])


def raw(game: Game, evaluate: Evaluate) -> Policy:
    """The move that a net likes best, without search."""
    return lambda states: best_moves(game, evaluate, states)


def searching(game: Game, evaluate: Evaluate, simulations: int = SIMULATIONS) -> Policy:
    """The move of a search that proves nothing: what the net adds to it is not hidden by proofs."""
    return lambda states: search_positions(game, evaluate, states, judging(simulations)).move


def _kept(name: str, found: Grade) -> list[Finding]:
    told: list[tuple[str, Share]] = [(name, found.all), (f"{name}, no win at once", found.rest)]
    return [
        Finding(
            what,
            100 * share.share,
            "%",
            detail=f"of {share.tried} shipped positions that no game of the run met",
            low=100 * share.low,
            high=100 * share.high,
        )
        for what, share in told
        if share.tried
    ]


def by_play(game: Game, state: Path, device: str, rng: np.random.Generator) -> list[Finding]:
    """Ratings of some of the run's nets by their raw policies, and the last against random play."""
    nets = nets_of(state, game)
    names = [f"net {number}" for number in nets]
    players: dict[str, AnyPlayer] = {
        name: _player(game, net, device) for name, net in zip(names, nets.values(), strict=True)
    }
    games = match(game, players, starts(game, STARTS, rng))
    players["random"] = random_player(game, int(rng.integers(2**31)))
    pair = [(names[-1], "random")]
    last = match(game, players, starts(game, RANDOM_STARTS, rng), pair)
    found = [_against_random(last, names[-1])]
    if len(names) > 2:
        elo = ratings(games, names[0])
        strengths = [round(elo[name].elo, 6) for name in names]
        # Nets that play alike have no order: no correlation, which JSON can't say.
        alike = len(set(strengths)) == 1
        rises = 0.0 if alike else rank_correlation(range(len(names)), strengths)
        detail = f"of generation and Elo, {len(names)} nets"
        found.append(Finding("ladder rises", rises, "rank correlation", None, detail))
        found += [_rated(name, elo[name], names[0]) for name in names]
    return found


def _player(game: Game, net: Net, device: str) -> Batch:
    evaluate = evaluator(net, device, traced=False)
    return Batch(lambda states: best_moves(game, evaluate, states))


def starts(game: Game, count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Openings: shipped ones that are drawn with best play, else random moves."""
    shipped = shipped_openings(game)
    if shipped:
        chosen = rng.choice(len(shipped), min(count, len(shipped)), replace=False)
        return [shipped[n] for n in sorted(chosen.tolist())]
    plies, found = max(1, min(6, game.longest // 6)), dict[int, tuple[int, ...]]()
    for _ in range(4 * count):  # a small game has fewer: one that is played twice tells nothing new
        moves, state = random_opening(game, plies, rng)
        found.setdefault(int(game.key(state)), tuple(moves))
        if len(found) == count:
            break
    return list(found.values())


def _rated(name: str, found: Rating, first: str) -> Finding:
    detail = f"{found.games} games each; {first} is at 0"
    name = f"Elo of raw policies, {name}"
    return Finding(name, found.elo, "Elo", detail=detail, low=found.low, high=found.high)


def _against_random(games: list[Played], name: str) -> Finding:
    points = sum((1 + (g.result if g.first == name else -g.result)) / 2 for g in games)
    detail = f"of {len(games)} games, without search"
    return Finding("last net against random play", 100 * points / len(games), "%", None, detail)
