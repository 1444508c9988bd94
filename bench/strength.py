"""Figures of what selfplay learns in minutes and hours, and of what its files hold.

Parts and figures only; bench/selfplay.py runs them. Minutes are CPU-minutes of one core, in which
training, records, checks and audits are included.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import offline_fit
from figures import Figure, apart

import stillroom
from stillroom import open as open_dataset
from stillroom import run
from stillroom.worlds.selfplay import SelfPlay
from stillroom.worlds.selfplay.contest import contest, last_net
from stillroom.worlds.selfplay.game import new_state
from stillroom.worlds.selfplay.grading import raw, searching, unseen
from stillroom.worlds.selfplay.gtp import GAMES
from stillroom.worlds.selfplay.ladder import Batch, converts, match, rank_correlation, ratings
from stillroom.worlds.selfplay.lineage import nets_of
from stillroom.worlds.selfplay.net import Evaluate, evaluator
from stillroom.worlds.selfplay.play import play_games
from stillroom.worlds.selfplay.positions import (
    Share,
    grade,
    labelled,
    shipped_openings,
    shipped_positions,
)
from stillroom.worlds.selfplay.solver import Solver

RECIPES = Path(stillroom.__file__).parent / "recipes"
QUIET = ("power.sample=0", "make.minutes=1e6")  # minutes of the clock say little here
AUDIT = 30  # CPU-seconds at most
MAIN = "from stillroom.cli import main; main()"
RAW, REST, SEARCHED = "raw policy", "raw policy, no win at once", "search of 64"
LADDER = "ladder rises, all shipped openings"
OWN, DRAWN, BOTH = "own games", "random play", "both"
NEW = 4000  # positions of new games, of which those count in which the choice matters


def run_recipe(
    recipe: str, out: Path, generations: int, count: int | None, seed: int = 0, audit: bool = True
) -> Any:
    """A shipped recipe in this process alone; what the checker's power is, is not asked."""
    settings = [f"world.generations={generations}", f"audit.run={str(audit).lower()}", *QUIET]
    if count is not None:
        settings += [f"world.batch={min(count, 128)}"]
    return run(
        RECIPES / recipe, out=out, count=count, seed=seed, workers=0, settings=tuple(settings)
    )


def _until(seconds: float, recipe: str, out: Path, seed: int) -> tuple[Any, float]:
    """A recipe's run that grows until the CPU-seconds are over: its result, and what it took.

    A reserve is kept for the audit at its end.
    """
    generations, began, each = 0, time.process_time(), 0.0
    seconds -= min(AUDIT, seconds / 10)
    while not each or time.process_time() - began + each < seconds:
        # Few generations at once: each ending writes data/ anew, which isn't training.
        left = seconds - (time.process_time() - began)
        step = max(1, int(left / each / 2)) if each else 2
        before = time.process_time()
        generations += step
        run_recipe(recipe, out, generations, None, seed, audit=False)
        each = (time.process_time() - before) / step
    result = run_recipe(recipe, out, generations, None, seed)
    return result, time.process_time() - began


def learning(minutes: float, seed: int, folder: str = "") -> dict[str, Any]:
    """The shipped recipe for so many minutes, then all judges on its last net."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(folder or scratch) / "run"
        result, spent = _until(60 * minutes, "selfplay.toml", out, seed)
        found = {one["name"]: one["value"] for one in result.findings}
        return found | {"minutes": spent / 60} | judged(out)


def judged(out: Path) -> dict[str, Any]:
    """What an audit does not ask of a run of Connect Four: its own positions, openings, endings."""
    game, net = last_net(out)
    solver, evaluate = Solver(game), evaluator(net)
    policy, search = raw(game, evaluate), searching(game, evaluate)
    met = {at["canonical"] for one in open_dataset(out) for at in one.data["positions"]}
    own = unseen(game, labelled(solver, _own_states(out, evaluate)), met)
    drawn = unseen(game, shipped_positions(game), met)
    won = shipped_positions(game)
    won = won.only(~won.wins & (won.plies >= 12))
    wins = converts(Batch(search), solver, won.only(np.arange(0, len(won), 3)))
    found: dict[str, Any] = {}
    kept: dict[str, list[Share]] = {RAW: [], REST: [], SEARCHED: []}
    for kind, positions in ((OWN, own), (DRAWN, drawn)):
        alone, searched = grade(policy, positions), grade(search, positions)
        found[f"{kind}: positions"] = len(positions)
        for name, share in ((RAW, alone.all), (REST, alone.rest), (SEARCHED, searched.all)):
            found[f"{kind}: {name}"] = 100 * share.share
            kept[name].append(share)
    for name, shares in kept.items():
        right = sum(one.share * one.tried for one in shares)
        found[f"{BOTH}: {name}"] = 100 * right / sum(one.tried for one in shares)
    return {
        **found,
        "converts": 100 * wins.share,
        "converts: positions": wins.tried,
        "generations": len(list(out.glob("make/g*"))),
        LADDER: ladder_rises(out),
        **_openings(out),
    }


def ladder_rises(out: Path) -> float:
    """The audit's rank correlation of generation and Elo, from all shipped openings."""
    game, _ = last_net(out)
    nets = nets_of(sorted(out.glob("make/g*/state/state"))[-1], game)
    players = {
        str(number): Batch(raw(game, evaluator(net, traced=False))) for number, net in nets.items()
    }
    elo = ratings(match(game, players, shipped_openings(game)), "0")
    return rank_correlation(list(nets), [elo[name].elo for name in players])


def _own_states(out: Path, evaluate: Evaluate) -> Any:
    """Positions of ply 10 to 30 that the last net chose to come to, in new games like the run's."""
    about = json.loads((out / "run.json").read_text())
    world = SelfPlay(**about["parts"]["config"])
    game, states = world.rules, list[Any]()
    keys = np.arange(1024, dtype=np.uint64) + np.uint64(1 << 40)
    for one in play_games(game, evaluate, world.settings(0), keys, 256):
        state = new_state(game)
        for ply, move in enumerate([*one.opening, *one.searched["move"]]):
            if max(10, len(one.opening)) <= ply <= 30:
                states.append(state.copy())
            game.play(state, int(move))
    chosen = np.random.default_rng(5).permutation(len(states))[:NEW]
    return np.array(states, np.uint64)[chosen]


def _openings(out: Path) -> dict[str, float]:
    """Effective 8-ply openings (exp of the entropy) per 10,000 games, of the run's last games.

    Of all games, and of those alone that began with no random move.
    """
    lines: list[tuple[bool, tuple[int, ...]]] = []
    for record in open_dataset(out):
        data = record.data
        lines.append((data["opening"] == 0, tuple(data["moves"][:8])))
    found = {}
    for name, chosen in (
        ("openings", [line for _, line in lines]),
        ("openings, none random", [line for own, line in lines if own]),
    ):
        counts = np.array(list(Counter(chosen[-10_000:]).values()))
        shares = counts / counts.sum()
        found[name] = float(np.exp(-(shares * np.log(shares)).sum()))
        found[f"{name}: games"] = int(counts.sum())
    return found


def go5(minutes: float, pairs: int, level: int = 1, folder: str = "") -> dict[str, float]:
    """The recipe go5 for so many minutes, then paired games against GNU Go."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(folder or scratch) / "run"
        _until(60 * minutes, "go5.toml", out, 0)
        return against_gnu_go(str(out), pairs, level)


def against_gnu_go(run: str, pairs: int, level: int) -> dict[str, float]:
    """The last net of a run of go5, with 64 simulations, in paired games against GNU Go."""
    found = contest(run, f"gnugo {level}", pairs)
    forfeits = sum(bool(game.forfeit) for game in found.games)
    return {
        "share": 100 * found.points / len(found.games),
        "n": len(found.games),
        "elo": found.rating.elo,
        "low": found.rating.low,
        "high": found.rating.high,
        "forfeits": forfeits,
    }


def killed(times: int) -> dict[str, Any]:
    """A small run is killed at random moments until it ends: whether its root is that of a calm."""
    settings = [
        "world.game=tictactoe",
        "world.generations=4",
        "world.batch=8",
        "world.blocks=1",
        "world.channels=16",
        *QUIET,
    ]
    words = [sys.executable, "-c", MAIN, "run", str(RECIPES / "selfplay.toml")]
    words += ["--count", "64", "--workers", "2"]
    words += [word for one in settings for word in ("--set", one)]
    rng, done, number, roots = np.random.default_rng(0), 0, 0, set()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        subprocess.run([*words, "--out", f"{folder}/calm"], check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - began
        while done < times:
            out = f"{folder}/{number}"
            with subprocess.Popen(
                [*words, "--out", out],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            ) as one:
                time.sleep(float(rng.uniform(0.1, 0.9)) * whole)
                if one.poll() is None:
                    os.killpg(one.pid, signal.SIGKILL)
                    done += 1
                else:  # it came to its end: the next begins from nothing
                    number += 1
        for name in ("calm", *map(str, range(number + 1))):
            subprocess.run([*words, "--out", f"{folder}/{name}"], check=True, capture_output=True)
            about = json.loads((Path(folder) / name / "make" / "manifest.json").read_text())
            roots.add(about["root"])
    return {"killed": done, "roots": len(roots)}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "learning": learning,
    "offline": offline_fit.offline,
    "go5": go5,
    "against_gnu_go": against_gnu_go,
    "killed": killed,
}

SHARES = {  # a finding's or judge's name, and what it should reach in the worst of the seeds
    **{
        f"{kind}: {name}": target
        for kind in (DRAWN, OWN, BOTH)
        for name, target in ((RAW, ">= 92"), (REST, ">= 82"), (SEARCHED, ">= 95"))
    },
    "converts": ">= 80",
    "last net against random play": ">= 99",
    "outcomes that the solver confirms": ">= 95",
    "unique positions": ">= 30",
}


def measure(script: str, quick: bool) -> list[Figure]:
    """All figures; `script` is the bench whose command line knows PARTS. Hours, but for `quick`."""
    minutes, seeds = (0.15, 1) if quick else (20, 3)
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        kept = f"{folder}/0"
        found = [
            apart(script, "learning", minutes, seed, kept if seed == 0 else "")
            for seed in range(seeds)
        ]
        figures += _learnt(found, minutes)
        size = (20_000, 200) if quick else (1_000_000, 10_000)
        fit = apart(script, "offline", kept, *size)
    what = "a net fitted to the exported file: behind the run's own net"
    figures.append(Figure(what, fit["own"] - fit["fit"], "points", "<= 2", int(fit["n"])))
    got = apart(script, "killed", 1 if quick else 20)
    figures.append(Figure("roots of killed and calm runs", got["roots"], "", "<= 1", got["killed"]))
    minutes, pairs = (0.15, 2) if quick else (12, 50)
    there = shutil.which("gnugo", path=GAMES)
    got = apart(script, "go5", minutes, pairs) if there else None
    what = f"Go 5x5 after {minutes} CPU-minutes, 64 simulations, against GNU Go level 1"
    share, n = (got["share"], int(got["n"])) if got else (None, 0)
    figures.append(Figure(what, share, "% of the points", ">= 60", n))
    return figures


def _learnt(found: list[dict[str, Any]], minutes: float) -> list[Figure]:
    """The worst of the seeds, each figure; `baseline` is what the random start gets, if known."""
    seeds, figures = len(found), list[Figure]()
    head = f"Connect Four, {minutes} CPU-minutes, worst of {seeds} seeds"

    def row(name: str, unit: str, target: str) -> None:
        baseline = "raw policy keeps the result, net 0" if name == f"{DRAWN}: {RAW}" else ""
        least = min(one[name] for one in found)
        start = found[0][baseline] if baseline else None
        figures.append(Figure(f"{head}: {name}", least, unit, target, seeds, start))

    for name, target in SHARES.items():
        row(name, "%", target)
    row(LADDER, "rank correlation", ">= 0.9")
    row("openings", "effective 8-ply openings of the last 10,000 games", ">= 200")
    row("openings, none random", "effective 8-ply openings of the last 10,000 such games", "")
    for name, target in ((DRAWN, ">= 2000"), (OWN, ""), ("converts", "")):
        row(f"{name}: positions", "positions", target)
    row("generations", "generations", "")
    most = max(one["minutes"] for one in found)
    figures.append(Figure(f"{head}: audit included", most, "CPU-minutes", f"<= {minutes}", seeds))
    return figures
