"""Figures of what judges play: the solver's speed and labels, and the ladder's fixed rungs.

Parts and figures only; bench/selfplay.py runs them.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from figures import Figure, apart

from stillroom.worlds.selfplay.game import game_of, new_state
from stillroom.worlds.selfplay.ladder import match, openings, ratings
from stillroom.worlds.selfplay.positions import (
    actions_of,
    grade,
    random_states,
    shipped_openings,
    shipped_positions,
)
from stillroom.worlds.selfplay.rungs import random_player, rollout_player, rollout_visits
from stillroom.worlds.selfplay.solver import Solver

RUNGS = ("random", "rollouts 100", "rollouts 1000")


def speed(ply: int, count: int) -> dict[str, float]:
    """CPU-milliseconds to label every move of a random position, and millions of nodes a second."""
    solver = Solver(game_of("connect4"))
    states = random_states(solver.game, ply, count, np.random.default_rng([3, ply]))
    solver.moves(states[:1])
    solver.nodes, spent = 0, list[float]()
    for state in states:
        began = time.process_time()
        solver.moves(state[None])
        spent.append(1000 * (time.process_time() - began))
    rate = solver.nodes / (sum(spent) / 1000)
    return {"mean": float(np.mean(spent)), "median": float(np.median(spent)), "rate": rate / 1e6}


def relabelled(least: int) -> dict[str, int]:
    """Shipped positions from a ply on whose labels the solver now sees otherwise."""
    game = game_of("connect4")
    positions = shipped_positions(game)
    late = positions.only(positions.plies >= least)
    labels = Solver(game).moves(late.states, 500_000_000)
    return {"differ": int((labels != late.labels).any(axis=1).sum()), "n": len(late)}


def rollouts(count: int) -> dict[str, float]:
    """Moves a CPU-second that a search with 1,000 random rollouts chooses from the empty board."""
    game = game_of("connect4")
    state = new_state(game)
    rollout_visits(game, state, 10)
    began = time.process_time()
    for seed in range(count):
        rollout_visits(game, state, 1000, seed)
    return {"rate": count / (time.process_time() - began)}


def rungs(starts: int) -> dict[str, dict[str, float]]:
    """Ratings of the fixed rungs over drawn openings, and their share in the shipped positions."""
    game = game_of("connect4")
    players = (random_player(game), rollout_player(game, 100), rollout_player(game, 1000))
    named = dict(zip(RUNGS, players, strict=True))
    solver = Solver(game)
    plies = len(shipped_openings(game)[0])
    found = ratings(match(game, named, openings(game, starts, plies, solver=solver)), "random")
    positions = shipped_positions(game)
    grades = {name: grade(actions_of(player), positions) for name, player in named.items()}
    return {
        name: {
            "elo": found[name].elo,
            "low": found[name].low,
            "games": found[name].games,
            "all": grades[name].all.share,
            "rest": grades[name].rest.share,
            "all n": grades[name].all.tried,
            "rest n": grades[name].rest.tried,
        }
        for name in RUNGS
    }


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "speed": speed,
    "relabelled": relabelled,
    "rollouts": rollouts,
    "rungs": rungs,
}


def measure(script: str, quick: bool) -> list[Figure]:
    """All figures; `script` is the bench whose command line knows PARTS."""
    figures = []
    for ply, count in ((24, 400), (20, 400), (16, 200), (14, 100), (12, 50), (10, 20)):
        if quick and ply < 14:
            continue
        got = apart(script, "speed", ply, count)
        name = f"solver: all moves of a random position of ply {ply}"
        figures.append(Figure(f"{name}, mean", got["mean"], "CPU-ms", "", count))
        figures.append(Figure(f"{name}, median", got["median"], "CPU-ms", "", count))
    figures.append(Figure("solver: nodes", got["rate"], "million/CPU-second", "", count))
    again = apart(script, "relabelled", 18 if quick else 12)
    what = "shipped positions that the solver labels otherwise"
    figures.append(Figure(what, again["differ"], "positions", "<= 0", again["n"]))
    count = 200 if quick else 1000
    rate = apart(script, "rollouts", count)["rate"]
    figures.append(Figure("search with 1,000 rollouts", rate, "moves/CPU-second", "", count))
    found = apart(script, "rungs", 10 if quick else 100)
    for name in RUNGS:
        one = found[name]
        n = int(one["games"])
        figures.append(Figure(f"{name}: rating over random", one["elo"], "Elo", "", n))
        for part in ("all", "rest"):
            what = f"{name}: keeps the result, {'all' if part == 'all' else 'no win at once'}"
            figures.append(Figure(what, one[part], "share", "", int(one[f"{part} n"])))
    ahead = found[RUNGS[2]]["elo"] - found[RUNGS[1]]["elo"]
    what = "1,000 rollouts over 100"
    figures.append(Figure(what, ahead, "Elo", ">= 0", int(found[RUNGS[2]]["games"])))
    return figures
