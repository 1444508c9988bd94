"""What the page's section about the student holds, ready to be set; from RUN/student/report.json.

Sentences, a table of accuracies a test, what each arm took, accuracy by concept and difficulty,
what was refused, a few graded answers. What the report lacks is empty here, and not on the page.
"""

from pathlib import Path
from typing import Any

from stillroom import files
from stillroom.stages import card
from stillroom.stages.card import STUDENT
from stillroom.view import student
from stillroom.view.slices import natural

ROWS, COLUMNS = 60, 40  # of the heat map at most
TEXT = 1200  # characters of a text that are shown
OPEN = 3  # graded answers that are not folded away
KEYS = ("questions", "chance", "teacher", "contamination", "arms", "against", "kept", "graded")

Told = dict[str, Any]


def read_report(run: Path) -> Told | None:
    """RUN/student/report.json; None where nothing was distilled."""
    return files.read_json(run / "student" / "report.json", *KEYS)


def section(told: Told) -> Told:
    """All that the section's template needs but the charts."""
    return {
        "sentences": student.sentences(told),
        "contamination": card.sentence_of_contamination(told),
        "tests": [_test(told, test) for test in card.tests(told)],
        "passes": [one for test in card.tests(told) if (one := _passes(told, test))],
        "costs": _costs(told),
        "asked": _asked(told["teacher"]),
        "heat": _heat(told),
        "refused": told["teacher"]["refused"],
        "example": _cut(told["teacher"]["example"] or {}),
        **_graded(told),
    }


def scored(told: Told, test: str) -> dict[str, Told]:
    """Who was judged by this test, the teacher first where it was, each with its figures."""
    teacher = told["teacher"]["tests"].get(test)
    arms = {name: arm["tests"][test] for name, arm in told["arms"].items()}
    return ({"teacher": teacher} if teacher else {}) | arms


def _test(told: Told, test: str) -> Told:
    """A test's table: a row an arm."""
    rows = [
        {
            "name": name,
            "student": name == STUDENT,
            **one,
            "asked": one["n"] * len(one["seeds"]),
            "ahead": card.ahead(told, name, test),
        }
        for name, one in scored(told, test).items()
    ]
    return {
        "title": card.title(test),
        "n": told["questions"][test],
        "chance": told["chance"][test],
        "rows": rows,
        "seeds": max(len(row["seeds"]) for row in rows),
    }


def _passes(told: Told, test: str) -> Told | None:
    """pass@k of those that gave several answers to a question."""
    rows = {name: one["pass"] for name, one in scored(told, test).items() if one["pass"]}
    ks = sorted({k for found in rows.values() for k in found}, key=int)
    return {"title": card.title(test), "ks": ks, "rows": rows} if rows else None


def _costs(told: Told) -> list[Told]:
    """What each arm learnt from, and what it took."""
    teacher, rows = told["teacher"], []
    if teacher.get("tokens"):  # it was trained here
        spent = teacher["cpu_seconds"] + teacher.get("answering_cpu_seconds", 0.0)
        about = "taught the others; its answers are among its CPU-seconds"
        rows.append(
            {**teacher, "name": "teacher", "about": about, "examples": teacher["gold"],
             "rate": None, "tried": {}, "cpu_seconds": spent}
        )  # fmt: skip
    for name, arm in told["arms"].items():
        rows.append({**arm, "name": name, "rate": arm["rate"] if arm["steps"] else None})
    return rows


def _asked(teacher: Told) -> str:
    """What a server's answers took, where one was asked."""
    if teacher["kind"] != "asked":
        return ""
    cost = f", money {teacher['cost']:.4f}" if teacher["cost"] else ""
    return (
        f"The teacher's {card.counted(teacher['answers'], 'answer')} took "
        f"{teacher['prompt_tokens']:,} tokens of prompts and {teacher['completion_tokens']:,} of "
        f"answers{cost}."
    )


def _heat(told: Told) -> Told | None:
    """Accuracy of the student by concept and difficulty, in all tests; the worst rows if many."""
    rows: dict[str, list[Told]] = {}
    for test in card.tests(told):
        groups = {name: _by_group(one) for name, one in scored(told, test).items()}
        for key, group in groups.pop(STUDENT).items():
            others = {name: found[key]["accuracy"] for name, found in groups.items()}
            words = _said(card.title(test), group, others)
            cell = {**group, "test": test, "title": words, "tags": _tags(group)}
            rows.setdefault(group["concept"], []).append(cell)
    columns = natural(dict.fromkeys(one["difficulty"] for cells in rows.values() for one in cells))
    if len(columns) > COLUMNS or (len(columns) < 2 and len(rows) < 2):
        return None
    worst = sorted(rows, key=lambda concept: _share(rows[concept])) if len(rows) > ROWS else [*rows]
    lines = [
        (concept, [[one for one in rows[concept] if one["difficulty"] == c] for c in columns])
        for concept in worst[:ROWS]
    ]
    beyond = any(one["test"] == "extrapolate" for cells in rows.values() for one in cells)
    return {"columns": columns, "rows": lines, "all": len(rows), "beyond": beyond}


def _by_group(figures: Told) -> dict[tuple[str, str], Told]:
    return {(one["concept"], one["difficulty"]): one for one in figures["groups"]}


def _share(groups: list[Told]) -> float:
    return float(sum(g["accuracy"] * g["n"] for g in groups) / sum(g["n"] for g in groups))


def _said(test: str, group: Told, others: dict[str, float]) -> str:
    """A cell in words: the student's share with its interval, then everybody else's."""
    level = f"difficulty {group['difficulty']}" if group["difficulty"] else ""
    where = ", ".join(filter(None, (group["concept"], level, test)))
    own = f"{card.percent(group['accuracy'])} ({card.span(group['interval'])})"
    said = f"{where}: the student is right on {own} of {group['n']:,}"
    beside = ", ".join(f"{name} {100 * share:.1f}" for name, share in others.items())
    return f"{said}; {beside} %" if beside else said


def _tags(group: Told) -> dict[str, str]:
    """The tags by which the records browser finds such questions."""
    return {tag: group[tag] for tag in ("concept", "difficulty") if group[tag]}


def _graded(told: Told) -> Told:
    """Graded answers, wrong ones first: the first few, and those that are folded away."""
    found = sorted(told["graded"], key=lambda one: (one["whole"], one["right"]))
    shown = [_cut(one) | {"mark": _mark(one)} for one in found]
    return {"graded": shown[:OPEN], "folded": shown[OPEN:]}


def _mark(one: Told) -> str:
    if one["whole"]:
        return "right"
    return "right answer, but the check refused the rest" if one["right"] else "wrong"


def _cut(one: Told) -> Told:
    """Long texts shortened, so that the page stays small."""
    return {
        key: value[:TEXT] + " …" if isinstance(value, str) and len(value) > TEXT else value
        for key, value in one.items()
    }
