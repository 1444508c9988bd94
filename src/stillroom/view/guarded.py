"""The guard's verdict in words that a newcomer understands."""

from collections.abc import Sequence
from typing import Any

from stillroom.stages.guard import GRAVITY
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
    verdict = min((one["verdict"] for one in comparisons), key=GRAVITY.index)
    grave = [one for one in comparisons if one["verdict"] == verdict]
    pairs = "; ".join(f"{one['set']} beside {one['anchor']}" for one in grave[:2])
    pairs += f"; {len(grave) - 2} more" if len(grave) > 2 else ""
    if verdict == "PASS":
        return f"The rare cases are alive: at least {_kept(grave)} of them are kept ({pairs})."
    if verdict == "ALARM":
        return f"ALARM: rare cases are missing ({pairs}){_missing(grave[0])}."
    why = _first(grave[0])["why"]
    return f"Too small to tell whether the rare cases are alive ({pairs}): {why}."


def _kept(comparisons: Sequence[Told]) -> str:
    """The least share that is kept for sure, of all channels that have a tail."""
    ends = [part["interval"][0] for one in comparisons for channel in one["channels"].values()
            for part in channel["parts"] if part["interval"]]  # fmt: skip
    return f"{100 * min(ends):.0f} %"


def _first(one: Told) -> Told:
    """The first channel that has the comparison's verdict."""
    found: Told = next(
        channel for channel in one["channels"].values() if channel["verdict"] == one["verdict"]
    )
    return found


def _missing(one: Told) -> str:
    """In which channels, and the surest loss."""
    channels = [name for name, found in one["channels"].items() if found["verdict"] == "ALARM"]
    said = (
        f", as its {' and '.join(channels)} show"
        if len(channels) > 1
        else (f", as its {channels[0]} {'shows' if channels[0] == 'text' else 'show'}")
    )
    if not one["lost"] or one["lost"][0]["corrected"] > one["alpha"]:
        return said
    lost = one["lost"][0]
    anchor, made = one["channels"][lost["channel"]]["units"]
    due = lost["anchor"] / anchor * made
    return f"{said}: {lost['set']:,} units have {_short(lost['slice'])}, {due:,.0f} should"


def _short(text: str) -> str:
    return f"“{text[:80]} …”" if len(text) > 80 else f"“{text}”"


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
