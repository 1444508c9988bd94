"""A distillation in words: the student, its teacher, and the arms beside it.

`told` is always RUN/student/report.json; what the model's card says, too, is in stages/card.py.
"""

from pathlib import Path
from typing import Any

from stillroom.stages import card
from stillroom.stages.card import STUDENT, percent, points, span, tests, title


def words(folder: Path, told: dict[str, Any]) -> str:
    """What a distillation came to, as the terminal says it: `told` is its report.json."""
    lines = [card.sentence_of_teacher(told), ""]
    for test in tests(told):
        guess = percent(told["chance"][test])
        lines.append(f"Right on {told['questions'][test]:,} {title(test)} (guessing: {guess}):")
        teacher = told["teacher"]["tests"].get(test)
        if teacher:
            lines.append(_line("teacher", told["teacher"].get("parameters", 0), teacher, None))
        for name, arm in told["arms"].items():
            lead = card.ahead(told, name, test)
            lines.append(_line(name, arm["parameters"], arm["tests"][test], lead))
        kept = card.sentence_of_kept(told, test)
        lines += [f"  {kept}", ""] if kept else [""]
    lines += [card.sentence_of_contamination(told), ""]
    lines.append(f"Student {folder / 'model'}, a folder for `transformers`.")
    return "\n".join(lines)


def headline(told: dict[str, Any]) -> str:
    """The student in one sentence, for the top of a page."""
    return (
        f"A student of {told['arms'][STUDENT]['parameters']:,} parameters, taught by "
        f"{told['teacher']['name']}, is right on {_reached(told, tests(told)[0])}."
    )


def sentences(told: dict[str, Any]) -> list[str]:
    """Who taught; then, a test, what the student reaches beside the best baseline, and keeps."""
    found = [card.sentence_of_teacher(told)]
    seeds = len(told["arms"][STUDENT]["tests"][tests(told)[0]]["seeds"])
    who = f"The student (mean of {seeds} seeds)" if seeds > 1 else "The student"
    for test in tests(told):
        guess = percent(told["chance"][test])
        found.append(f"{who} is right on {_reached(told, test)}; guessing: {guess}.")
        who = "It"
        kept = card.sentence_of_kept(told, test)
        found += [kept] if kept else []
    return found


def best_baseline(told: dict[str, Any], test: str) -> str | None:
    """The arm beside the student that is right most often on this test."""
    others = [name for name in told["arms"] if name != STUDENT]
    return max(others, key=lambda name: told["arms"][name]["tests"][test]["accuracy"], default=None)


def _reached(told: dict[str, Any], test: str) -> str:
    """Accuracy with its interval, and the best baseline's with what lies between them."""
    own = told["arms"][STUDENT]["tests"][test]
    line = f"{percent(own['accuracy'])} ({span(own['interval'])}) of {own['n']:,} {title(test)}"
    name = best_baseline(told, test)
    lead = card.ahead(told, name, test) if name is not None else None
    if name is None or lead is None:
        return line
    other = told["arms"][name]["tests"][test]["accuracy"]
    low, high = lead["interval"]
    away = f"{points(abs(lead['difference'])).lstrip('+')} points"
    if low <= 0 <= high:
        between = f"a difference of {away}, which may be chance ({span((low, high))})"
    elif low > 0:
        between = f"{away} less ({span((low, high))})"
    else:
        between = f"{away} more ({span((-high, -low))})"
    return f"{line}; the best baseline, {name}, on {percent(other)}: {between}"


def _line(name: str, parameters: int, scored: dict[str, Any], lead: dict[str, Any] | None) -> str:
    line = (
        f"  {name:<21} {percent(scored['accuracy']):>7}  "
        f"({span(scored['interval'])}), {parameters:,} parameters"
    )
    if lead is not None:
        away = f"{points(lead['difference'])} points ({span(lead['interval'])})"
        line += f"; the distilled one is ahead by {away}"
    return line
