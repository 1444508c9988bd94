"""Figures of the games' rules: perft, speed, the referee's, and OpenSpiel's word on random games.

Parts and figures only; bench/selfplay.py runs them.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from figures import Figure, apart
from rivals.venvs import built

from stillroom.worlds.selfplay.game import GOES_ON, Game, game_of, new_state
from stillroom.worlds.selfplay.referee import referee_of

ROOT = Path(__file__).resolve().parent.parent
PERFT = {
    "connect4": [7, 49, 343, 2401, 16807, 117649],
    "othello": [4, 12, 56, 244, 1396, 8200],
}
# Ours, its options, OpenSpiel's name, its parameters. Komi is a half, so that Go has no draws.
OPENSPIEL: tuple[tuple[str, dict[str, Any], str, dict[str, Any]], ...] = (
    ("tictactoe", {}, "tic_tac_toe", {}),
    ("connect4", {}, "connect_four", {}),
    ("othello", {}, "othello", {}),
    ("hex", {"size": 11}, "hex", {"board_size": 11}),
    ("go", {"size": 9, "komi": 7.5}, "go", {"board_size": 9, "komi": 7.5}),
)


def perft(name: str) -> dict[str, Any]:
    """Positions after 1, 2, ... moves from the start, games that have ended not counted on."""
    game, depths = game_of(name), len(PERFT[name])
    level, counts = [new_state(game)], []
    for _ in range(depths):
        following = []
        for state in level:
            for move in _legal(game, state):
                following.append(state.copy())
                game.play(following[-1], move)
        counts.append(len(following))
        level = [state for state in following if game.result(state) == GOES_ON]
    return {"counts": counts}


def _legal(game: Game, state: Any) -> list[int]:
    mask = np.zeros(game.actions, np.uint8)
    game.legal(state, mask)
    return np.flatnonzero(mask).tolist()  # type: ignore[no-any-return]


def random_play(name: str, options: dict[str, Any], steps: int) -> dict[str, float]:
    """Steps of random play a CPU-second: full legal mask, a random choice, the move, the result."""
    from numba import njit

    game = game_of(name, **options)
    start, legal, play, result = game.start, game.legal, game.play, game.result
    words, actions = game.words, game.actions

    @njit
    def run(steps: int, seed: int) -> int:
        np.random.seed(seed)
        state, mask = np.zeros(words, np.uint64), np.zeros(actions, np.uint8)
        start(state)
        games = 0
        for _ in range(steps):
            left, action = np.random.randint(legal(state, mask)), 0
            while left > 0 or not mask[action]:
                left -= mask[action]
                action += 1
            play(state, action)
            if result(state) != GOES_ON:
                games += 1
                start(state)
        return games

    run(10, 0)
    best, games = float("inf"), 0
    for seed in range(5):  # the least of some: on a shared machine others can only add to it
        began = time.process_time()
        games += run(steps, seed)
        best = min(best, time.process_time() - began)
    return {"rate": steps / best, "games": games}


def refereed(games: int) -> dict[str, float]:
    """CPU-milliseconds for the referee to replay a random 9x9 game, with all legal moves."""
    played, spent = list(_random_games("go", {"size": 9}, games)), []
    for moves, _, result in played:
        began = time.process_time()
        referee = referee_of("go", size=9)
        for move in moves:
            referee.legal()
            referee.play(move)
        assert referee.result() == result
        referee.score()
        spent.append(1000 * (time.process_time() - began))
    return {
        "median": float(np.median(spent)),
        "moves": float(np.mean([len(m) for m, *_ in played])),
    }


def _random_games(
    name: str, options: dict[str, Any], games: int, seed: int = 0
) -> Iterator[tuple[list[int], list[str], int]]:
    """Moves of random games, the legal actions of each as hexadecimal bits, the first's result."""
    game, rng = game_of(name, **options), np.random.default_rng(seed)
    state, mask = new_state(game), np.zeros(game.actions, np.uint8)
    for _ in range(games):
        game.start(state)
        moves, masks = list[int](), list[str]()
        while game.result(state) == GOES_ON:
            count = game.legal(state, mask)
            legal = np.flatnonzero(mask)
            masks.append(np.packbits(mask, bitorder="little")[::-1].tobytes().hex())
            moves.append(int(legal[rng.integers(count)]))
            game.play(state, moves[-1])
        yield moves, masks, int(game.result(state)) * (1 - 2 * (len(moves) % 2))


def openspiel(number: int, games: int, python: str) -> dict[str, int]:
    """What OpenSpiel says of our random games of one kind: see rivals/with_openspiel.py."""
    name, options, theirs, parameters = OPENSPIEL[number]
    script = str(ROOT / "bench" / "rivals" / "with_openspiel.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [python, script, theirs, json.dumps(parameters)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as judge:
        assert judge.stdin is not None
        assert judge.stdout is not None
        for moves, legal, result in _random_games(name, options, games):
            line = {"moves": moves, "legal": legal, "result": result}
            judge.stdin.write(json.dumps(line) + "\n")
        judge.stdin.close()
        said = judge.stdout.read()
    if judge.returncode:
        raise RuntimeError(f"{command} ended with {judge.returncode}")
    counts: dict[str, int] = json.loads(said)
    return counts


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "perft": perft,
    "random_play": random_play,
    "refereed": refereed,
    "openspiel": openspiel,
}


def measure(script: str, quick: bool) -> list[Figure]:
    """All figures; `script` is the bench whose command line knows PARTS."""
    figures = []
    for name, known in PERFT.items():
        counts = apart(script, "perft", name)["counts"]
        wrong = sum(a != b for a, b in zip(counts, known, strict=True))
        what = f"perft of {name}: depths of 1 to {len(known)} that differ"
        figures.append(Figure(what, wrong, "depths", "<= 0", sum(counts)))
    steps = 50_000 if quick else 300_000
    for name, options, target in (
        ("go", {"size": 9}, ">= 300000"),
        ("go", {"size": 19}, ""),
        ("othello", {}, ""),
        ("hex", {"size": 11}, ""),
        ("connect4", {}, ""),
    ):
        rate = apart(script, "random_play", name, options, steps)["rate"]
        size = f" {options['size']}x{options['size']}" if options else ""
        what = f"{name}{size}: random play with full legal mask"
        figures.append(Figure(what, rate, "steps/CPU-second", target, steps))
    games = 20 if quick else 200
    spent = apart(script, "refereed", games)["median"]
    figures.append(Figure("go 9x9: the referee's replay", spent, "CPU-ms/game", "<= 20", games))
    return figures + judged(script, quick)


def judged(script: str, quick: bool) -> list[Figure]:
    """Games in which OpenSpiel says otherwise; no value where its environment isn't built."""
    figures, games = [], 100 if quick else 10_000
    python = built("openspiel")
    for number, (name, *_) in enumerate(OPENSPIEL):
        value, n = None, 0
        if python:
            said = apart(script, "openspiel", number, games, str(python))
            value, n = said["legal"] + said["results"], said["games"]
        what = f"{name}: positions or results of random games that OpenSpiel sees otherwise"
        figures.append(Figure(what, value, "positions", "<= 0", n))
    return figures
