"""Charts of a distillation as Vega-Lite specifications: accuracies with intervals, loss curves."""

from typing import Any

from stillroom.stages import card
from stillroom.stages.card import STUDENT
from stillroom.view.charts import styled
from stillroom.view.student_tables import Told, scored

# Of the student, then of the arms in their order; the teacher has the ink's.
COLOURS = ("kept", "refused", "yes", "failed", "violet", "ochre", "soft")
DASHES = ([1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3], [10, 4])
POINTS = 150  # of a loss curve at most
WIDE = 20.0  # losses that differ by more than this factor are drawn on a log axis


def charts(told: Told) -> list[dict[str, Any]]:
    """As view/charts.py makes them: one a test, then the loss curves where something was learnt."""
    found = [_accuracy(told, test) for test in card.tests(told)]
    curves = {name: arm["curve"] for name, arm in told["arms"].items() if len(arm["curve"]) > 1}
    return [*found, _losses(told, curves)] if curves else found


def _accuracy(told: Told, test: str) -> dict[str, Any]:
    """A point with its interval an arm; guessing as a line."""
    import altair as alt

    rows = [
        {"arm": name, "right": one["accuracy"], "low": one["interval"][0],
         "high": one["interval"][1], "said": card.percent(one["accuracy"])}
        for name, one in scored(told, test).items()
    ]  # fmt: skip
    names = [row["arm"] for row in rows]
    x = alt.X(
        "right:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1]),
    )
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("arm:N", sort=names, title=None),
        color=_colour(told),
        tooltip=[
            alt.Tooltip("arm:N", title="arm"),
            alt.Tooltip("right:Q", title="right", format=".1%"),
            alt.Tooltip("low:Q", title="from", format=".1%"),
            alt.Tooltip("high:Q", title="to", format=".1%"),
        ],
    )
    guess = (
        alt.Chart(alt.InlineData(values=[{"right": told["chance"][test]}]))
        .mark_rule(strokeDash=[4, 3], color="var(--soft)")
        .encode(x="right:Q", tooltip=[alt.Tooltip("right:Q", title="guessing", format=".1%")])
    )
    layers = [
        guess,
        base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=alt.X("low:Q"), x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x),
        *_labels(alt, base),
    ]
    chart = alt.layer(*layers).properties(width="container", height=34 * len(rows))
    name = card.title(test)
    note = f"share right of {told['questions'][test]:,}, 95 % interval; dashed: guessing"
    return {"section": "student", "title": name[:1].upper() + name[1:], "note": note, "tag": None,
            "label": f"accuracy on {name} by arm", "spec": styled(chart)}  # fmt: skip


def _labels(alt: Any, base: Any) -> list[Any]:
    """The number above its point, on the side where there is room."""
    sides = {
        "left": "datum.right < .15",
        "center": "datum.right >= .15 && datum.right <= .85",
        "right": "datum.right > .85",
    }
    return [
        base.transform_filter(where)
        .mark_text(align=side, dy=-11, fontSize=11)
        .encode(x="right:Q", text="said:N", color=alt.value("var(--ink)"))
        for side, where in sides.items()
    ]


def _losses(told: Told, curves: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Training loss of each arm's first seed over the tokens it has seen."""
    import altair as alt

    rows = [
        {"arm": name, "tokens": tokens, "loss": loss}
        for name, curve in curves.items()
        for _, tokens, loss in _thinned(curve)
    ]
    losses = [loss for curve in curves.values() for *_, loss in _thinned(curve)]
    log = min(losses) > 0 and max(losses) > WIDE * min(losses)
    names = list(curves)
    legend = alt.Legend(
        title=None, orient="bottom", columns=2, symbolType="stroke", symbolSize=400,
        symbolStrokeWidth=2, labelLimit=170,
    )  # fmt: skip
    dash = alt.StrokeDash(
        "arm:N",
        legend=legend,
        scale=alt.Scale(domain=names, range=[_of(told, name, DASHES) for name in names]),
    )
    colour = alt.Color(
        "arm:N",
        legend=legend,
        scale=alt.Scale(domain=names, range=[f"var(--{_of(told, n, COLOURS)})" for n in names]),
    )
    y = alt.Y(
        "loss:Q",
        title=None,
        scale=alt.Scale(type="log", nice=False) if log else alt.Scale(zero=True),
        axis=alt.Axis(tickCount=5, format="~g"),
    )
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(strokeWidth=2, clip=True)
        .encode(
            x=alt.X("tokens:Q", title=None, axis=alt.Axis(tickCount=4, format="~s")),
            y=y,
            color=colour,
            strokeDash=dash,
            tooltip=[alt.Tooltip("arm:N", title="arm")],
        )
        .properties(width="container", height=200)
    )
    note = (
        f"per token learnt{', log axis' if log else ''}, over tokens seen; first seeds. "
        "Arms learn different texts: compare shapes, not heights"
    )
    return {"section": "student", "title": "Training loss", "note": note, "tag": None,
            "label": "training loss by arm", "spec": styled(chart)}  # fmt: skip


def _thinned(curve: list[list[float]]) -> list[list[float]]:
    """Evenly spaced points, the last one always."""
    every = -(-len(curve) // POINTS)
    return [*curve[:-1][::every], curve[-1]]


def _colour(told: Told) -> Any:
    import altair as alt

    names = ["teacher", *told["arms"]]
    colours = ["var(--ink)", *(f"var(--{_of(told, name, COLOURS)})" for name in told["arms"])]
    return alt.Color("arm:N", legend=None, scale=alt.Scale(domain=names, range=colours))


def _of(told: Told, arm: str, choices: tuple[Any, ...]) -> Any:
    """What stands for this arm in every chart; the student's is the first."""
    order = [STUDENT, *(name for name in told["arms"] if name != STUDENT)]
    return choices[order.index(arm) % len(choices)]
