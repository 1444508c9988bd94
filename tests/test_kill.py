"""kill -9 at random moments, then the same command again: nothing lost, doubled or orphaned."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import living

import stillroom
from stillroom.stages.verify import verify

EXAMPLES = Path(__file__).parents[1] / "examples"
RUNNER = Path(__file__).with_name("run_example.py")

FEW = {"lessons": 250}
WORLDS = {
    "lessons": 600,
    "nim": 120,
    "projectile": 60,
    "quiz": 1500,
    "clinic": 3000,
}


def command(world: str, count: int, out: Path, workers: int) -> list[str]:
    return [sys.executable, str(RUNNER), world, str(count), str(out), str(workers)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_and_go_on(world: str, count: int, folder: Path, kills: int) -> None:
    began = time.monotonic()
    root_of(world, count, folder / "trial", 2)
    whole = time.monotonic() - began
    chance = random.Random(world)
    outs, killed = [folder / "killed-0"], 0
    while killed < kills:
        if manifest(outs[-1]).exists():  # it came to its end between two kills
            outs.append(folder / f"killed-{len(outs)}")
        out = outs[-1]
        process = subprocess.Popen(command(world, count, out, 2), stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.2, max(1.0, 0.8 * whole)))
        workers = living(parent=process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        deadline = time.monotonic() + 10
        while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in workers if alive(pid)], "a worker outlived its parent"
    for out in outs:
        root, calm = root_of(world, count, out, 2), undisturbed(out, folder / f"calm-{out.name}")
        assert root == root_of(world, count, calm, 1)
        ids = [record.id for record in stillroom.open(out)]
        assert len(ids) == len(set(ids)) == len(stillroom.open(calm))
        assert verify(out, trust_code=True, workers=2).ok


def manifest(out: Path) -> Path:
    return out / "make" / "manifest.json"


def undisturbed(out: Path, calm: Path) -> Path:
    """A new folder with the same private start, where there is one: `start` may draw from the
    operating system, and the promise is the same root for the same recipe, seed and state."""
    if (out / "private" / "make").exists():
        shutil.copytree(out / "private" / "make", calm / "private" / "make")
    return calm


def root_of(world: str, count: int, out: Path, workers: int) -> str:
    done = subprocess.run(
        command(world, count, out, workers),
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.mark.parametrize("world", FEW)
def test_killed_runs_go_on(world: str, tmp_path: Path) -> None:
    kill_and_go_on(world, FEW[world], tmp_path, kills=2)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_killed_twenty_times(world: str, tmp_path: Path) -> None:
    kill_and_go_on(world, WORLDS[world], tmp_path, kills=20)
