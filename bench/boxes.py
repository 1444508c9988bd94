"""Figures of the sandbox: attacks contained, a first job from cold, jobs of a batch.

Wall milliseconds; the smallest of several runs, since other programs can only add to it. The
baseline is a bare interpreter that runs the same program and nothing else.
"""

import argparse
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
        with Sandbox(level) as sandbox:
            sandbox.run_all([_JOB] * batch)
            batches = _times(lambda box=sandbox: box.run_all([_JOB] * batch), max(3, runs // 4))
        measured[level] = {
            "cold_ms": _times(lambda at=level: _cold(at), runs),
            "batch_ms": [one / batch for one in batches],
            "contained": _contained(level),
        }
    return measured


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
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    report("boxes", quick, measure(quick))
