"""Figures of the world selfplay: rules, judges, search, net, and what a run learns.

`python bench/selfplay.py [--quick]` prints JSON. What takes hours runs by itself:
`--part learning '[20, SEED]'` (CPU-minutes of Connect Four; seeds 0, 1, 2), `--part go5 '[60, 50]'`
(CPU-minutes of Go 5x5, then so many pairs of games against GNU Go level 1), `--part killed '[20]'`.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import games
import judges_of_play
import numpy as np
import torch
from figures import Figure, apart, command_line

import stillroom
from stillroom import open as open_dataset
from stillroom import run, verify
from stillroom.recipe import from_file, settle
from stillroom.worlds.selfplay import SelfPlay
from stillroom.worlds.selfplay.choosing import PUCT, Settings
from stillroom.worlds.selfplay.game import game_of
from stillroom.worlds.selfplay.grading import raw, searching, unseen
from stillroom.worlds.selfplay.gtp import GNU_GO, Program
from stillroom.worlds.selfplay.ladder import Batch, converts, match, openings
from stillroom.worlds.selfplay.net import evaluator, load_net, new_net, shape_of
from stillroom.worlds.selfplay.play import Played, play_games
from stillroom.worlds.selfplay.positions import States, grade, labelled, shipped_positions
from stillroom.worlds.selfplay.records import record_of
from stillroom.worlds.selfplay.solver import Solver

RECIPES = Path(stillroom.__file__).parent / "recipes"
PLAIN = Settings(kind=PUCT, simulations=32, proofs=False)
QUIET = ("power.sample=0",)
MAIN = "from stillroom.cli import main; main()"


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
    """Positions a CPU-second of Connect Four, 4x32 net, cache and proofs off; the limit's share."""
    torch.set_num_threads(1)
    game, rows = game_of("connect4"), 0
    net = evaluator(new_net(shape_of(game, 4, 32), 0))

    def evaluate(planes: Any) -> Any:
        nonlocal rows
        rows += len(planes)
        return net(planes)

    play_games(game, evaluate, PLAIN, _keys(slots, 1), slots, cache=False)
    best, share, positions, peak = float("inf"), 0.0, 0, sgemm()
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
    return {"rate": 1 / best, "share": share / peak, "each": rows / here, "n": positions}


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
            _run("selfplay.toml", out, number, count)
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


def _run(recipe: str, out: Path, generations: int, count: int | None, seed: int = 0) -> Any:
    settings = [f"world.generations={generations}", *QUIET]
    if count is not None:
        settings += [f"world.games={count}", f"world.batch={min(count, 128)}"]
    return run(
        RECIPES / recipe, out=out, count=count, seed=seed, workers=0, settings=tuple(settings)
    )


def learning(minutes: float, seed: int, folder: str = "") -> dict[str, Any]:
    """The shipped recipe for so many CPU-minutes in all, then all judges on its last net."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(folder or scratch) / "run"
        result = _until(60 * minutes, "selfplay.toml", out, seed)
        found = {one["name"]: one["value"] for one in result.findings}
        generations = 1 + max(record.data["generation"] for record in open_dataset(out))
        game = game_of("connect4")
        state = out / "make" / f"g{generations - 1:03d}" / "state" / "state"
        evaluate = evaluator(load_net(state / "net.safetensors", game))
        own = _own_positions(out, generations)
        policy, search = raw(game, evaluate), searching(game, evaluate)
        games_own, searched = grade(policy, own), grade(search, own)
        won = unseen(game, shipped_positions(game), set())
        won = won.only(np.arange(0, len(won), 7))
        won = won.only(~won.wins & (won.plies >= 12))
        wins = converts(Batch(search), Solver(game), won)
        found |= {
            "own games: raw": 100 * games_own.all.share,
            "own games: raw, no win at once": 100 * games_own.rest.share,
            "own games: search": 100 * searched.all.share,
            "own games: positions": len(own),
            "converts": 100 * wins.share,
            "converts n": wins.tried,
            "generations": generations,
        }
    return found


def _until(seconds: float, recipe: str, out: Path, seed: int) -> Any:
    """A recipe's run that grows until the CPU-seconds are over; its last result."""
    generations, began, result = 0, time.process_time(), None
    each = 0.0
    while result is None or time.process_time() - began + each < seconds:
        # A few generations at once: each ending writes data/ and audits, which isn't training.
        left = seconds - (time.process_time() - began)
        step = max(1, int(left / each / 2)) if each else 2
        before = time.process_time()
        generations += step
        result = _run(recipe, out, generations, None, seed)
        each = (time.process_time() - before) / step
    return result


def _own_positions(out: Path, generations: int) -> Any:
    """Labelled positions of ply 10 to 30 from the last generation's games, met nowhere before."""
    game, rng = game_of("connect4"), np.random.default_rng(5)
    before, states = set[str](), list[Any]()
    for record in open_dataset(out):
        data, last = record.data, record.data["generation"] == generations - 1
        if not last:
            before |= {at["canonical"] for at in data["positions"]}
            continue
        state = np.zeros(game.words, np.uint64)
        game.start(state)
        for ply, move in enumerate(data["moves"]):
            if 10 <= ply <= 30 and rng.random() < 0.3:
                states.append(state.copy())
            game.play(state, move)
    return unseen(game, labelled(Solver(game), np.array(states, np.uint64)), before)


def go5(minutes: float, pairs: int, level: int = 1, folder: str = "") -> dict[str, float]:
    """The recipe go5 for so many CPU-minutes, then paired games against GNU Go."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(folder or scratch) / "run"
        _until(60 * minutes, "go5.toml", out, 0)
        _, _, world = settle(from_file(RECIPES / "go5.toml"), "go5.toml", RECIPES)
        assert isinstance(world, SelfPlay)
        game = world.rules
        nets = sorted(out.glob("make/g*/state/state/net.safetensors"))
        search = searching(game, evaluator(load_net(nets[-1], game)), 64)
        with Program(GNU_GO.format(level=level), game) as program:
            players = {"net": _single(search), "GNU Go": program}
            played = match(game, players, openings(game, pairs, 2))
    won = sum((1 + (g.result if g.first == "net" else -g.result)) / 2 for g in played)
    forfeits = sum(bool(game.forfeit) for game in played)
    return {"share": won / len(played), "n": len(played), "forfeits": forfeits}


def _single(policy: Callable[[States], Any]) -> Callable[[Any], int]:
    return lambda state: int(policy(state[None])[0])


def killed(times: int) -> dict[str, Any]:
    """A small run is killed at random moments until it ends: whether its root is that of a calm."""
    settings = [
        "world.game=tictactoe",
        "world.generations=4",
        "world.games=64",
        "world.batch=8",
        "world.blocks=1",
        "world.channels=16",
        *QUIET,
    ]
    words = [sys.executable, "-c", MAIN, "run", str(RECIPES / "selfplay.toml")]
    words += ["--count", "64", "--workers", "2"]
    words += [word for one in settings for word in ("--set", one)]
    rng, done = np.random.default_rng(0), 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*words, "--out", f"{folder}/calm"], check=True, stdout=subprocess.DEVNULL)
        for number in range(times):
            with subprocess.Popen(
                [*words, "--out", f"{folder}/{number % 3}"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            ) as one:
                time.sleep(float(rng.uniform(1, 12)))
                if one.poll() is None:
                    os.killpg(one.pid, signal.SIGKILL)
                    done += 1
        roots = set()
        for name in ("calm", "0", "1", "2"):
            subprocess.run([*words, "--out", f"{folder}/{name}"], check=True, capture_output=True)
            about = json.loads((Path(folder) / name / "make" / "manifest.json").read_text())
            roots.add(about["root"])
    return {"killed": done, "roots": len(roots)}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    **games.PARTS,
    **judges_of_play.PARTS,
    "throughput": throughput,
    "null_net": null_net,
    "shipped": shipped,
    "learning": learning,
    "go5": go5,
    "killed": killed,
}


def measure(quick: bool) -> list[Figure]:
    """All figures but those of the parts that take hours."""
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
    count, repeats = (1000, 3) if quick else (2000, 10)
    rate = apart(script, "null_net", count, repeats)["rate"]
    figures.append(Figure("a null net", rate, "searches/CPU-second", ">= 50000", count))
    got = apart(script, "shipped", *((1, 128) if quick else (4, 512)))
    what = "the shipped recipe's early generations, training and records included"
    figures.append(Figure(what, got["rate"], "positions/CPU-second", ">= 600", got["n"]))
    what = "tasks remade and a generation relearned: what differs"
    figures.append(Figure(what, got["wrong"], "tasks and files", "<= 0", got["replayed"]))
    return figures + games.measure(script, quick) + judges_of_play.measure(script, quick)


if __name__ == "__main__":
    command_line("selfplay", __doc__, PARTS, measure)
