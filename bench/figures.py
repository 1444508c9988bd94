"""What every bench prints: one JSON object of figures, each with its target."""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy
import pyarrow


@dataclass(frozen=True)
class Figure:
    """A measured value and what it should reach, such as ">= 200" or ""; `ok` None: can't tell."""

    name: str
    value: float | list[str] | None
    unit: str
    target: str
    n: int
    baseline: float | None = None

    def json(self, quick: bool) -> dict[str, Any]:
        ok = None if quick or self.value is None else self.reached()
        return {**vars(self), "ok": ok}

    def reached(self) -> bool | None:
        sign, _, bound = self.target.partition(" ")
        if isinstance(self.value, list) or self.value is None or not bound:
            return None
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)


def report(bench: str, quick: bool, figures: list[Figure]) -> None:
    """Print the bench's JSON object; the exit code tells whether a target was missed."""
    out = {
        "bench": bench,
        "quick": quick,
        "machine": {
            "cpu": platform.machine(),
            "python": platform.python_version(),
            "numpy": numpy.__version__,
            "pyarrow": pyarrow.__version__,
        },
        "figures": [figure.json(quick) for figure in figures],
    }
    print(json.dumps(out, indent=1, ensure_ascii=False))
    sys.exit(any(figure["ok"] is False for figure in out["figures"]))


def apart(script: str, part: str, *arguments: Any) -> dict[str, Any]:
    """A part's measurement, in a process of its own."""
    command = [sys.executable, script, "--part", part, json.dumps(arguments)]
    print(f"{part} {arguments}", file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def command_line(
    bench: str,
    about: str | None,
    parts: Mapping[str, Callable[..., dict[str, Any]]],
    measure: Callable[[bool], list[Figure]],
) -> None:
    """The command line of a bench whose parts run apart."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        name, given = arguments.part
        print(json.dumps(parts[name](*json.loads(given))))
        return
    report(bench, arguments.quick, measure(arguments.quick))
