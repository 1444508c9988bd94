"""What a whole laboratory has shown: falls by arm, what the cures win back, predictions kept."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stillroom.collapse.incidence import Incidence
from stillroom.collapse.lab.policies import ARMS
from stillroom.collapse.tests import compare
from stillroom.measures import student_t
from stillroom.record import Record
from stillroom.world import Data, Finding

if TYPE_CHECKING:
    from stillroom.collapse.lab.world import Collapse

VERDICT = 3  # the generation at which arms are compared, fixed before any run
FEW = 3
SURE = 0.05  # a prediction within this of 0 or 1 is no test of a law

Array = npt.NDArray[Any]
Table = dict[tuple[str, int, int], Data]  # by arm, seed and generation


class Over(NamedTuple):
    """A mean over seeds with its 95 % interval (Student's t); none for a single seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: list[float]


def over(values: Sequence[float]) -> Over:
    found, n = np.asarray(values, np.float64), len(values)
    mean = float(found.mean())
    if n < 2:
        return Over(mean, None, None, list(values))
    half = student_t(n - 1) * float(found.std(ddof=1)) / sqrt(n)
    return Over(mean, mean - half, mean + half, list(values))


def table(records: Iterable[Record]) -> Table:
    return {(r.data["arm"], r.data["seed"], r.data["generation"]): r.data for r in records}


def names(found: Table) -> tuple[list[str], list[int], list[int]]:
    """The arms, seeds and generations that there are, in their order."""
    arms, seeds, generations = (dict.fromkeys(part) for part in zip(*found, strict=True))
    return list(arms), list(seeds), list(generations)


def fall(found: Table, arm: str, generation: int, of: str) -> list[float]:
    """By seed, how many points of accuracy an arm lost since generation 0."""
    _, seeds, _ = names(found)
    return [
        100 * (found[arm, s, 0]["accuracy"][of] - found[arm, s, generation]["accuracy"][of])
        for s in seeds
    ]


def recovered(found: Table, arm: str, generation: int) -> float | None:
    """The share of what `replace` lost on rare slices that this arm did not; None for no loss."""
    lost = float(np.mean(fall(found, "replace", generation, "rare")))
    kept = float(np.mean(fall(found, arm, generation, "rare")))
    return 1 - kept / lost if lost > 0 else None


class Cell(NamedTuple):
    """A bin of an arm's generation, all seeds together."""

    arm: str
    generation: int
    bin: str
    law: str
    types: int
    seen: float
    predicted: float | None

    @property
    def open(self) -> bool:
        """Whether the prediction could have been wrong."""
        return self.predicted is not None and SURE < self.predicted < 1 - SURE


def pooled(found: Table) -> list[Cell]:
    """The cells of all generations but the first, which is human: there is nothing to predict."""
    groups: dict[tuple[str, int, str, str], list[Data]] = defaultdict(list)
    for (arm, _, generation), data in found.items():
        for one in data["cells"] if generation else ():
            groups[arm, generation, one["bin"], data["law"]].append(one)
    cells = []
    for (arm, generation, name, law), some in groups.items():
        types = sum(one["types"] for one in some)
        told = None
        if all(one["predicted"] is not None for one in some):
            told = sum(one["types"] * one["predicted"] for one in some) / types
        seen = sum(one["present"] for one in some) / types
        cells.append(Cell(arm, generation, name, law, types, seen, told))
    return cells


def audit(world: "Collapse", records: Sequence[Record], written: dict[str, Any]) -> list[Finding]:
    """What the records have shown, beside the predictions that were written at the start."""
    found = table(records)
    arms, _, generations = names(found)
    at = min(VERDICT, max(generations))
    out = [_reused(found), _corpora(world, found), _unlike(found, written)]
    for arm in arms:
        if world.source.accurate:
            out += _falls(found, arm, at)
        else:
            out += _words(found, arm, at)
    return [*out, *_copied(found), *_predicted(world, found), *_guarded(world, found, at)]


def _guarded(world: "Collapse", found: Table, at: int) -> list[Finding]:
    """What the guard says of each arm's corpus beside human items that no arm has seen."""
    arms, seeds, _ = names(found)
    if not world.source.accurate:
        return []
    out, seed, n = [], seeds[0], world.size
    used = max(h["stop"] for (_, s, _), data in found.items() if s == seed for h in data["human"])
    people = world.source.counts(seed, n, world.source.human(seed, used, used + n))
    for arm in arms:
        said = compare(_slices(people), _slices(np.array(found[arm, seed, at]["learnt"])))
        left = next((part.effect for part in said.parts if part.name == "types"), None)
        name = f"{arm}: rare slices left by generation {at}, as the guard sees it"
        detail = f"{said.verdict}: {said.why}"
        out.append(Finding(name, round(100 * (left or 0.0), 1), "%", None, detail))
    return out


def _slices(counts: Array) -> Incidence:
    """Items as units, each of one slice."""
    types = np.repeat(np.arange(1, len(counts) + 1, dtype=np.uint64), counts)
    return Incidence(len(types), np.arange(len(types)), types * np.uint64(0x9E3779B97F4A7C15))


def _falls(found: Table, arm: str, at: int) -> list[Finding]:
    out = []
    for of in ("rare", "mean"):
        lost = over(fall(found, arm, at, of))
        name = f"{arm}: accuracy lost by generation {at}, {of}"
        out.append(Finding(name, round(lost.mean, 2), "points", None, _interval(lost)))
    if arm != "replace" and "replace" in names(found)[0]:
        share = recovered(found, arm, at)
        if share is not None:
            detail = "of the fall of `replace` on rare slices"
            out.append(Finding(f"{arm}: won back", round(100 * share, 1), "%", None, detail))
    return out


def _words(found: Table, arm: str, at: int) -> list[Finding]:
    """Of documents: how much larger perplexity has become, in all and where words are rare."""
    out = []
    for of in ("all", "rare"):
        grown = over(
            [
                found[arm, s, at]["perplexity"][of] / found[arm, s, 0]["perplexity"][of]
                for s in names(found)[1]
            ]
        )
        name = f"{arm}: perplexity by generation {at}, {of}"
        out.append(Finding(name, round(grown.mean, 3), "times", None, _interval(grown)))
    return out


def _copied(found: Table) -> list[Finding]:
    """Whether types learnt from FEW times or less are sampled as often: what the law assumes."""
    learnt = sampled = 0.0
    for data in found.values():
        counts, after = np.array(data["learnt"]), np.array(data["sampled"])
        if data["law"] == "survival" and after.sum():
            few = (counts > 0) & (counts <= FEW)
            learnt += float(counts[few].sum())
            sampled += float(after[few].sum()) * float(counts.sum() / after.sum())
    if not learnt:
        return []
    name = f"sampled of types learnt from {FEW} times or less"
    detail = "1.0 is a student that copies shares, as the law assumes"
    return [Finding(name, round(sampled / learnt, 3), "times", None, detail)]


def _interval(one: Over) -> str:
    if one.low is None or one.high is None:
        return "one seed: no interval"
    return f"{one.low:.3g} to {one.high:.3g} (95 %, {len(one.seeds)} seeds)"


def _reused(found: Table) -> Finding:
    """How many human items of a fresh share some corpus of the same arm and seed had before."""
    again = 0
    for (arm, seed, generation), data in found.items():
        if ARMS[arm].fresh and generation:
            mine = data["human"][-1]
            for earlier in range(generation):
                for one in found[arm, seed, earlier]["human"]:
                    shared = min(one["stop"], mine["stop"]) - max(one["first"], mine["first"])
                    again += max(0, shared)
    return Finding("fresh human items used before", again, "", again == 0)


def _corpora(world: "Collapse", found: Table) -> Finding:
    """Corpora that are not the human items they tell of and what was sampled before, together."""
    wrong, source, n = [], world.source, world.size
    for (arm, seed, generation), data in found.items():
        human = [
            item for one in data["human"] for item in source.human(seed, one["first"], one["stop"])
        ]
        due = source.counts(seed, n, human) if human else np.zeros(len(data["learnt"]), np.int64)
        first = 0 if ARMS[arm].accumulate else max(0, generation - 1)
        for earlier in range(first, generation):
            due = due + np.array(found[arm, seed, earlier]["sampled"])
        if due.tolist() != data["learnt"]:
            wrong.append(f"{arm}, seed {seed}, generation {generation}")
    return Finding(
        "corpora that are not what their arm says", len(wrong), "", not wrong, "; ".join(wrong[:3])
    )


def _unlike(found: Table, written: dict[str, Any]) -> Finding:
    """Records that tell of other predictions than those written before anything was trained."""
    seen = unlike = 0
    for (arm, seed, generation), data in found.items():
        told = written["arms"][arm][str(seed)][generation : generation + 1]
        for one in told:  # a run that has grown has generations that nothing was written of
            seen += 1
            given = [cell["predicted"] for cell in data["cells"]]
            same = (given, data["foretold"]) == (one["presence"], one["accuracy"])
            unlike += not same
    detail = f"of {seen} records"
    return Finding("predictions that are not those written first", unlike, "", not unlike, detail)


def _predicted(world: "Collapse", found: Table) -> list[Finding]:
    """How many cells came to lie near what was predicted of them, by law."""
    out, cells = [], pooled(found)
    for law in dict.fromkeys(cell.law for cell in cells):
        mine = [cell for cell in cells if cell.law == law and cell.predicted is not None]
        for what, some in (("all", mine), ("open", [cell for cell in mine if cell.open])):
            if some:
                near = sum(abs(c.seen - (c.predicted or 0)) <= world.within for c in some)
                name = f"{law}: cells within {100 * world.within:g} points, {what}"
                value = round(100 * near / len(some), 1)
                out.append(Finding(name, value, "%", None, f"of {len(some)} cells"))
    return out
