"""The guard's verdict in words that a newcomer understands."""

from typing import Any

from stillroom.stages.monitor import Watched

VERDICTS = {
    "PASS": "PASS: the rare cases are alive. A loss of a fifth of them is ruled out.",
    "ALARM": "ALARM: rare cases of the anchor are missing from this set.",
    "UNDERPOWERED": "UNDERPOWERED: these sets are too small to tell. That is no pass.",
}
TESTS = {
    "share": "their share of all occurrences",
    "types": "how many of them are there at all",
    "bets": "bets, document by document",
    "slices": "each type alone, corrected for being many",
}


def words(report: dict[str, Any]) -> str:
    """The verdict, its reasons, and what was lost, for a terminal."""
    lines = [VERDICTS[report["verdict"]], ""]
    for name, one in report["channels"].items():
        anchor, made = one["units"]
        lines.append(
            f"{name}: {one['verdict']}, {made:,} units against {anchor:,}, "
            f"{one['rare']:,} rare types"
        )
        lines.append(f"  {one['why']}")
        lines += [f"  {line}" for line in map(_test, one["parts"])]
    lines += [f"note: {note}" for note in report["notes"]]
    sure = [one for one in report["lost"] if one["corrected"] <= report["alpha"]]
    if sure:
        lines += ["", "surely rarer (units of the anchor that have it, and of the set):"]
        lines += [f"  {one['slice']}: {one['anchor']:,} and {one['set']:,}" for one in sure]
    return "\n".join(lines)


def _test(part: dict[str, Any]) -> str:
    said = f"{TESTS[part['name']]}: p {part['p']:.2g}, alarm at {part['alpha']:.2g}"
    if part["effect"] is None:
        return said
    low, high = part["interval"]
    left = f"{100 * part['effect']:.0f} % left ({100 * low:.0f} to {100 * high:.0f})"
    return f"{said}; {left}" + (f"; {part['needs']:,} units would decide" if part["needs"] else "")


def watched(seen: Watched) -> str:
    """What the bets on a stream have won."""
    lines = ["ALARM: the stream has less of the anchor's tail." if seen.alarm else "no alarm"]
    for name, wealth in seen.wealth.items():
        due = seen.crossed[name]
        lines.append(
            f"{name}: {seen.new:,} new documents of {seen.documents:,}; one coin is now "
            f"{wealth:.3g}" + (f"; due since document {due:,}" if due else "")
        )
    return "\n".join(lines)
