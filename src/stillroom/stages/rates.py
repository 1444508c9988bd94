"""Which slices a verifier refuses more often than the rest: it would take the rare cases away."""

from collections import Counter
from collections.abc import Iterator
from math import exp, lgamma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillroom import store
from stillroom.errors import UserError
from stillroom.measures import wilson
from stillroom.parts import generation_folders
from stillroom.record import EXCEPTION

ALPHA = 0.01
SKIPPED = ("split",)


def pass_rates(run: str | Path, alpha: float = ALPHA) -> list[dict[str, Any]]:
    """Kept of tried for every tag value of a run's records, the lowest upper bound first.

    Each is {"tag", "value", "kept", "tried", "rate", "interval", "p", "refused_more"}. `p` is
    Fisher's exact test, one-sided, of this slice against all other records that have the tag;
    `refused_more` says that it is still below `alpha` after Holm's correction over all slices.
    Records on which a check raised count as neither kept nor refused: nobody judged them.
    """
    folder = Path(run)
    if not store.is_run(folder):
        raise UserError("no run is there", folder, "give the folder that `stillroom run` named")
    kept: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    for home in generation_folders(folder).values():
        for path in sorted(home.glob("[0-9]*.parquet")):
            into = refused if path.name.endswith(".rest.parquet") else kept
            _count(path, into)
    whole = {outcome: Counter[str]() for outcome in ("kept", "refused")}
    for outcome, told in (("kept", kept), ("refused", refused)):
        for (tag, _), count in told.items():
            whole[outcome][tag] += count
    slices = [
        _slice(one, kept[one], refused[one], whole["kept"][one[0]], whole["refused"][one[0]])
        for one in sorted({*kept, *refused})
    ]
    _holm(slices, alpha)
    return sorted(slices, key=lambda one: (one["interval"][1], one["tag"], one["value"]))


def _count(path: Path, into: Counter[tuple[str, str]]) -> None:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["tags", "verdict"]):
            checks = batch["verdict"].field("checks")
            failed = pc.list_parent_indices(checks).filter(
                pc.equal(checks.flatten().field("name"), EXCEPTION)
            )
            mask = pc.invert(pc.is_in(pa.array(range(len(batch)), pa.int64()),
                                      value_set=pc.cast(failed, pa.int64())))  # fmt: skip
            tags = batch["tags"].filter(mask).flatten()
            for pair, count in _pairs(tags):
                into[pair] += count


def _pairs(tags: pa.StructArray) -> Iterator[tuple[tuple[str, str], int]]:
    keys = pa.table({"key": tags.field("key"), "value": tags.field("value")})
    for row in keys.group_by(["key", "value"]).aggregate([([], "count_all")]).to_pylist():
        if row["key"] not in SKIPPED:
            yield (row["key"], row["value"]), row["count_all"]


def _slice(
    one: tuple[str, str], here: int, gone: int, all_kept: int, all_gone: int
) -> dict[str, Any]:
    return {
        "tag": one[0],
        "value": one[1],
        "kept": here,
        "tried": here + gone,
        "rate": here / (here + gone),
        "interval": list(wilson(here, here + gone)),
        "p": _fisher(gone, here + gone, all_gone, all_kept + all_gone),
    }


def _fisher(gone: int, tried: int, all_gone: int, all_tried: int) -> float:
    """The probability of as many refusals or more in a slice, if refusals fell by chance."""
    if tried == all_tried:
        return 1.0

    def choose(n: int, k: int) -> float:
        return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)

    whole = choose(all_tried, tried)
    return min(
        1.0,
        sum(
            exp(choose(all_gone, k) + choose(all_tried - all_gone, tried - k) - whole)
            for k in range(max(gone, tried - (all_tried - all_gone)), min(tried, all_gone) + 1)
        ),
    )


def _holm(slices: list[dict[str, Any]], alpha: float) -> None:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979)."""
    still = True
    for rank, one in enumerate(sorted(slices, key=lambda one: one["p"])):
        still = still and one["p"] <= alpha / (len(slices) - rank)
        one["refused_more"] = still
