"""kill -9 at random moments, then the same command again: nothing lost, doubled or orphaned."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stillroom
from stillroom.stages.verify import verify

EXAMPLES = Path(__file__).parents[1] / "examples"
RUNNER = Path(__file__).with_name("run_example.py")

WORLDS = {
    "lessons": 600,
    "nim": 120,
    "projectile": 60,
    "quiz": 1500,
    "clinic": 3000,
}


def command(world: str, out: Path, workers: int) -> list[str]:
    return [sys.executable, str(RUNNER), world, str(WORLDS[world]), str(out), str(workers)]


def children(pid: int) -> list[int]:
    """Process ids of the living children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_and_go_on(world: str, folder: Path, kills: int) -> None:
    began = time.monotonic()
    calm = stillroom_root(world, folder / "calm", 1)
    whole = time.monotonic() - began
    chance = random.Random(world)
    out, killed = folder / "killed", 0
    for _ in range(kills):
        process = subprocess.Popen(command(world, out, 2), stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, max(1.0, whole)))
        workers = children(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        deadline = time.monotonic() + 10
        while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in workers if alive(pid)], "a worker outlived its parent"
    assert killed, "no kill came in time: the test shows nothing"
    assert stillroom_root(world, out, 2) == calm
    ids = [record.id for record in stillroom.open(out)]
    assert len(ids) == len(set(ids)) == len(stillroom.open(folder / "calm"))
    assert verify(out, trust_code=True, workers=2).ok


def stillroom_root(world: str, out: Path, workers: int) -> str:
    done = subprocess.run(
        command(world, out, workers),
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.mark.parametrize("world", ["lessons", "nim"])
def test_killed_runs_go_on(world: str, tmp_path: Path) -> None:
    kill_and_go_on(world, tmp_path, kills=2)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_killed_twenty_times(world: str, tmp_path: Path) -> None:
    kill_and_go_on(world, tmp_path, kills=20)
