"""Figures of search against rivals with the same net: mctx and pgx, OpenSpiel's Python MCTS.

Ours and a rival search in turns on one CPU; the medians are compared. Parts and figures only;
bench/selfplay.py runs them. No value where a rival's environment isn't built.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figures import Figure, apart
from rivals.venvs import built

from stillroom.worlds.selfplay.choosing import GUMBEL, PUCT, Settings
from stillroom.worlds.selfplay.game import game_of
from stillroom.worlds.selfplay.net import evaluator, load_net, new_net, save_net, shape_of
from stillroom.worlds.selfplay.play import play_games
from stillroom.worlds.selfplay.positions import random_opening

ROOT = Path(__file__).resolve().parent.parent
KINDS = {"gumbel": GUMBEL, "puct": PUCT}
SLOTS, SIMULATIONS = 256, 32


def against(
    kind: str, command: list[str], arguments: list[Any], moves: int, games: int, repeats: int
) -> dict[str, float]:
    """Positions a CPU-second of ours and of a rival that searches alike; its net's difference."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    ours, theirs, positions = list[float](), list[float](), 0
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        words = [*command, folder, *map(str, arguments)]
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as rival:
            assert rival.stdin is not None
            assert rival.stdout is not None
            difference = json.loads(rival.stdout.readline())["difference"]
            search = searcher(Path(folder), kind)
            search(1)
            for _ in range(repeats):
                count, spent = search(games)
                ours.append(count / spent)
                rival.stdin.write(f"{moves}\n")
                rival.stdin.flush()
                told = json.loads(rival.stdout.readline())
                theirs.append(told["positions"] / told["spent"])
                positions += told["positions"]
            rival.stdin.close()
    rates = float(np.median(ours)), float(np.median(theirs))
    return {"ours": rates[0], "theirs": rates[1], "n": positions, "difference": difference}


def searcher(folder: Path, kind: str) -> Callable[[int], tuple[int, float]]:
    """Plays so many games by our search: positions, and CPU-seconds."""
    game = game_of("connect4")
    evaluate = evaluator(load_net(folder / "net.safetensors", game))
    settings = Settings(kind=KINDS[kind], simulations=SIMULATIONS, proofs=False)

    def search(games: int) -> tuple[int, float]:
        keys = np.arange(games, dtype=np.uint64)
        began = time.process_time()
        played = play_games(game, evaluate, settings, keys, SLOTS, cache=False)
        return sum(len(one.policy) for one in played), time.process_time() - began

    return search


def prepare(folder: Path) -> None:
    """A new net, and what another says of positions, to see that the rival asks the same net.

    In a new net much is zero, so the other one has random numbers everywhere.
    """
    game, rng = game_of("connect4"), np.random.default_rng(0)
    net = new_net(shape_of(game, 4, 32), 0)
    save_net(net, folder / "net.safetensors")
    with torch.no_grad():
        for weight in net.parameters():
            weight += torch.from_numpy(rng.normal(0, 0.1, weight.shape))
    save_net(net, folder / "told.safetensors")
    moves = np.full((200, 30), -1, np.int8)
    planes = np.zeros((len(moves), game.planes, game.height, game.width), np.float32)
    for row, out in zip(moves, planes, strict=True):
        made, state = random_opening(game, int(rng.integers(31)), rng)
        row[: len(made)] = made
        game.plane(state, out)
    with torch.inference_mode():
        logits, values = net(torch.from_numpy(planes))
    np.savez(folder / "told.npz", moves=moves, logits=logits.numpy(), values=values.numpy())


def against_mctx(batch: int, moves: int, games: int, repeats: int, python: str) -> dict[str, float]:
    command = [python, str(ROOT / "bench" / "rivals" / "with_mctx.py")]
    return against("gumbel", command, [batch, SIMULATIONS], moves, games, repeats)


def against_openspiel(
    how: str, moves: int, games: int, repeats: int, python: str
) -> dict[str, float]:
    """`how` it asks the net: shipped (as OpenSpiel does it), or compiled (as it might)."""
    command = [python, str(ROOT / "bench" / "rivals" / "with_openspiel_mcts.py")]
    return against("puct", command, [SIMULATIONS, how], moves, games, repeats)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "against_mctx": against_mctx,
    "against_openspiel": against_openspiel,
}


def measure(script: str, quick: bool) -> list[Figure]:
    """All figures; `script` is the bench whose command line knows PARTS."""
    # Of few games many are the last ones, which don't fill a batch; the rivals' never end.
    games, repeats = (256, 2) if quick else (2048, 3)
    mctx, openspiel = built("mctx"), built("openspiel")
    figures = []
    what = "connect4, 32 simulations, same net"
    for batch in (64, 256):
        name = f"{what}: Gumbel against mctx and pgx, its {batch} games at once, our {SLOTS}"
        arguments = (batch, (512 if quick else 8192) // batch, games, repeats)
        got = apart(script, "against_mctx", *arguments, str(mctx)) if mctx else None
        figures += compared(name, got, ">= 1.2")
    for how, told, moves, target in (
        ("shipped", "its own evaluator", 50, ">= 5"),
        ("compiled", "the net compiled for it, which it doesn't do", 500, ""),
    ):
        name = f"{what}: PUCT against OpenSpiel's Python MCTS, {told}"
        arguments = (how, moves // 5 if quick else moves, games, repeats, str(openspiel))
        got = apart(script, "against_openspiel", *arguments) if openspiel else None
        figures += compared(name, got, target)
    return figures


def compared(name: str, got: dict[str, Any] | None, target: str) -> list[Figure]:
    """How many times as fast, beside the rival's rate; and whether both asked the same net."""
    ratio = got["ours"] / got["theirs"] if got else None
    rate, n = (got["theirs"], got["n"]) if got else (None, 0)
    difference = got["difference"] if got else None
    return [
        Figure(name, ratio, "times", target, n, rate),
        Figure(f"{name}: the nets' difference", difference, "", "<= 0.0001", 200),
    ]
