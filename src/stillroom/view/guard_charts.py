"""Charts of the guard as Vega-Lite specifications: the wealth of its bets, survival foretold."""

from math import log, log10
from typing import Any

from stillroom.view.charts import styled
from stillroom.view.guard_tables import OPEN, ordered

COLOURS = ("kept", "refused", "violet")  # of text, tags and features
SURVIVAL = ("failed", "refused", "ochre", "yes", "kept", "violet", "soft")  # rarest first

Told = dict[str, Any]


def charts(told: Told) -> list[Told]:
    """As view/charts.py makes them, for each comparison that is shown in full."""
    found = []
    for number, one in enumerate(ordered(told)[:OPEN]):
        home = f"guard-{number}"
        paths = {name: channel for name, channel in one["channels"].items() if channel["path"]}
        found += [_wealth(home, paths)] if paths else []
        found += [_survival(home, name, some) for name, some in one["forecast"].items() if some]
    return found


def _wealth(home: str, channels: dict[str, Told]) -> Told:
    """What one coin became, unit by unit, on a log axis; the line is where the alarm is due."""
    import altair as alt

    rows = [
        {"channel": name, "units": units, "wealth": logarithm / log(10)}
        for name, channel in channels.items()
        for units, logarithm in ((0, 0.0), *channel["path"])
    ]
    # Two thirds of the bets' alpha are for the bets, the rest for their rate (watching.py).
    due = log10(1.5 / min(_bets(channel)["alpha"] for channel in channels.values()))
    alarm = alt.Chart(alt.InlineData(values=[{"wealth": due, "said": "alarm"}]))
    coin = "format(pow(10, datum.value), abs(datum.value) < 6 ? ',~r' : '.0e')"
    lines = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("units:Q", title=None, axis=alt.Axis(tickCount=4, format=",~f"),
                    scale=alt.Scale(nice=False)),
            y=alt.Y("wealth:Q", title=None,
                    axis=alt.Axis(tickCount=5, tickMinStep=1, labelExpr=coin)),
            color=_colour(alt, "channel", [*channels], COLOURS, len(channels) > 1),
            tooltip=[alt.Tooltip("channel:N", title="channel")],
        )
    )  # fmt: skip
    layers = [
        alarm.mark_rule(strokeDash=[5, 3], strokeWidth=1.5, color="var(--no)").encode(y="wealth:Q"),
        alarm.mark_text(align="left", dx=4, dy=-6, fontSize=11, color="var(--no)").encode(
            x=alt.value(0), y="wealth:Q", text="said:N"
        ),
        lines,
    ]
    chart = alt.layer(*layers).properties(width="container", height=180)
    note = (
        "what one coin became that bets, unit by unit of the set, on fewer rare cases; if there "
        f"are as many, it is a fair game at best. Alarm at {10**due:,.0f}"
    )
    return _chart(home, "Wealth of the bets", note, "wealth of the bets by channel", chart)


def _bets(channel: Told) -> Told:
    found: Told = next(part for part in channel["parts"] if part["name"] == "bets")
    return found


def _survival(home: str, channel: str, some: list[Told]) -> Told:
    """The share of types still there, by generation and by how often the anchor has them."""
    import altair as alt

    rows = [
        {"types": curve["name"], "generation": generation, "share": share,
         "fresh": _fresh(told), "n": curve["types"], "low": curve["low"][generation],
         "high": curve["high"][generation]}
        for told in some
        for curve in told["bins"]
        for generation, share in enumerate(curve["share"])
    ]  # fmt: skip
    bins = list(dict.fromkeys(row["types"] for row in rows))
    shares = [_fresh(told) for told in some]
    dashes = alt.StrokeDash(
        "fresh:N",
        legend=None,
        scale=alt.Scale(domain=shares, range=[[1, 0], [5, 3]][: len(shares)]),
    )
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(strokeWidth=2, clip=True)
        .encode(
            x=alt.X("generation:Q", title=None, axis=alt.Axis(tickMinStep=1, format="d"),
                    scale=alt.Scale(nice=False)),
            y=alt.Y("share:Q", title=None, scale=alt.Scale(domain=[0, 1]),
                    axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])),
            color=_colour(alt, "types", bins, SURVIVAL, True),
            strokeDash=dashes,
            tooltip=[
                alt.Tooltip("types:N", title="types"),
                alt.Tooltip("n:Q", title="of them", format=","),
                alt.Tooltip("fresh:N", title="with"),
            ],
        )
        .properties(width="container", height=200)
    )  # fmt: skip
    note = "types still there after so many generations, by how often the anchor had them"
    note += f"; dashed: with {shares[1]} human data in each" if len(shares) > 1 else ""
    if not all(told["applies"] for told in some):
        note += "; the law does not apply here (see below)"
    label = f"survival of types of {channel} by generation"
    return _chart(home, f"Survival foretold: {channel}", note, label, chart)


def _fresh(told: Told) -> str:
    return f"{100 * told['fresh']:g} % fresh" if told["fresh"] else "nothing fresh"


def _colour(alt: Any, field: str, names: list[str], colours: tuple[str, ...], legend: bool) -> Any:
    """A colour for each name, in their order."""
    shown = alt.Legend(title=None, orient="bottom", columns=2, symbolType="stroke",
                       symbolSize=300, symbolStrokeWidth=2, labelLimit=190)  # fmt: skip
    found = [f"var(--{colours[n % len(colours)]})" for n in range(len(names))]
    return alt.Color(
        f"{field}:N",
        legend=shown if legend else None,
        scale=alt.Scale(domain=names, range=found),
    )


def _chart(home: str, title: str, note: str, label: str, chart: Any) -> Told:
    return {"section": home, "title": title, "note": note, "tag": None, "label": label,
            "spec": styled(chart)}  # fmt: skip
