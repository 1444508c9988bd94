"""A distillation in words: the student, its teacher, and the arms beside it."""

from typing import Any

from stillroom.stages.distill import Report

TESTS = {"test": "ordinary questions", "extrapolate": "longer ones than it was trained on"}


def words(report: Report) -> str:
    """What a distillation came to, as the terminal says it."""
    told = report.figures
    lines = [sentence_of_teacher(told), ""]
    for test in told["questions"]:
        if test == "train":
            continue
        guess = percent(told["chance"][test])
        lines.append(f"Right on {told['questions'][test]:,} {TESTS[test]} (guessing: {guess}):")
        teacher = told["teacher"]["tests"].get(test)
        if teacher:
            lines.append(_line("teacher", told["teacher"].get("parameters", 0), teacher, None))
        for name, arm in told["arms"].items():
            ahead = next(
                (a for a in told["against"] if a["arm"] == name and a["test"] == test), None
            )
            lines.append(_line(name, arm["parameters"], arm["tests"][test], ahead))
        kept = told["kept"].get(test)
        if kept:
            lines.append(
                f"  The student keeps {percent(kept['mean'])} of what its teacher is better than "
                f"guessing ({percent(kept['worst'])} in the worst seed)."
            )
        lines.append("")
    lines.append(f"Student {report.model}, a folder for `transformers`.")
    return "\n".join(lines)


def sentence_of_teacher(told: dict[str, Any]) -> str:
    """Who taught, how many answers were accepted, why others were not."""
    teacher = told["teacher"]
    refused = ", ".join(f"{why} ({n:,})" for why, n in list(teacher["refused"].items())[:3])
    line = (
        f"{teacher['name']} answered {teacher['questions']:,} training questions; "
        f"{teacher['accepted']:,} have an answer that passed the check"
    )
    return f"{line}, refused answers: {refused}." if refused else f"{line}."


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _line(name: str, parameters: int, scored: dict[str, Any], ahead: dict[str, Any] | None) -> str:
    low, high = scored["interval"]
    line = (
        f"  {name:<21} {percent(scored['accuracy']):>7}  "
        f"({100 * low:.1f} to {100 * high:.1f}), {parameters:,} parameters"
    )
    if ahead is not None:
        less, more = ahead["interval"]
        points = f"{100 * ahead['difference']:+.1f} points ({100 * less:+.1f} to {100 * more:+.1f})"
        line += f"; the distilled one is ahead by {points}"
    return line
