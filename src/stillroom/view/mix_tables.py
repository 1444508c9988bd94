"""What the page's section about a run's mixes holds, ready to be set; from their manifests.

Where there is a mix for each generation all are rows of a table, and the last is shown in full.
"""

from pathlib import Path
from typing import Any

from stillroom.stages import mixing
from stillroom.stages.card import percent

SOURCES = 40  # rows of the table at most
LOWEST = 5  # slices that a checker refuses more often that are named
TEXT = 120  # characters of a name
ROLES = {"anchor": "of the human anchor", "fresh": "fresh human", "synthetic": "synthetic"}

Told = dict[str, Any]


def read_mixes(run: Path) -> dict[str, Told]:
    """The manifests of a run's mixes by their names, in order; empty where nothing was mixed."""
    found = {}
    for home in mixing.mixes(run):
        told = mixing.read_manifest(home)
        if told is not None:
            found[home.name] = told
    return found


def section(mixes: dict[str, Told]) -> Told:
    """All that the section's template needs but the charts."""
    name, last = [*mixes.items()][-1]
    return {
        "rows": [_row(*item) for item in mixes.items()],
        "name": name,
        "claim": last["claim"],
        "anchor": last["anchor"],
        "sentences": list(_sentences(last)),
        "sources": [_source(one) for one in last["sources"][:SOURCES]],
        "all_sources": len(last["sources"]),
        "notes": last["notes"],
        "root": last["root"],
    }


def _row(name: str, told: Told) -> Told:
    return {"name": name, "shares": told["shares"], "copies": told["copies"], **told["counts"]}


def _sentences(told: Told) -> Any:
    """What is in the mix, what was held out, what was dropped, and what else is to be known."""
    counts, copies = told["counts"], told["copies"]
    parts = ", ".join(
        f"{counts[role]:,} {words} ({percent(told['shares'][role])})"
        for role, words in ROLES.items()
        if counts[role]
    )
    yield f"The mix holds {counts['mix']:,} records: {parts}."
    yield (
        f"{counts['guard']:,} human records are held out for the guard and train nothing. "
        f"{copies['exact']:,} exact copies and {copies['near']:,} near-duplicates were dropped; of "
        "each group that member stays which is human, earliest, and nearest to human data."
    )
    if counts["derived"]:
        yield (
            f"{counts['derived']:,} records of human sources name a maker or parents: they count "
            "as synthetic."
        )
    if told["balance"]:
        yield (
            f"Weighted to the targets the mix counts as {told['balance']['effective_n']:,.0f} "
            f"records; the largest weight is {told['balance']['largest_weight']:.2f}."
        )
    worse = [one for one in told["pass_rates"] if one["refused_more"]]
    if worse:
        named = ", ".join(
            f"{one['tag']} {one['value']} ({percent(one['rate'])} pass)" for one in worse[:LOWEST]
        )
        yield f"The check refuses some slices more often than the rest: {named}."


def _source(one: Told) -> Told:
    """A source's row: what came of its records, and why some are left out."""
    roles = one["roles"]
    return {
        "name": _cut(one["source"]),
        "pool": one["pool"],
        "rows": one["rows"],
        "taken": sum(roles.get(role, 0) for role in mixing.IN_MIX),
        "guard": roles.get("guard", 0),
        "unused": roles.get("unused", 0),
        "reasons": [(_cut(why), count) for why, count in one["reasons"].items()],
        "tiers": [(tier or "none", count) for tier, count in one["tiers"].items()],
        "licences": [_cut(licence) for licence in one.get("licences", ())],
    }


def _cut(text: str) -> str:
    return text[:TEXT] + " …" if len(text) > TEXT else text
