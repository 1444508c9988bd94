"""Balance: weights that bring tags and their crossings to targets, and quotas where none can.

Weights are raked (iterative proportional fitting: Deming and Stephan, Annals of Mathematical
Statistics 11, 1940), but capped: exact margins from a handful of records, each counted a hundred
times, hide that the group is missing. A group with fewer than FEW records, or one that even the
largest weight can't bring to its target, becomes a quota: the world is to make more of it. No
record is ever doubled: weights.parquet stands beside the data, row by row.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import files
from stillroom.collapse.settings import Mix
from stillroom.dataset import Dataset
from stillroom.errors import UserError
from stillroom.measures import wilson
from stillroom.world import World

FEW = 30
SWEEPS = 500
LOOKED_AT = 20_000  # tasks of a world's plan that are looked through for a value
REST = "(others)"

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """A tag or a crossing of tags: the values of interest, the record's value (-1: has none).

    `target` is each value's share of the records that have the tag; None where only the crossing
    of two targets is told, which nobody asked for.
    """

    tag: str
    values: tuple[str, ...]
    codes: Codes
    target: Floats
    asked: bool = True

    @property
    def sizes(self) -> Codes:
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))


def rake(
    groups: Sequence[Group], size: int, max_weight: float, crossed: Sequence[Group] = ()
) -> Floats:
    """Weights of `size` records, mean about 1, none above `max_weight`.

    Records of a group or a crossing with fewer than FEW get no more than 1. Where the caps bind,
    margins stay short of their targets: that is what quotas are for.
    """
    weights = np.ones(size)
    cap = np.full(size, max_weight)
    for group in (*groups, *crossed):
        few = np.flatnonzero(group.sizes < FEW)
        cap[np.isin(group.codes, few)] = 1.0
    for _ in range(SWEEPS if size else 0):
        before = weights.copy()
        for group in groups:
            own = group.codes >= 0
            codes = group.codes[own]
            now = np.bincount(codes, weights[own], minlength=len(group.values))
            factor = np.divide(group.target * now.sum(), now, out=np.ones(len(now)), where=now > 0)
            weights[own] *= factor[codes]
        weights = np.minimum(weights * (size / weights.sum()), cap)
        if np.abs(weights - before).max(initial=0) < 1e-9:
            break
    return weights


def effective(weights: Floats) -> float:
    """Kish's effective sample size: (sum w)^2 / sum w^2; 0 for none."""
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0


def weigh(home: Path, how: Mix, runs: Sequence[tuple[str, Dataset, World]]) -> dict[str, Any]:
    """Weigh the records of home/data by the targets: writes weights.parquet and quotas.json.

    Returns what the manifest says of it; without targets nothing is written.
    """
    if not how.targets:
        return {"notes": []}
    ids, tags = _read(home, {one for tag in how.targets for one in tag.split("*")})
    groups = [_group(tag, how.targets[tag], tags, runs) for tag in how.targets]
    crossed = list(_crossings(groups, how.targets))
    weights = rake(groups, len(ids), how.max_weight, crossed)
    quotas = _quotas([*groups, *crossed], how.max_weight)
    table = pa.table({"id": pa.array(ids, pa.string()), "weight": weights})
    files.write_file(home / "weights.parquet", files.parquet_bytes(table))
    files.write_json(home / "quotas.json", quotas)
    short = f"{len(quotas['cells'])} groups are too rare to be weighted: quotas.json asks for more"
    return {
        "notes": [short] if quotas["cells"] else [],
        "n": len(ids),
        "effective_n": effective(weights),
        "largest_weight": float(weights.max(initial=0)),
        "at_the_cap": int((weights >= how.max_weight - 1e-9).sum()),
        "margins": [_told(one, weights) for one in groups],
        "crossings": [_told(one, weights) for one in crossed],
        "quotas": quotas["quotas"],
    }


def _read(home: Path, wanted: set[str]) -> tuple[list[str], dict[str, list[str | None]]]:
    """Ids of the mix and the values of the tags that are wanted, None where there is none."""
    ids: list[str] = []
    tags: dict[str, list[str | None]] = {tag: [] for tag in wanted}
    for path in sorted((home / "data").glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["id", "tags"]):
                ids += batch["id"].to_pylist()
                for row in batch["tags"].to_pylist():
                    own = {one["key"]: one["value"] for one in row}
                    for tag, values in tags.items():
                        values.append(own.get(tag))
    return ids, tags


def _group(
    tag: str,
    shares: Mapping[str, float],
    tags: Mapping[str, Sequence[str | None]],
    runs: Sequence[tuple[str, Dataset, World]],
) -> Group:
    names = tag.split("*")
    for place, name in enumerate(names):
        wanted = {value.split("*")[place] if len(names) > 1 else value for value in shares}
        _exist(name, wanted, {one for one in tags[name] if one is not None}, runs)
    columns = [tags[name] for name in names]
    has = [None if None in row else "*".join(str(one) for one in row)
           for row in zip(*columns, strict=True)]  # fmt: skip
    places = {value: n for n, value in enumerate(shares)}
    others = any(one is not None and one not in places for one in has)
    rest = 1 - sum(shares.values())
    if others and rest <= 1e-9:
        spare = sorted({one for one in has if one is not None and one not in places})
        raise UserError(
            f"targets of {tag!r} add up to 1, but records have other values: "
            f"{', '.join(spare[:5])}",
            do="leave a share for them, or name them",
        )
    values = (*shares, REST) if others else tuple(shares)
    target = np.array([*shares.values(), *([rest] if others else [])])
    codes = np.array([-1 if one is None else places.get(one, len(places)) for one in has], np.int64)
    return Group(tag, values, codes, target / target.sum())


def _exist(
    tag: str, wanted: set[str], here: set[str], runs: Sequence[tuple[str, Dataset, World]]
) -> None:
    """Refuse a target for a tag or a value that no record has and no plan knows."""
    if not here:
        known = sorted(_known_tags(runs))
        near = difflib.get_close_matches(tag, known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        what = f"a target for {tag!r}, a tag that no record of the mix has"
        raise UserError(what, "[mix.targets]", f"{hint}tags: {', '.join(known) or 'none'}")
    for value in sorted(wanted - here):
        planned = {told for _, _, world in runs for told in _planned(tag, world)}
        if value not in planned:
            known = sorted(here | planned)
            near = difflib.get_close_matches(value, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            what = f"a target for {tag} = {value!r}, a group that does not exist"
            raise UserError(what, "[mix.targets]", f"{hint}there are: {', '.join(known[:20])}")


def _known_tags(runs: Sequence[tuple[str, Dataset, World]]) -> set[str]:
    return {tag for _, records, _ in runs for one in islice(records, 100) for tag in one.tags}


def _planned(tag: str, world: World) -> Iterator[str]:
    """Values of a tag that stand in the tasks of a world's plan."""
    for task in islice(world.plan(0), LOOKED_AT):
        if isinstance(task.get(tag), (str, int)):
            yield str(task[tag])


def _crossings(groups: Sequence[Group], targets: Mapping[str, Any]) -> Iterator[Group]:
    """Every two tags with targets, crossed; the product of their shares is what would be even."""
    for one, other in combinations([g for g in groups if "*" not in g.tag], 2):
        tag = f"{one.tag}*{other.tag}"
        if tag in targets or f"{other.tag}*{one.tag}" in targets:
            continue
        values = tuple(f"{a}*{b}" for a, b in product(one.values, other.values))
        both = (one.codes >= 0) & (other.codes >= 0)
        codes = np.where(both, one.codes * len(other.values) + other.codes, -1)
        yield Group(tag, values, codes, np.outer(one.target, other.target).ravel(), asked=False)


def _quotas(groups: Sequence[Group], max_weight: float) -> dict[str, Any]:
    """What is to be made: {"quotas": {tag: {value: records}}}, and the groups one by one."""
    quotas: dict[str, dict[str, int]] = {}
    cells = []
    for group in groups:
        tagged = int((group.codes >= 0).sum())
        for value, have, share in zip(
            group.values, group.sizes.tolist(), group.target.tolist(), strict=True
        ):
            wanted = max(FEW, ceil(share * tagged))
            if REST in value.split("*") or (have >= FEW and have * max_weight >= share * tagged):
                continue
            own = dict(zip(group.tag.split("*"), value.split("*"), strict=True))
            own = own if "*" in group.tag else {group.tag: value}
            cells.append({"tags": own, "have": have, "wanted": wanted})
            for tag, one in own.items():
                asked = quotas.setdefault(tag, {})
                asked[one] = max(asked.get(one, 0), wanted - have)
    return {"quotas": quotas, "cells": cells}


def _told(group: Group, weights: Floats) -> dict[str, Any]:
    """A group's values: records, share and weighted share with intervals of 95 %, target."""
    own = group.codes >= 0
    tagged, heavy = int(own.sum()), weights[own]
    total = float(heavy.sum())
    sums = np.bincount(group.codes[own], heavy, minlength=len(group.values))
    n = effective(heavy)
    rows = []
    for value, have, weighted, share in zip(
        group.values, group.sizes.tolist(), sums.tolist(), group.target.tolist(), strict=True
    ):
        portion = weighted / total if tagged else 0.0
        rows.append({
            "value": value,
            "n": have,
            "target": share,
            "share": have / tagged if tagged else 0.0,
            "interval": list(wilson(have, tagged)),
            "weighted": portion,
            "weighted_interval": list(wilson(round(portion * n), round(n))),
        })  # fmt: skip
    return {"tag": group.tag, "asked": group.asked, "n": tagged, "effective_n": n, "values": rows}
