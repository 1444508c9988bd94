"""A mix in words: its card (README.md, as data hubs read it) and what the terminal says.

`told` is always the mix's manifest. No date and no path stands in a card: the same mix, the same
bytes.
"""

from pathlib import Path
from typing import Any

from stillroom import files
from stillroom.collapse.settings import Mix

Told = dict[str, Any]


def write_card(home: Path, told: Told, how: Mix) -> None:
    files.write_file(home / "README.md", card(told, how).encode())


def card(told: Told, how: Mix) -> str:
    """The card's text."""
    counts, shares = told["counts"], told["shares"]
    human = counts["anchor"] + counts["fresh"]
    kind = "human and synthetic data" if human else "synthetic data, without a human anchor"
    sources = "\n".join(
        f"| {_plain(one['source'])} | {one['pool']} | {one['rows']:,} | {_took(one)} "
        f"| {_plain(', '.join(one.get('licences', ())))} | {_words(one.get('tiers', {}))} |"
        for one in told["sources"]
    )
    return f"""---
license: other
tags:
- synthetic
- mixed
- stillroom
configs:
- config_name: default
  data_files:
  - split: train
    path: data/*.parquet
---
# A mix of {kind}

**{shares["synthetic"]:.1%} of these records are synthetic**; each says so in `origin.kind`. \
{_human(told, how)}

| | |
|---|---|
| records | {counts["mix"]:,}: {counts["anchor"]:,} human anchor, {counts["fresh"]:,} fresh human, \
{counts["synthetic"]:,} synthetic |
| generations away from human data (`origin.depth`) | {_words(told["depths"])} |
| human records held out for the guard (not here) | {counts["guard"]:,} |
| exact copies, near-duplicates dropped | {told["copies"]["exact"]:,}, {told["copies"]["near"]:,} |
| root | `{told["root"]}` |

| source | as | rows | taken | licence | evidence tiers |
|---|---|---|---|---|---|
{sources}
{_list(told["notes"])}
Every record that was offered, and why it is not in the mix, stands in `ids.parquet`.
"""


def words(told: Told) -> str:
    """A mix in a few lines, as the terminal says it."""
    counts, shares = told["counts"], told["shares"]
    lines = [
        f"{counts['mix']:,} records: {counts['anchor']:,} of the human anchor, "
        f"{counts['fresh']:,} fresh, {counts['synthetic']:,} synthetic "
        f"({shares['synthetic']:.1%}).",
        f"{counts['guard']:,} human records are held out for the guard.",
    ]
    for one in told["sources"]:
        why = "; ".join(f"{count:,} {reason}" for reason, count in one["reasons"].items())
        derived = f"; {one['derived']:,} claim more than they are: derived" * bool(one["derived"])
        taken = f"{one['source']}: {_took(one)} of {one['rows']:,}"
        lines.append(f"  {taken}{f' (not: {why})' if why else ''}{derived}")
    balance = told["balance"]
    if balance:
        lines.append(
            f"Weighted to the targets, they count as {balance['effective_n']:,.0f} records "
            f"(largest weight {balance['largest_weight']:.2f})."
        )
    worse = [f"{one['tag']} {one['value']} ({one['rate']:.0%})"
             for one in told["pass_rates"] if one["refused_more"]]  # fmt: skip
    if worse:
        lines.append(f"The check refuses more often than the rest: {', '.join(worse[:5])}.")
    return "\n".join(
        [*lines, *(f"Note: {note}." for note in told["notes"]), f"Root {told['root']}."]
    )


def _human(told: Told, how: Mix) -> str:
    if not told["anchor"]:
        return "**No anchor: there is no trusted human record in this mix**, by the maker's wish."
    return (
        f"The human ones are pre-cutoff, presumed human: trusted evidence dates their bytes before "
        f"{how.cutoff}, which does not prove who wrote them. First-party ones were collected with "
        "consent, and are signed by who collected them."
    )


def _took(one: Told) -> str:
    taken = sum(one["roles"].get(role, 0) for role in ("anchor", "fresh", "synthetic"))
    return f"{taken:,}"


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{name or 'none'}: {count:,}" for name, count in counts.items())


def _list(notes: list[str]) -> str:
    return "".join(f"\n- {note}" for note in notes) + "\n" if notes else ""


def _plain(text: str) -> str:
    """Text from data that can't break a table or a link."""
    return "".join(f"&#{ord(c)};" if c in "|<>[]`*_\\" else c for c in text.replace("\n", " "))
