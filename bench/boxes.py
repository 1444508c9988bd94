"""Figures of the sandbox: attacks contained, a first job from cold, jobs of a batch.

Wall milliseconds, the smallest of several runs, since other programs can only add to it; a batch is
spread over as many servers as there are cores (four at most), so its CPU time stands beside it. The
baseline is a bare interpreter that runs the same program and nothing else.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from attacks import ATTACKS, LIMITS, Victim, contained
from figures import Figure, report

from stillroom.sandbox import LEVELS, Job, Sandbox, probe

_PROGRAM = "print(sum(map(int, input().split())))"
_JOB = Job(_PROGRAM, "2 3")


def measure_sandbox(runs: int = 20, batch: int = 200) -> dict[str, Any]:
    """By level: cold min and median ms of one job, ms per job of a batch, names of contained."""
    measured: dict[str, Any] = {"bare_ms": _times(_bare, runs), "jobs": batch}
    for level in LEVELS[:2]:
        if level not in probe().levels:
            continue
        batches, cpu = _batches(level, batch, max(3, runs // 4))
        measured[level] = {
            "cold_ms": _times(lambda at=level: _cold(at), runs),
            "batch_ms": [one / batch for one in batches],
            "cpu_ms": cpu / batch,
            "contained": _contained(level),
        }
    return measured


def _batches(level: str, batch: int, runs: int) -> tuple[list[float], float]:
    """Wall ms of some batches; CPU ms of one, all processes and the servers' start included."""
    before = _cpu()
    with Sandbox(level) as sandbox:
        walls = _times(lambda: sandbox.run_all([_JOB] * batch), runs)
    return walls, 1000 * (_cpu() - before) / runs


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _times(work: Callable[[], object], runs: int) -> list[float]:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return sorted(times)


def _bare() -> None:
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM]
    subprocess.run(command, input=b"2 3", stdout=subprocess.DEVNULL, check=True)


def _cold(level: str) -> None:
    with Sandbox(level) as sandbox:
        assert sandbox.run(_PROGRAM, "2 3").stdout == "5\n"


def _contained(level: str) -> list[str]:
    names = []
    with Sandbox(level, LIMITS) as sandbox:
        for attack in ATTACKS:
            with Victim() as victim:
                if contained(attack, sandbox, victim):
                    names.append(attack.name)
    return names


def measure(quick: bool) -> list[Figure]:
    """The figures of every level that this machine has."""
    runs = 8 if quick else 20
    measured = measure_sandbox(runs)
    bare, batch, figures = min(measured["bare_ms"]), measured["jobs"], []
    for level in (one for one in LEVELS if one in measured):
        of = measured[level]
        held = len(of["contained"])
        middle = statistics.median(of["cold_ms"])
        figures += [
            Figure(f"{level}: attacks contained", held, "of 12", ">= 12", len(ATTACKS)),
            Figure(f"{level}: one job, cold", min(of["cold_ms"]), "ms", "<= 60", runs, bare),
            Figure(f"{level}: one job, cold, median", middle, "ms", "", runs, bare),
            Figure(f"{level}: a job of a batch", min(of["batch_ms"]), "ms", "<= 2", batch, bare),
        ]
        if level == "default":  # inside bubblewrap the children's time is not handed up
            figures.append(
                Figure(f"{level}: a job of a batch, CPU", of["cpu_ms"], "CPU-ms", "", batch)
            )
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    report("boxes", quick, measure(quick))
