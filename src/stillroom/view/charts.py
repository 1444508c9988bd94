"""Charts of tags and features as Vega-Lite specifications, made with Altair.

Colours are CSS variables of the page, so that the dark mode and print need no second drawing.
Vega-Lite: Satyanarayan et al., IEEE TVCG 2017.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from stillroom.view.findings import Finding, series
from stillroom.view.histogram import Histogram
from stillroom.view.slices import OUTCOMES, Tally, natural

MOST = 12  # charts of each kind
BARS = 25  # values in a chart; the others are told as a number


def charts(tally: Tally, features: Mapping[str, Histogram], shown: str) -> list[dict[str, Any]]:
    """Section, title, note, label, Vega-Lite spec and, for a tag, its name, chart by chart.

    `shown` says of which records the features are.
    """
    tags = tally.tags[:MOST]
    found = [_tag_chart(tag, tally.values[tag]) for tag in tags]
    for name, histogram in list(features.items())[:MOST]:
        if bins := histogram.bins():
            found.append(_feature_chart(name, bins, histogram.whole, shown))
    return found


def curves(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """A curve for each series of findings, as of generations, with the intervals that it has.

    The same chart entries as of `charts`.
    """
    return [_curve(*key, numbers) for key, numbers in series(findings).items()][:MOST]


def _curve(name: str, unit: str, numbers: Mapping[int, Finding]) -> dict[str, Any]:
    import altair as alt

    rows = [
        {"n": n} | {key: one.get(key) for key in ("value", "low", "high")}
        for n, one in numbers.items()
    ]
    bounded = any(row["low"] is not None for row in rows)
    told = [
        alt.Tooltip("n:Q", title=name),
        alt.Tooltip("value:Q", title=unit or "value", format=",.4~g"),
    ]
    if bounded:
        told += [
            alt.Tooltip(f"{key}:Q", title=f"95 %, {key}", format=",.4~g") for key in ("low", "high")
        ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("n:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=6, grid=False)),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
        tooltip=told,
    )
    line = base.mark_line(
        point=alt.OverlayMarkDef(color="var(--kept)", size=45), color="var(--kept)"
    )
    drawn = line
    if bounded:
        bars = base.mark_rule(color="var(--kept)", opacity=0.55, strokeWidth=2)
        drawn = alt.layer(bars.encode(y=alt.Y("low:Q"), y2="high:Q"), line)
    note = ", ".join(filter(None, (unit, "95 % bars" if bounded else "")))
    return {"section": "findings", "title": name, "note": note, "tag": None,
            "label": f"{name}, one number after another",
            "spec": styled(drawn.properties(width="container", height=150))}  # fmt: skip


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that needs no network."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    return bundle


def _tag_chart(tag: str, values: Mapping[str, list[int]]) -> dict[str, Any]:
    import altair as alt

    common = sorted(values, key=lambda value: -sum(values[value]))[:BARS]
    order = natural(common)
    rows = [
        {"value": value, "outcome": outcome, "n": n, "order": place}
        for value in order
        for place, (outcome, n) in enumerate(zip(OUTCOMES, values[value], strict=True))
        if n
    ]
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cursor="pointer")
        .encode(
            y=alt.Y("value:N", sort=order, title=None),
            x=alt.X("sum(n):Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=5)),
            color=_outcome_colour(alt),
            order="order:O",
            tooltip=[
                alt.Tooltip("value:N", title="value"),
                alt.Tooltip("outcome:N", title="outcome"),
                alt.Tooltip("n:Q", title="records", format=","),
            ],
        )
        .properties(width="container", height=17 * len(order))
    )
    note = f"the {BARS} commonest of {len(values)} values" if len(values) > BARS else ""
    return _chart(tag, note, tag, bars)


def _feature_chart(
    name: str, bins: list[tuple[float, float, list[int]]], whole: bool, shown: str
) -> dict[str, Any]:
    import altair as alt

    rows = [
        {"from": low, "to": high, "outcome": outcome, "n": n, "order": place}
        for low, high, counts in bins
        for place, (outcome, n) in enumerate(zip(OUTCOMES, counts, strict=True))
        if n
    ]
    axis = alt.Axis(tickCount=6, tickMinStep=1) if whole else alt.Axis(tickCount=6)
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("from:Q", bin="binned", title=None, axis=axis, scale=alt.Scale(zero=False)),
            x2="to:Q",
            y=alt.Y("n:Q", title=None, stack="zero", axis=alt.Axis(tickMinStep=1, tickCount=4)),
            color=_outcome_colour(alt),
            order="order:O",
            tooltip=[
                alt.Tooltip("from:Q", title="from"),
                alt.Tooltip("to:Q", title="to below"),
                alt.Tooltip("outcome:N", title="outcome"),
                alt.Tooltip("n:Q", title="records", format=","),
            ],
        )
        .properties(width="container", height=130)
    )
    return _chart(name, shown, None, bars)


def _chart(title: str, note: str, tag: str | None, bars: Any) -> dict[str, Any]:
    return {"section": "charts", "title": title, "note": note, "tag": tag,
            "label": f"records by {title}", "spec": styled(bars)}  # fmt: skip


def _outcome_colour(alt: Any) -> Any:
    colours = [f"var(--{outcome})" for outcome in OUTCOMES]
    return alt.Color(
        "outcome:N", legend=None, scale=alt.Scale(domain=list(OUTCOMES), range=colours)
    )


def styled(chart: Any) -> dict[str, Any]:
    """The specification, in the page's own colours and type."""
    styled = (
        chart.configure(background="transparent", font="system-ui, sans-serif", padding=2)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor="var(--soft)",
            gridColor="var(--line)",
            domainColor="var(--line)",
            tickColor="var(--line)",
            labelFontSize=12,
            labelLimit=150,
        )
        .configure_legend(labelColor="var(--ink)", labelFontSize=12)
    )
    spec: dict[str, Any] = styled.to_dict()
    return spec
