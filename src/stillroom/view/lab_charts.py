"""Charts of a collapse laboratory as Vega-Lite specifications.

What the students can do and which rare types live, by generation and arm; what was predicted.
"""

from typing import Any

from stillroom.view.charts import styled
from stillroom.view.lab_tables import measure, whole

COLOURS = ("failed", "ochre", "kept", "yes", "violet", "refused", "soft", "ink")
APART = 0.05  # generations between the arms' points, so that intervals don't lie on each other
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")

Told = dict[str, Any]


def charts(told: Told) -> list[Told]:
    """As view/charts.py makes them."""
    name = measure(told)
    share = name == "accuracy"
    words = ("Right on what is rare", "Right on all") if share else (
        "Perplexity of rare words", "Perplexity of all words")  # fmt: skip
    found = [
        _curves(told, title, name, part, share)
        for title, part in zip(words, ("rare", whole(told)), strict=True)
    ]
    found.append(_curves(told, "Rare types that live", "alive", "rare", True))
    cells = [cell for cell in told["cells"] if cell["predicted"] is not None]
    return [*found, _cells(told, cells)] if cells else found


def _curves(told: Told, title: str, what: str, part: str, share: bool) -> Told:
    """By generation and arm: points with intervals over seeds; predictions as dashed lines."""
    import altair as alt

    arms = [*told["arms"]]
    rows = [
        {"arm": arm, "generation": point["generation"] + (place - (len(arms) - 1) / 2) * APART,
         "value": point[what][part]["mean"], "low": _end(point[what][part], "low", share),
         "high": _end(point[what][part], "high", share), "at": point["generation"]}
        for place, arm in enumerate(arms)
        for point in told["arms"][arm]["points"]
        if point[what][part]
    ]  # fmt: skip
    scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=True)
    axis = alt.Axis(format=".0%" if share else "~s", tickCount=5)
    x = alt.X("generation:Q", title=None, scale=alt.Scale(nice=False, padding=8),
              axis=alt.Axis(tickMinStep=1, format="d"))  # fmt: skip
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=x,
        color=_arms(alt, arms),
        tooltip=[
            alt.Tooltip("arm:N", title="arm"),
            alt.Tooltip("at:Q", title="generation"),
            alt.Tooltip("value:Q", title="mean", format=".1%" if share else ",.1f"),
            alt.Tooltip("low:Q", title="from", format=".1%" if share else ",.1f"),
            alt.Tooltip("high:Q", title="to", format=".1%" if share else ",.1f"),
        ],
    )
    y = alt.Y("value:Q", title=None, scale=scale, axis=axis)
    known = base.transform_filter("isValid(datum.low)")
    layers = [
        known.mark_rule(strokeWidth=3, opacity=0.45).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(filled=True, size=45, opacity=1).encode(y=y, shape=_shapes(alt, arms)),
    ]
    if what == "alive":
        layers.insert(0, _predicted(alt, told, arms, part))
    else:
        layers.insert(0, base.mark_line(strokeWidth=1.5).encode(y=y))
    chart = alt.layer(*layers).properties(width="container", height=220)
    seeds = len(told["seeds"])
    note = f"by generation; mean of {seeds} seeds, 95 % interval" if seeds > 1 else "by generation"
    note += "; dashed: predicted before training" if what == "alive" else ""
    return _chart(title, note, f"{title.lower()} by generation and arm", chart)


def _end(found: Told, name: str, share: bool) -> float | None:
    """An end of an interval, no further than shares or perplexities go."""
    end = found[name]
    if end is None:
        return None
    return min(1.0, max(0.0, float(end))) if share else max(1.0, float(end))


def _predicted(alt: Any, told: Told, arms: list[str], part: str) -> Any:
    rows = [
        {"arm": arm, "generation": point["generation"], "predicted": point["predicted"][part]}
        for arm in arms
        for point in told["arms"][arm]["points"]
        if point["predicted"][part] is not None
    ]
    return (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(strokeDash=[5, 3], strokeWidth=1.5)
        .encode(x="generation:Q", y="predicted:Q", color=_arms(alt, arms))
    )


def _cells(told: Told, cells: list[Told]) -> Told:
    """Every bin of types of every arm and generation: predicted share alive, and seen."""
    import altair as alt

    arms = [*told["arms"]]
    rows = [
        {"arm": cell["arm"], "predicted": cell["predicted"], "seen": cell["seen"],
         "types": cell["types"], "bin": cell["bin"], "generation": cell["generation"]}
        for cell in cells
    ]  # fmt: skip
    axis = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], titleColor="var(--soft)",
                    titleFontWeight="normal", titleFontSize=12)  # fmt: skip
    scale = alt.Scale(domain=[0, 1], nice=False)
    corners = [{"predicted": 0, "seen": 0}, {"predicted": 1, "seen": 1}]
    edge = [{"predicted": n / 20, "low": max(0, n / 20 - 0.1), "high": min(1, n / 20 + 0.1)}
            for n in range(21)]  # fmt: skip
    place = {"x": alt.X("predicted:Q", title="predicted", scale=scale, axis=axis)}
    layers = [
        alt.Chart(alt.InlineData(values=edge))
        .mark_area(opacity=0.12, color="var(--soft)")
        .encode(**place, y="low:Q", y2="high:Q"),
        alt.Chart(alt.InlineData(values=corners))
        .mark_line(color="var(--soft)", strokeWidth=1)
        .encode(**place, y="seen:Q"),
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, size=40, opacity=0.85)
        .encode(
            **place,
            y=alt.Y("seen:Q", title="seen", scale=scale, axis=axis),
            color=_arms(alt, arms),
            shape=_shapes(alt, arms),
            tooltip=[
                alt.Tooltip("arm:N", title="arm"),
                alt.Tooltip("generation:Q", title="generation"),
                alt.Tooltip("bin:N", title="expected count"),
                alt.Tooltip("types:Q", title="types"),
                alt.Tooltip("predicted:Q", title="predicted", format=".1%"),
                alt.Tooltip("seen:Q", title="seen", format=".1%"),
            ],
        ),
    ]
    chart = alt.layer(*layers).properties(width="container", height=220)
    note = "share of types alive, by how often they are expected; band: 10 points"
    return _chart("Predicted and seen", note, "share of types alive, predicted and seen", chart)


def _arms(alt: Any, arms: list[str]) -> Any:
    colours = [f"var(--{COLOURS[n % len(COLOURS)]})" for n in range(len(arms))]
    return alt.Color("arm:N", legend=_legend(alt), scale=alt.Scale(domain=arms, range=colours))


def _shapes(alt: Any, arms: list[str]) -> Any:
    shapes = [SHAPES[n % len(SHAPES)] for n in range(len(arms))]
    return alt.Shape("arm:N", legend=_legend(alt), scale=alt.Scale(domain=arms, range=shapes))


def _legend(alt: Any) -> Any:
    return alt.Legend(title=None, orient="bottom", columns=3, labelLimit=120, symbolOpacity=1)


def _chart(title: str, note: str, label: str, chart: Any) -> Told:
    return {"section": "lab", "title": title, "note": note, "tag": None, "label": label,
            "spec": styled(chart)}  # fmt: skip
