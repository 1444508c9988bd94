"""Charts of a run's last mix as Vega-Lite specifications: vintages, depths; shares mix by mix."""

from collections import Counter
from typing import Any

from stillroom.stages.card import percent
from stillroom.stages.mixing import IN_MIX
from stillroom.view.charts import styled
from stillroom.view.slices import natural

TIERS = {"A": "kept", "B": "yes", "C": "ochre", "D": "refused", "E": "failed",
         "first-party": "violet", "no tier": "soft"}  # fmt: skip
ROLES = dict(zip(IN_MIX, ("kept", "yes", "refused"), strict=True))
ROW = 26  # pixels of a bar

Told = dict[str, Any]


def charts(mixes: dict[str, Told]) -> list[Told]:
    """As view/charts.py makes them."""
    last = [*mixes.values()][-1]
    vintages = Counter[tuple[str, str]]()
    for source in last["sources"]:
        for year, tiers in source.get("vintages", {}).items():
            for tier, count in tiers.items():
                vintages[_year(year), tier or "no tier"] += count
    found = [_vintages(vintages)] if vintages else []
    return [*found, _depths(last["depths"]), *([_shares(mixes)] if len(mixes) > 1 else [])]


def _year(year: str) -> str:
    return "no date" if year == "0" else year


def _vintages(counts: Counter[tuple[str, str]]) -> Told:
    """Human records by year and tier."""
    import altair as alt

    rows = [
        {"year": year, "tier": tier, "n": n, "order": list(TIERS).index(tier)}
        for (year, tier), n in counts.items()
    ]
    years = sorted({year for year, _ in counts}, key=lambda year: (not year.isdigit(), year))
    if years[0].isdigit():  # years without a record show as gaps
        dated = [int(year) for year in years if year.isdigit()]
        years = [*map(str, range(dated[0], dated[-1] + 1)), *years[len(dated) :]]
    tiers = [tier for tier in TIERS if any(tier == one for _, one in counts)]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("year:N", sort=years, title=None, scale=alt.Scale(domain=years),
                    axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("n:Q", title=None, stack="zero", axis=alt.Axis(tickMinStep=1, tickCount=4)),
            color=_colour(alt, "tier", {tier: TIERS[tier] for tier in tiers}),
            order="order:O",
            tooltip=[
                alt.Tooltip("year:N", title="year"),
                alt.Tooltip("tier:N", title="tier"),
                alt.Tooltip("n:Q", title="records", format=","),
            ],
        )
        .properties(width="container", height=170)
    )  # fmt: skip
    note = "human records by the latest year that they can be of, and the tier of the evidence"
    return _chart("Vintages", note, "human records by year and tier", chart)


def _depths(depths: dict[str, int]) -> Told:
    """The share of the mix by generations away from human data."""
    import altair as alt

    whole = sum(depths.values()) or 1
    rows = [
        {"depth": f"{depth}, human" if depth == "0" else depth, "n": depths[depth],
         "share": depths[depth] / whole, "said": percent(depths[depth] / whole)}
        for depth in natural(depths)
    ]  # fmt: skip
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("depth:N", sort=None, title=None),
        x=alt.X("share:Q", title=None, scale=alt.Scale(domain=[0, 1.15], nice=False),
                axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])),
        tooltip=[
            alt.Tooltip("depth:N", title="depth"),
            alt.Tooltip("n:Q", title="records", format=","),
        ],
    )  # fmt: skip
    said = base.mark_text(align="left", dx=4, fontSize=11).encode(
        text="said:N", color=alt.value("var(--ink)")
    )
    chart = alt.layer(base.mark_bar(color="var(--kept)"), said).properties(
        width="container", height=ROW * len(rows)
    )
    return _chart("Depth", "generations away from human data", "share of the mix by depth", chart)


def _shares(mixes: dict[str, Told]) -> Told:
    """What each mix is made of."""
    import altair as alt

    rows = [
        {"mix": name, "role": role, "share": told["shares"][role], "n": told["counts"][role],
         "order": place}
        for name, told in mixes.items()
        for place, role in enumerate(IN_MIX)
    ]  # fmt: skip
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("mix:N", sort=None, title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("share:Q", title=None, stack="zero", scale=alt.Scale(domain=[0, 1]),
                    axis=alt.Axis(format=".0%", values=[0, 0.5, 1])),
            color=_colour(alt, "role", ROLES),
            order="order:O",
            tooltip=[
                alt.Tooltip("mix:N", title="mix"),
                alt.Tooltip("role:N", title="records"),
                alt.Tooltip("n:Q", title="of them", format=","),
                alt.Tooltip("share:Q", title="share", format=".1%"),
            ],
        )
        .properties(width="container", height=150)
    )  # fmt: skip
    return _chart("Mix by mix", "of what each is made", "shares by mix", chart)


def _colour(alt: Any, field: str, colours: dict[str, str]) -> Any:
    return alt.Color(
        f"{field}:N",
        legend=alt.Legend(title=None, orient="bottom", symbolType="square"),
        scale=alt.Scale(domain=[*colours], range=[f"var(--{one})" for one in colours.values()]),
    )


def _chart(title: str, note: str, label: str, chart: Any) -> Told:
    return {"section": "mix", "title": title, "note": note, "tag": None, "label": label,
            "spec": styled(chart)}  # fmt: skip
