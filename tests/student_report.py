"""A handmade RUN/student/report.json, as stages/scores.py writes it, with every part there."""

import json
from pathlib import Path
from typing import Any

from stillroom.measures import wilson

ARMS = ("distilled", "unverified", "gold", "answer-only", "untrained")
RIGHT = {"distilled": 180, "unverified": 150, "gold": 120, "answer-only": 60, "untrained": 0}
N = 200


def told(evil: str = "", concepts: int = 3, teacher: bool = True) -> dict[str, Any]:
    """The figures: `evil` stands in every text that comes from data; without `teacher` a program
    taught, one seed learnt, nothing was refused, and no answer was sampled.
    """
    tests = ("test", "extrapolate") if teacher else ("test",)
    return {
        "root": "ab" * 32,
        "mode": "sequence",
        "keep": "verified",
        "student": "tiny",
        "questions": {"train": 1000, **dict.fromkeys(tests, N)},
        "chance": dict.fromkeys(tests, 0.25),
        "teacher": _teacher(evil, concepts, tests) if teacher else _program(evil),
        "contamination": {"train": 1000, "held_out": 400, "exact": 0, "exact_pairs": [],
                          "shared": 0.125, "largest": 0.5, "worst": []},
        "arms": {name: _arm(name, evil, concepts, tests, teacher) for name in ARMS},
        "against": [_less(name, test) for name in ARMS[1:] for test in tests],
        "kept": {"test": {"mean": 0.925, "worst": 0.9, "seeds": [0.9, 0.95]}} if teacher else {},
        "graded": _graded(evil),
    }  # fmt: skip


def write(run: Path, figures: dict[str, Any]) -> None:
    """Put the figures where a distillation leaves them."""
    (run / "student").mkdir(exist_ok=True)
    (run / "student" / "report.json").write_text(json.dumps(figures))


def _program(evil: str) -> dict[str, Any]:
    return {
        "kind": "records", "name": f"a program {evil}", "kept": 1000, "refused": {},
        "questions": 1000, "answers": 1000, "accepted": 1000, "example": None, "tests": {},
    }  # fmt: skip


def _teacher(evil: str, concepts: int, tests: tuple[str, ...]) -> dict[str, Any]:
    return {
        "kind": "trained here", "name": f"small {evil}", "gold": 300, "parameters": 4_000_000,
        "tokens": 1_500_000, "cpu_seconds": 200.0, "answering_cpu_seconds": 50.5,
        "questions": 1000, "answers": 4000, "accepted": 940,
        "refused": {f"sum {evil}": 300, "read": 20},
        "example": {"question": f"2 + 2? {evil}", "text": f"5 {evil}", "reason": f"sum: {evil}"},
        "tests": {test: _scored(190, evil, concepts, 1, test, False) for test in tests},
    }  # fmt: skip


def _arm(name: str, evil: str, concepts: int, tests: tuple[str, ...], rich: bool) -> dict[str, Any]:
    learnt = name != "untrained"
    right, seeds = RIGHT[name], 2 if rich else 1
    curve = [[step, 400 * step, 6.0 / (1 + step**1.5)] for step in range(10, 1001, 2)]
    return {
        "about": f"what {name} learnt",
        "examples": 940 * learnt,
        "rate": 0.002,
        "tried": {"0.001": 0.7, "0.002": 0.75} if rich and learnt else {},
        "parameters": 250_000,
        "tokens": 400_000 * learnt,
        "learnt": 100_000 * learnt,
        "steps": 1000 * learnt,
        "cpu_seconds": 61.5 * learnt,
        "curve": curve if learnt else [],
        "tests": {
            test: _scored(right // (1 + (test != "test")), evil, concepts, seeds, test, rich)
            for test in tests
        },
    }


def _scored(
    right: int, evil: str, concepts: int, seeds: int, test: str, sampled: bool
) -> dict[str, Any]:
    beyond = test != "test"
    group = lambda share: {"n": 50, "accuracy": share, "interval": wilson(round(50 * share), 50)}  # noqa: E731
    return {
        "n": N,
        "accuracy": right / N,
        "interval": wilson(right, N),
        "corrected": [0.5] * seeds,
        "seeds": [{"accuracy": right / N, "interval": wilson(right, N)}] * seeds,
        "whole": right / N,
        "cut_off": 3,
        "calibration_error": 0.041,
        "pass": {k: {"value": 0.8, "interval": [0.75, 0.85]} for k in "124"} if sampled else {},
        "groups": [
            {"concept": f"kind {place} {evil}", "difficulty": str(level),
             **group(max(0.0, right / N - 0.05 * (place % 5) - 0.02 * level))}
            for place in range(concepts)
            for level in ((9, 10) if beyond else range(1, 9))
        ],
    }  # fmt: skip


def _less(name: str, test: str) -> dict[str, Any]:
    away = (RIGHT["distilled"] - RIGHT[name]) / N
    one = {"difference": away, "interval": [away - 0.06, away + 0.06]}
    if test != "test":
        one = {"difference": 0.01, "interval": [-0.05, 0.07]}
    return {"arm": name, "test": test, "seeds": [one, one], **one}


def _graded(evil: str) -> list[dict[str, Any]]:
    kinds = [(True, True, ""), (True, False, f"steps: {evil}"), (False, False, f"answer: {evil}")]
    return [
        {"question": f"question {n} {evil}", "text": f"said {n} {evil}", "answer": f"{n} {evil}",
         "right": right, "whole": whole, "reason": reason}
        for n, (right, whole, reason) in enumerate(kinds * 2)
    ]  # fmt: skip
