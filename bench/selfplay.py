"""Figures of the world selfplay: rules, judges, search, net, and what a run learns.

`python bench/selfplay.py [--quick]` prints JSON; all figures take three CPU-hours. Parts alone:
`--part learning '[20, SEED]'` (CPU-minutes of Connect Four), `--part go5 '[12, 50]'` (CPU-minutes
of Go 5x5, then so many pairs of games against GNU Go level 1), `--part killed '[20]'`.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import games
import judges_of_play
import numpy as np
import rivals_of_play
import strength
import torch
from figures import Figure, apart, command_line

from stillroom import open as open_dataset
from stillroom import verify
from stillroom.worlds.selfplay import SelfPlay
from stillroom.worlds.selfplay.choosing import PUCT, Settings
from stillroom.worlds.selfplay.game import game_of
from stillroom.worlds.selfplay.net import Evaluate, evaluator, new_net, shape_of
from stillroom.worlds.selfplay.play import Played, play_games
from stillroom.worlds.selfplay.positions import random_opening
from stillroom.worlds.selfplay.records import record_of

PLAIN = Settings(kind=PUCT, simulations=32, proofs=False)


def sgemm() -> float:
    """Floating-point operations a CPU-second in the best of some large matrix products."""
    torch.set_num_threads(1)
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    best = float("inf")
    for _ in range(10):
        began = time.process_time()
        a @ b
        best = min(best, time.process_time() - began)
    return 2 * 1024**3 / best


def operations(blocks: int, channels: int) -> float:
    """Floating-point operations of one evaluation, those of convolutions and linear layers."""
    game = game_of("connect4")
    net, found = new_net(shape_of(game, blocks, channels), 0), 0

    def count(layer: Any, given: Any, out: Any) -> None:
        nonlocal found
        places = out.shape[-1] * out.shape[-2] if out.ndim == 4 else 1
        found += 2 * layer.weight.numel() * places

    for layer in net.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        net(torch.zeros(1, game.planes, game.height, game.width))
    return found


def throughput(slots: int, count: int, records: bool) -> dict[str, float]:
    """Positions a CPU-second of Connect Four, 4x32 net, cache and proofs off; shares of limits."""
    torch.set_num_threads(1)
    game, rows = game_of("connect4"), 0
    net = evaluator(new_net(shape_of(game, 4, 32), 0))

    def evaluate(planes: Any) -> Any:
        nonlocal rows
        rows += len(planes)
        return net(planes)

    play_games(game, evaluate, PLAIN, _keys(slots, 1), slots, cache=False)
    best, share, positions, peak = float("inf"), 0.0, 0, sgemm()
    before, of_alone = _alone(net, slots), list[float]()
    label = SelfPlay(device="cpu").label
    for seed in range(3):
        rows, began = 0, time.process_time()
        played = play_games(game, evaluate, PLAIN, _keys(count, seed), slots, cache=False)
        if records:
            for one in played:
                record_of(game, one, net="", generation=0, number=one.number, label=label)
        spent, here = time.process_time() - began, _positions(played)
        best, positions = min(best, spent / here), positions + here
        peak = max(peak, sgemm())
        # Of what was really evaluated: a simulation that ends at the end of a game asks no net.
        share = max(share, rows * operations(4, 32) / spent)
        after = _alone(net, slots)
        of_alone.append(2 * rows / spent / (before + after))
        before = after
    return {
        "rate": 1 / best,
        "share": share / peak,
        "of_alone": float(np.median(of_alone)),
        "each": rows / here,
        "n": positions,
    }


def _alone(net: Evaluate, size: int) -> float:
    """Rows a CPU-second of a net that is asked for nothing but full batches of what games show."""
    game, rng = game_of("connect4"), np.random.default_rng(0)
    planes = np.zeros((size, game.planes, game.height, game.width), np.float32)
    for out in planes:
        game.plane(random_opening(game, int(rng.integers(20)), rng)[1], out)
    began = time.process_time()
    for _ in range(40):
        net(planes)
    return 40 * size / (time.process_time() - began)


def _keys(count: int, seed: int) -> Any:
    return np.arange(count, dtype=np.uint64) + np.uint64(1_000_000 * seed)


def _positions(played: list[Played]) -> int:
    return sum(len(one.policy) for one in played)


def null_net(count: int, repeats: int) -> dict[str, float]:
    """Searches of 32 simulations a CPU-second with a net that costs nothing: the tree alone."""
    game = game_of("connect4")

    def nothing(planes: Any) -> Any:
        return np.zeros((len(planes), 7), np.float32), np.zeros(len(planes), np.float32)

    play_games(game, nothing, PLAIN, _keys(64, 0), 64, cache=False)
    best = float("inf")
    for _ in range(repeats):  # the least of some: on a shared machine others can only add to it
        began = time.process_time()
        played = play_games(game, nothing, PLAIN, _keys(count, 0), 256, cache=False)
        best = min(best, (time.process_time() - began) / _positions(played))
    return {"rate": 1 / best}


def shipped(generations: int, count: int) -> dict[str, float]:
    """Early generations of the shipped recipe, training and records included, in one process.

    The two before them are left out: they compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, spent = Path(folder) / "run", list[float]()
        for number in (2, 2 + generations):
            began = time.process_time()
            strength.run_recipe("selfplay.toml", out, number, count)
            spent.append(time.process_time() - began)
        positions = sum(
            len(record.data["positions"])
            for record in open_dataset(out)
            if record.data["generation"] > 1
        )
        report = verify(out, replay=1, relearn=[1 + generations])
    return {
        "rate": positions / spent[1],
        "n": positions,
        "replayed": report.replayed,
        "wrong": len(report.problems),
    }


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    **games.PARTS,
    **judges_of_play.PARTS,
    **rivals_of_play.PARTS,
    **strength.PARTS,
    "throughput": throughput,
    "null_net": null_net,
    "shipped": shipped,
}


def measure(quick: bool) -> list[Figure]:
    """All figures."""
    script = sys.argv[0]
    figures = []
    count = 256 if quick else 1024
    for records, target in ((False, ">= 500"), (True, ">= 450")):
        got = apart(script, "throughput", 256, count, records)
        what = "connect4, 32 simulations, 4x32 net, no cache, no proofs"
        what += ", records written" if records else ", search alone"
        figures.append(Figure(what, got["rate"], "positions/CPU-second", target, got["n"]))
        if not records:
            share = f"{what}: of what sgemm can do ({got['each']:.0f} evaluations a position)"
            figures.append(Figure(share, 100 * got["share"], "%", ">= 65", got["n"]))
            # A product of matrices isn't the net's limit: its convolutions may well be faster.
            share = f"{what}: rows evaluated, of what the net does with full batches alone"
            figures.append(Figure(share, 100 * got["of_alone"], "%", ">= 65", got["n"]))
    count, repeats = (1000, 3) if quick else (2000, 10)
    rate = apart(script, "null_net", count, repeats)["rate"]
    figures.append(Figure("a null net", rate, "searches/CPU-second", ">= 50000", count))
    got = apart(script, "shipped", *((1, 128) if quick else (4, 512)))
    what = "the shipped recipe's early generations, training and records included"
    figures.append(Figure(what, got["rate"], "positions/CPU-second", ">= 600", got["n"]))
    what = "tasks remade and a generation relearned: what differs"
    figures.append(Figure(what, got["wrong"], "tasks and files", "<= 0", got["replayed"]))
    for part in (games, judges_of_play, rivals_of_play, strength):
        figures += part.measure(script, quick)
    return figures


if __name__ == "__main__":
    command_line("selfplay", __doc__, PARTS, measure)
