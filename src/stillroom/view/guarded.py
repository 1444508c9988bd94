"""The guard's verdict in words that a newcomer understands."""

from collections.abc import Sequence
from typing import Any

from stillroom.stages.monitor import Watched

Told = dict[str, Any]

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


def words(report: Told) -> str:
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


def _test(part: Told) -> str:
    said = f"{TESTS[part['name']]}: p {part['p']:.2g}, alarm at {part['alpha']:.2g}"
    if part["effect"] is None:
        return said
    low, high = part["interval"]
    left = f"{100 * part['effect']:.0f} % left ({100 * low:.0f} to {100 * high:.0f})"
    return f"{said}; {left}" + (f"; {part['needs']:,} units would decide" if part["needs"] else "")


def headline(comparisons: Sequence[Told]) -> str:
    """The gravest verdict of a run in one sentence, for the top of a page."""
    order = ("ALARM", "UNDERPOWERED", "PASS")
    verdict = min((one["verdict"] for one in comparisons), key=order.index)
    grave = [one for one in comparisons if one["verdict"] == verdict]
    pairs = "; ".join(f"{one['set']} beside {one['anchor']}" for one in grave[:2])
    pairs += f" and {len(grave) - 2} more" if len(grave) > 2 else ""
    if verdict == "PASS":
        return f"The rare cases are alive: a loss of a fifth of them is ruled out ({pairs})."
    if verdict == "ALARM":
        return f"ALARM: rare cases are missing ({pairs}): {grave[0]['why']}."
    return f"Too small to tell whether the rare cases are alive ({pairs}): {grave[0]['why']}."


def foretold(told: Told) -> str:
    """What a loop would leave of an anchor, channel by channel; `told` is foresight's."""
    lines = [f"{told['anchor']}: {told['generations']} generations, each made from the last."]
    for name, one in told["channels"].items():
        lines += ["", f"{name}: {one['types']:,} types in {one['units']:,} units"]
        lines.append(f"  {one['words']}")
        lines += [
            f"  {curve['name']}: {curve['types']:,} types, {100 * curve['share'][-1]:.0f} % left"
            for curve in one["bins"]
        ]
    return "\n".join(lines)


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
