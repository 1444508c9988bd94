"""A record of the laboratory for people."""

import html
from typing import TYPE_CHECKING

import numpy as np

from stillroom.collapse.lab.predictions import mean, rarity
from stillroom.record import Record
from stillroom.world import Data, View

if TYPE_CHECKING:
    from stillroom.collapse.lab.world import Collapse


def show(world: "Collapse", record: Record) -> View:
    data = record.data
    return View(
        text=_text(world, data),
        html=lambda: _table(data),
        tags={
            "arm": data["arm"],
            "seed": str(data["seed"]),
            "generation": str(data["generation"]),
            "data": world.data,
            "student": world.student,
        },
        features=_features(world, data),
    )


def _features(world: "Collapse", data: Data) -> dict[str, float]:
    told = {
        "accuracy_rare": data["accuracy"]["rare"],
        "accuracy_mean": data["accuracy"]["mean"],
        "perplexity": data["perplexity"]["all"],
        "rare_types_alive": alive(world, data),
    }
    return {name: value for name, value in told.items() if value is not None}


def alive(world: "Collapse", data: Data) -> float | None:
    """The share of rare types in what was learnt from."""
    rare, _ = rarity(world, data["seed"])
    return mean(np.array(data["learnt"])[rare] > 0)


def _text(world: "Collapse", data: Data) -> str:
    lines = [f"arm {data['arm']}, seed {data['seed']}, generation {data['generation']}"]
    rare, mean = data["accuracy"]["rare"], data["accuracy"]["mean"]
    if rare is not None:
        lines.append(f"right: {100 * rare:.1f} % on rare slices, {100 * mean:.2f} % on all")
    perplexity = data["perplexity"]
    if perplexity["all"] is not None:
        lines.append(f"perplexity {perplexity['all']:.4g}, {perplexity['rare'] or 0:.4g} on rare")
    lines.append(f"types in what was learnt from ({data['law']}):")
    for one in data["cells"]:
        seen = 100 * one["present"] / one["types"]
        told = "" if one["predicted"] is None else f", predicted {100 * one['predicted']:.0f} %"
        lines.append(f"  count {one['bin']}: {seen:.0f} % of {one['types']}{told}")
    left = ", ".join(f"{data[name]} {name}" for name in ("malformed", "held_out", "refused"))
    lines.append(f"{data['drawn']} sampled, {left}")
    return "\n".join(lines)


def _table(data: Data) -> str:
    """A bar of each bin's living types, with a mark where the prediction stands."""
    rows = []
    for one in data["cells"]:
        seen = 100 * one["present"] / one["types"]
        mark = ""
        if one["predicted"] is not None:
            mark = (
                f'<i style="position:absolute;left:{100 * one["predicted"]:.1f}%;top:-2px;'
                'bottom:-2px;border-left:2px solid currentColor"></i>'
            )
        bar = (
            '<div style="position:relative;width:12em;height:.8em;background:#8883">'
            f'<div style="width:{seen:.1f}%;height:100%;background:#48a8"></div>{mark}</div>'
        )
        name = html.escape(one["bin"])
        rows.append(f"<tr><th>count {name}</th><td>{bar}</td><td>{seen:.0f} %</td></tr>")
    return f"<table>{''.join(rows)}</table><p>mark: predicted beforehand</p>"
