"""What every bench prints: one JSON object of figures, each with its target."""

import json
import platform
import sys
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
