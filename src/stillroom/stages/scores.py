"""What a distillation came to: every arm on every test, with intervals, side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from math import exp
from pathlib import Path
from typing import Any

from stillroom import measures
from stillroom.stages import views
from stillroom.stages.arms import Arm
from stillroom.stages.contamination import Overlap
from stillroom.stages.distilling import Plan
from stillroom.stages.questions import Posed, Sets
from stillroom.stages.taken import Taken
from stillroom.students.settings import ARMS
from stillroom.world import stream

SHOWN = 12  # graded answers in the report
Rows = Sequence[dict[str, Any]]


def report(
    plan: Plan, sets: Sets, taken: Taken, arms: dict[str, Arm], root: str, overlap: Overlap
) -> dict[str, Any]:
    """All figures of RUN/student/report.json; plain JSON without paths; all but CPU-seconds is
    the same for the same recipe."""
    tests = {"test": sets.test, "extrapolate": sets.extrapolate}
    tests = {name: questions for name, questions in tests.items() if questions}
    chance = {name: guessing(sets.train, questions) for name, questions in tests.items()}
    told = {name: _arm(arm, tests, chance) for name, arm in arms.items()}
    accepted = sum(1 for one in taken.pool if taken.accepted(one))
    about = {key: value for key, value in taken.about.items() if key != "tests"}
    graded = taken.about.get("tests", {})
    return {
        "root": root,
        "mode": plan.how.mode,
        "keep": plan.how.keep,
        "student": Path(plan.how.student).name,
        "questions": {"train": len(sets.train), **{name: len(q) for name, q in tests.items()}},
        "chance": {name: _mean(list(by.values())) for name, by in chance.items()},
        "teacher": {
            **about,
            "questions": len(taken.pool),
            "answers": sum(len(answers) for answers in taken.answers.values()),
            "accepted": accepted,
            "refused": views.reasons(taken),
            "example": _refused(taken),
            "tests": {
                name: _scored([rows], tests[name], chance[name]) for name, rows in graded.items()
            },
        },
        "contamination": asdict(overlap),
        "arms": told,
        "against": _against(arms, tests),
        "kept": _kept(arms["distilled"], graded, tests, chance),
        "graded": _shown(arms["distilled"], tests),
    }


def guessing(train: Sequence[Posed], test: Sequence[Posed]) -> dict[str, float]:
    """By concept, the share right of who always says the commonest answer of the training set."""
    common: dict[str, Counter[str]] = {}
    for one in train:
        common.setdefault(one.concept, Counter())[one.answer] += 1
    hits: dict[str, list[bool]] = {}
    for one in test:
        counted = common.get(one.concept)
        usual = counted.most_common(1)[0][0] if counted else None
        hits.setdefault(one.concept, []).append(one.answer == usual)
    return {concept: sum(right) / len(right) for concept, right in sorted(hits.items())}


def corrected(rows: Rows, questions: Sequence[Posed], chance: dict[str, float]) -> float:
    """Accuracy corrected for chance, averaged over concepts."""
    concept_of = {one.id: one.concept for one in questions}
    right: dict[str, list[bool]] = {}
    for row in _greedy(rows):
        right.setdefault(concept_of[row["id"]], []).append(row["right"])
    return _mean(
        [
            measures.chance_corrected(sum(hits) / len(hits), chance[concept])
            for concept, hits in right.items()
            if chance[concept] < 1
        ]
    )


def _arm(
    arm: Arm, tests: dict[str, list[Posed]], chance: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """One arm: what it learnt from and took, and how it does on each test."""
    first = arm.courses[0]
    return {
        "about": ARMS[arm.name],
        "examples": arm.examples,
        "rate": arm.rate,
        "tried": arm.tried,
        "parameters": first["parameters"],
        "tokens": first["tokens"],
        "learnt": first["learnt"],
        "steps": first["steps"],
        "cpu_seconds": round(sum(course["cpu_seconds"] for course in arm.courses), 1),
        "curve": first["curve"],
        "tests": {
            name: _scored(arm.answers[name], questions, chance[name])
            | {"held_out": arm.held_out[name]}
            for name, questions in tests.items()
        },
    }


def _scored(
    seeds: Sequence[Rows], questions: Sequence[Posed], chance: dict[str, float]
) -> dict[str, Any]:
    """Accuracy over seeds with an interval, by concept and difficulty, pass@k, calibration."""
    greedy = [_greedy(rows) for rows in seeds]
    n = len(questions)
    right = [[row["right"] for row in rows] for rows in greedy]
    shares = [sum(hits) / n for hits in right]
    group_of = {one.id: (one.concept, one.difficulty) for one in questions}
    groups: dict[tuple[str, str], list[bool]] = {}
    for rows in greedy:
        for row in rows:
            groups.setdefault(group_of[row["id"]], []).append(row["right"])
    return {
        "n": n,
        "accuracy": _mean(shares),
        "interval": _interval(right),
        "corrected": [corrected(rows, questions, chance) for rows in seeds],
        "seeds": [
            {"accuracy": share, "interval": measures.wilson(sum(hits), n)}
            for share, hits in zip(shares, right, strict=True)
        ],
        "whole": _mean([sum(row["whole"] for row in rows) / n for rows in greedy]),
        "cut_off": sum(not row["ended"] for rows in greedy for row in rows),
        "calibration_error": _mean(
            [
                measures.calibration_error(
                    [min(1.0, exp(row["logprob"])) for row in rows], [row["whole"] for row in rows]
                )
                for rows in greedy
            ]
        ),
        "pass": _pass(seeds[0]),
        "groups": [
            {"concept": concept, "difficulty": difficulty, "n": len(hits) // len(greedy),
             "accuracy": sum(hits) / len(hits),
             "interval": measures.wilson(sum(hits) // len(greedy), len(hits) // len(greedy))}
            for (concept, difficulty), hits in sorted(groups.items(), key=_order)
        ],
    }  # fmt: skip


def _order(item: tuple[tuple[str, str], list[bool]]) -> tuple[str, float, str]:
    concept, difficulty = item[0]
    number = difficulty.replace(".", "", 1)
    return concept, float(difficulty) if number.isdigit() else 0.0, difficulty


def _interval(right: list[list[bool]]) -> tuple[float, float]:
    """Of the mean over seeds and questions; one seed has Wilson's."""
    n, whole = len(right[0]), sum(map(sum, right))
    low, high = measures.wilson(round(whole / len(right)), n)
    if len(right) > 1:
        wide = measures.seeds_mean(right, stream("interval")).interval
        low, high = min(low, wide[0]), max(high, wide[1])
    return max(0.0, low), min(1.0, high)


def _pass(rows: Rows) -> dict[str, Any]:
    """pass@k of the first seed's sampled answers, k in powers of two."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        if row["sample"] > 0:
            tally = counts.setdefault(row["id"], [0, 0])
            tally[0] += 1
            tally[1] += row["right"]
    if not counts:
        return {}
    pairs = [(n, c) for n, c in counts.values()]
    most, found, k = min(n for n, _ in pairs), {}, 1
    while k <= most:
        mean = measures.mean_pass_at_k(pairs, k, stream(f"pass@{k}"))
        found[str(k)] = {"value": mean.value, "interval": mean.interval}
        k *= 2
    return found


def _against(arms: dict[str, Arm], tests: dict[str, list[Posed]]) -> list[dict[str, Any]]:
    """The distilled student less each other arm, on the same questions, seed by seed."""
    found = []
    for name, arm in arms.items():
        if name == "distilled":
            continue
        for test in tests:
            pairs = [
                ([r["right"] for r in _greedy(one)], [r["right"] for r in _greedy(other)])
                for one, other in zip(
                    arms["distilled"].answers[test], arm.answers[test], strict=True
                )
            ]
            each = [measures.paired(a, b) for a, b in pairs]
            line: dict[str, Any] = {
                "arm": name,
                "test": test,
                "seeds": [{"difference": one.difference, "interval": one.interval} for one in each],
            }
            if len(pairs) > 1:
                less = [[int(x) - int(y) for x, y in zip(a, b, strict=True)] for a, b in pairs]
                over = measures.seeds_mean(less, stream(f"{name} {test}"))
                line |= {"difference": over.mean, "interval": over.interval}
            else:
                line |= {"difference": each[0].difference, "interval": each[0].interval}
            found.append(line)
    return found


def _kept(
    arm: Arm,
    graded: dict[str, Rows],
    tests: dict[str, list[Posed]],
    chance: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """What the student keeps of its teacher's lead over guessing; {} for exact teachers."""
    found = {}
    for test, rows in graded.items():
        top = corrected(rows, tests[test], chance[test])
        if top > 0:
            each = [corrected(one, tests[test], chance[test]) / top for one in arm.answers[test]]
            found[test] = {"mean": _mean(each), "worst": min(each), "seeds": each}
    return found


def _refused(taken: Taken) -> dict[str, Any] | None:
    """One refused answer, with what the check said."""
    for question in taken.pool:
        for answer in taken.answers.get(question.id, ()):
            if not answer["whole"]:
                return {"question": question.messages[-1]["content"], "text": answer["text"],
                        "reason": answer["reason"]}  # fmt: skip
    return None


def _shown(arm: Arm, tests: dict[str, list[Posed]]) -> list[dict[str, Any]]:
    """A few graded answers of the first seed: wrong ones first, as they say most."""
    asked = {one.id: one for questions in tests.values() for one in questions}
    rows = [row for test in tests for row in _greedy(arm.answers[test][0])]
    rows.sort(key=lambda row: (row["right"], row["whole"]))
    wrong = [row for row in rows if not row["whole"]]
    # From all along the list, so that each kind of wrong is likely to be among them.
    wrong = wrong[:: max(1, len(wrong) * 2 // SHOWN)][: SHOWN // 2]
    right = [row for row in rows if row["whole"]][: SHOWN - len(wrong)]
    return [
        {
            "question": asked[row["id"]].messages[-1]["content"],
            "text": row["text"],
            "answer": asked[row["id"]].answer,
            "right": row["right"],
            "whole": row["whole"],
            "reason": row["reason"],
        }
        for row in [*wrong, *right]
    ]


def _greedy(rows: Rows) -> list[dict[str, Any]]:
    return [row for row in rows if row["sample"] == 0]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
