"""Figures of distillation: both proofs, wrong teachers, losses, store, speed, resume, offline.

The proofs are the packaged recipes, run from the Python API as the command line runs them. Their
settings were chosen on the validation split, or on other seeds of the world, never on the tests.
"""

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import kd
import teaching
from figures import Figure, apart, command_line

RECIPES = Path(__file__).parents[1] / "src/stillroom/recipes"
SMALL = ("distill.seeds=1", "distill.train.tokens=60000", "distill.test=100")


def proof(recipe: str, quick: bool) -> dict[str, Any]:
    """A recipe with [distill], from nothing to its report; CPU-seconds of all processes."""
    from stillroom import distill, run

    few = ("distill.teacher.train.tokens=40000", "distill.teacher.questions=200")
    settings = (*SMALL, *(few if "neural" in recipe else ("distill.rates=[]",)))
    with tempfile.TemporaryDirectory() as folder:
        began, before = time.monotonic(), _cpu()
        made = run(RECIPES / recipe, out=folder, count=6000 if quick else None)
        report = distill(made.folder, settings=settings if quick else ())
        return {
            "figures": report.figures,
            "cpu_seconds": _cpu() - before,
            "seconds": time.monotonic() - began,
        }


def wrong_traces(quick: bool) -> dict[str, Any]:
    """Share right after a teacher that is always right, and one whose traces are wrong in 30 %."""
    from stillroom import distill, run
    from stillroom.worlds.lessons.drills import Drills

    world = Drills(families=("cups",), sizes={"cups": (8,)}, beyond={"cups": ()})
    tokens = 40_000 if quick else 700_000
    settings = ('distill.arms=["untrained"]', f"distill.train.tokens={tokens}",
                "distill.train.batch=16", "distill.test=500", "distill.context=128",
                "distill.seeds=3", "distill.teacher.samples=1", "distill.teacher.questions=8000",
                'distill.teacher.folder="-"')  # fmt: skip
    shares = {}
    with tempfile.TemporaryDirectory() as folder:
        made = run(world, out=Path(folder) / "run", count=2000 if quick else 10_000)
        for name, wrong, keep in (
            ("clean", 0.0, "verified"), ("verified", 0.3, "verified"), ("all", 0.3, "all")
        ):  # fmt: skip
            report = distill(
                made.folder,
                out=Path(folder) / name,
                settings=(*settings, f'distill.keep="{keep}"'),
                teacher=teaching.Slipping(world, wrong),
            )
            shares[name] = report.figures["arms"]["distilled"]["tests"]["test"]["accuracy"]
            shares[f"{name}_refused"] = sum(report.figures["teacher"]["refused"].values())
    return shares


def uncertain(quick: bool) -> dict[str, Any]:
    """A grammar's teacher: its texts alone against its probabilities, both from the same texts."""
    from grammar import Grammar

    from stillroom import distill, run

    settings = (
        'distill.mode="logits"', 'distill.arms=["sequence"]', 'distill.student="1x32"',
        'distill.tokenizer="bytes"', "distill.context=64", "distill.test=500", "distill.seeds=3",
        f"distill.train.tokens={20_000 if quick else 150_000}", "distill.train.batch=16",
        "distill.train.learning_rate=3e-3", 'distill.teacher.student="3x96"',
        "distill.teacher.gold=4000", "distill.teacher.questions=150", "distill.teacher.samples=4",
        "distill.teacher.greedy=false",
        f"distill.teacher.train.tokens={20_000 if quick else 600_000}",
    )  # fmt: skip
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        made = run(Grammar(), out=Path(folder) / "run", count=6000)
        for name, samples in (("dense", 0), ("store", 12)):
            sampled = f"distill.logits.samples={samples}"
            report = distill(
                made.folder,
                out=Path(folder) / name,
                settings=(*settings, sampled),
                trust_code=True,
            )
            for arm in ("distilled", "sequence"):
                told = report.figures["arms"][arm]["tests"]["test"]["held_out"]
                key = arm if arm == "sequence" else name
                out[key] = [(one["nll"], one["calibration_error"]) for one in told]
            out["parameters"] = [
                report.figures["teacher"]["parameters"],
                report.figures["arms"]["distilled"]["parameters"],
            ]
    return out


def speed(size: str, tokens: int) -> dict[str, float]:
    """Tokens per CPU-second of our loop and the HF Trainer: one model, the same batches."""
    import torch

    torch.set_num_threads(1)
    ours, theirs = [], []
    for turn in range(3):
        mine = (teaching.our_loop, ours), (teaching.their_trainer, theirs)
        for way, speeds in mine if turn % 2 == 0 else reversed(mine):
            speeds.append(way(size, tokens))
    return {"ours": max(ours), "theirs": max(theirs)}


def resumed(kills: int) -> dict[str, int]:
    """Tensors that differ between an uninterrupted training and one that was killed and resumed."""
    with tempfile.TemporaryDirectory() as folder:
        whole = _weights(Path(folder) / "whole", 0)
        differing = [
            sum(a != b for a, b in zip(whole, _weights(Path(folder) / str(n), n), strict=True))
            for n in range(1, kills + 1)
        ]
    return {"differing": sum(differing), "tensors": len(whole)}


def imported() -> dict[str, Any]:
    """CPU-seconds of `import stillroom` beyond the interpreter's own start; torch must stay out."""

    def start(code: str) -> float:
        before = _cpu()
        subprocess.run([sys.executable, "-c", code], check=True)
        return _cpu() - before

    code = "import stillroom, sys; sys.exit('torch' in sys.modules)"
    bare = min(start("pass") for _ in range(5))
    return {"cpu_seconds": min(start(code) for _ in range(5)) - bare}


def offline() -> dict[str, int]:
    """Internet sockets and name look-ups of a whole small distillation, in all of its processes."""
    hook = (
        "import sys, os\n"
        "def see(event, args):\n"
        "    inet = event == 'socket.__new__' and args[1] in (2, 10)\n"
        "    if inet or event == 'socket.getaddrinfo':\n"
        "        open(os.environ['SEEN'], 'a').write(event + '\\n')\n"
        "sys.addaudithook(see)\n"
    )
    script = (
        "import sys, stillroom; from stillroom.worlds.lessons.drills import Drills\n"
        "made = stillroom.run(Drills(families=('cups',)), out=sys.argv[1], count=1000)\n"
        "stillroom.distill(made.folder, settings=('distill.train.tokens=5000',"
        "'distill.test=50', 'distill.student=\"1x32\"'))\n"
        "import socket; socket.socket() if len(sys.argv) > 2 else None\n"
    )
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(hook)
        for name, more in (("offline", []), ("planted", ["yes"])):
            seen = Path(folder) / name
            path = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH", "")])])
            env = {**os.environ, "SEEN": str(seen), "PYTHONPATH": path}
            subprocess.run(
                [sys.executable, "-c", script, str(Path(folder) / f"run-{name}"), *more],
                check=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            counts[name] = len(seen.read_text().splitlines()) if seen.exists() else 0
    return counts


def _weights(folder: Path, seed: int) -> list[str]:
    """Hashes of the weights of a short training; with a seed it is killed now and then."""
    chance = random.Random(seed)
    command = [sys.executable, str(Path(__file__).parent / "teaching.py"), str(folder)]
    for _ in range(3 if seed else 0):
        child = subprocess.Popen(command)
        deadline = time.monotonic() + 120
        while not list(folder.glob("checkpoint-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 1.5))
        child.send_signal(signal.SIGKILL)
        child.wait()
    subprocess.run(command, check=True)
    from safetensors.numpy import load_file

    found = load_file(folder / "model" / "model.safetensors")
    return [hashlib.sha256(found[name].tobytes()).hexdigest() for name in sorted(found)]


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    **kd.PARTS,
    "proof": proof,
    "wrong_traces": wrong_traces,
    "uncertain": uncertain,
    "speed": speed,
    "resumed": resumed,
    "imported": imported,
    "offline": offline,
}


def measure(quick: bool) -> list[Figure]:
    script = __file__
    figures = _exact(apart(script, "proof", "distill.toml", quick))
    figures += _neural(apart(script, "proof", "distill-neural.toml", quick))
    shares = apart(script, "wrong_traces", quick)
    figures += [
        Figure("30 % wrong traces, keep verified: points lost",
               100 * (shares["clean"] - shares["verified"]), "points", "<= 2", 1500),
        Figure("30 % wrong traces, keep all: points lost",
               100 * (shares["clean"] - shares["all"]), "points", ">= 5", 1500),
    ]  # fmt: skip
    figures += kd.measure(script, quick)
    figures += _uncertain(apart(script, "uncertain", quick))
    for size, tokens, target in (("tiny", 200_000, ">= 1.15"), ("small", 40_000, ">= 1.1")):
        fast = apart(script, "speed", size, 10_000 if quick else tokens)
        figures.append(
            Figure(f"training tokens per CPU-second, {size}: times the HF Trainer",
                   fast["ours"] / fast["theirs"], "x", target, 3, baseline=fast["theirs"])
        )  # fmt: skip
    again = apart(script, "resumed", 1 if quick else 5)
    figures.append(
        Figure("killed and resumed against uninterrupted: weights that differ",
               again["differing"], f"of {again['tensors']} tensors", "<= 0", 1 if quick else 5)
    )  # fmt: skip
    start = apart(script, "imported")
    figures.append(Figure("import stillroom, without torch", start["cpu_seconds"], "CPU-s",
                          "<= 0.3", 5))  # fmt: skip
    sockets = apart(script, "offline")
    figures.append(Figure("internet sockets in an offline run", sockets["offline"], "",
                          "<= 0", 1, baseline=sockets["planted"]))  # fmt: skip
    return figures


def _exact(told: dict[str, Any]) -> list[Figure]:
    """State tracking, exact teacher."""
    report = told["figures"]
    n = report["arms"]["distilled"]["tests"]["test"]["n"]
    figures = [
        Figure("state tracking: distilled student right",
               100 * report["arms"]["distilled"]["tests"]["test"]["accuracy"], "%", "", n)
    ]  # fmt: skip
    for arm, words in (("answer-only", "equal tokens"), ("answer-only-examples", "equal examples")):
        ahead = _ahead(report, arm)
        figures += [
            Figure(f"state tracking: ahead of tuned answer-only, {words}",
                   100 * ahead["difference"], "points", ">= 50", n),
            Figure(f"state tracking: the same, lower end of the interval over seeds, {words}",
                   100 * ahead["interval"][0], "points", ">= 0", n),
        ]  # fmt: skip
    minutes = told["cpu_seconds"] / 120
    figures.append(Figure("state tracking: all arms, CPU-minutes on each of two cores", minutes,
                          "min", "<= 5", 1, baseline=told["seconds"] / 60))  # fmt: skip
    return figures


def _neural(told: dict[str, Any]) -> list[Figure]:
    """A neural teacher that is not perfect."""
    report = told["figures"]
    teacher, student = report["teacher"], report["arms"]["distilled"]
    kept = report["kept"].get("test", {"mean": 0.0, "worst": 0.0, "seeds": []})
    n, seeds = student["tests"]["test"]["n"], len(kept["seeds"])
    share = teacher["tests"]["test"]["accuracy"]
    figures = [
        Figure("neural teacher: right (80 to 97 wanted)", 100 * share, "%", ">= 80", n),
        Figure("neural teacher: right, at most", 100 * share, "%", "<= 97", n),
        Figure("neural teacher: parameters, times the student's",
               teacher["parameters"] / student["parameters"], "x", ">= 10", 1),
        Figure("neural: share of the teacher's lead over guessing kept, mean of seeds",
               kept["mean"], "", ">= 0.95", seeds),
        Figure("neural: the same, worst seed", kept["worst"], "", ">= 0.9", seeds),
    ]  # fmt: skip
    gold, alone = _ahead(report, "gold"), _ahead(report, "answer-only")
    better = min(gold, alone, key=lambda one: float(one["difference"]))
    figures += [
        Figure("neural: ahead of the better of gold and answer-only, equal tokens",
               100 * better["difference"], "points", ">= 10", n),
        Figure("neural: the same, lower end of the interval",
               100 * better["interval"][0], "points", ">= 0", n),
    ]  # fmt: skip
    unverified = _ahead(report, "unverified")
    figures += [
        Figure("neural: verified ahead of unverified, equal tokens",
               100 * unverified["difference"], "points", "", n),
        Figure("neural: the same, lower end of the interval",
               100 * unverified["interval"][0], "points", ">= 0", n),
        Figure("neural: all arms, CPU-minutes on each of two cores",
               told["cpu_seconds"] / 120, "min", "<= 30", 1, baseline=told["seconds"] / 60),
    ]  # fmt: skip
    beyond = student["tests"].get("extrapolate")
    if beyond:
        figures.append(Figure("neural: student right on longer questions",
                              100 * beyond["accuracy"], "%", "", beyond["n"]))  # fmt: skip
    return figures


def _ahead(report: dict[str, Any], arm: str, test: str = "test") -> dict[str, Any]:
    found: dict[str, Any] = next(
        one for one in report["against"] if one["arm"] == arm and one["test"] == test
    )
    return found


def _uncertain(told: dict[str, Any]) -> list[Figure]:
    """An uncertain teacher: its probabilities teach more than its texts."""
    figures = []
    for name, words in (("dense", "logits"), ("store", "12 stored samples")):
        for place, what in ((0, "nats per held-out token"), (1, "calibration error")):
            less = [a[place] - b[place] for a, b in zip(told["sequence"], told[name], strict=True)]
            figures.append(
                Figure(f"grammar: {what}, sequence less {words}, worst seed", min(less), "",
                       ">= 0", len(less), baseline=_mean([a[place] for a in told["sequence"]]))
            )  # fmt: skip
    return figures


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    command_line("distill", __doc__, PARTS, measure)
