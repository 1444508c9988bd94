"""What a loop of models would leave of an anchor, told before any of its generations is paid for.

The laws are in collapse/predict.py; here types are counted as the guard counts them: how many units
of the anchor have each.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stillroom.collapse.incidence import Incidence
from stillroom.collapse.predict import Curve, forecast
from stillroom.errors import UserError
from stillroom.stages.items import DocumentSet
from stillroom.stages.sample import channels_of, incidences, read

GENERATIONS = 10
TYPES = 50_000
"""About so many types of a channel are simulated; fewer are drawn by their hash."""


def foresee(
    anchor: str | Path,
    generations: int = GENERATIONS,
    *,
    fresh: float = 0.0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    on: Sequence[str] = (),
    text: str = "",
    unit: str = "",
    trust_code: bool = False,
) -> dict[str, Any]:
    """Forecast, by channel, what so many generations of a loop would leave of an anchor.

    anchor       a run, JSON lines, Parquet, CSV, or a folder of text files
    fresh        share of each generation's corpus that is newly drawn human data
    temperature, top_p    how a student draws
    on, text, unit        as of `guard`

    {"anchor", "generations", "channels": {"text" ...: see `foretold`}}. Raises UserError for a loop
    that can't be, and for an anchor without any type.
    """
    sample = read(DocumentSet(Path(anchor), text, unit, trust_code=trust_code))
    told = {}
    for channel in channels_of(on, sample):
        found, _ = incidences(channel, sample, sample)
        if len(found.type):
            told[channel] = foretold(
                found, generations, fresh=fresh, temperature=temperature, top_p=top_p
            )
    if not told:
        raise UserError("nothing is in it that could be rare", anchor, "give a larger anchor")
    return {"anchor": sample.source.path.name, "generations": generations, "channels": told}


def foretold(
    anchor: Incidence,
    generations: int = GENERATIONS,
    *,
    fresh: float = 0.0,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> dict[str, Any]:
    """The forecast of one channel as JSON; empty where the anchor has no type.

    {"units", "types", "generations", "fresh", "method", "applies", "words", "bins": [{"name",
    "types", "share", "low", "high"}]}: shares are of the types so often seen, by generation from 0.
    """
    if temperature != 1 or top_p != 1:
        anchor = _few(anchor)
    counts = np.unique(anchor.type, return_counts=True)[1]
    if not len(counts):
        return {}
    told = forecast(
        counts, generations=generations, fresh=fresh, temperature=temperature, top_p=top_p
    )
    return {
        "units": anchor.units,
        "types": len(counts),
        "generations": generations,
        "fresh": fresh,
        "method": told.method,
        "applies": bool(told.limits),
        "words": told.words(),
        "bins": [_json(curve) for curve in told.bins],
    }


def _few(anchor: Incidence) -> Incidence:
    bound = anchor.bound
    while len(np.unique(anchor.type)) > TYPES:
        bound //= 2
        anchor = anchor.drawn(bound)
    return anchor


def _json(curve: Curve) -> dict[str, Any]:
    shares = {key: np.round(getattr(curve, key), 4).tolist() for key in ("share", "low", "high")}
    return {"name": curve.name, "types": curve.types, **shares}
