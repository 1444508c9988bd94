"""Slices of a run by tag: what was tried of each, what was kept, and which are surely bad."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stillroom.measures import wilson

OUTCOMES = ("kept", "refused", "failed")
VALUES = 200  # a tag with more values than this is a label, and no class of records
FEW = 10  # a slice of fewer records tells little
ROWS = 60  # values of a tag that still make a picture
AXIS = "difficulty"
RESERVED = ("split", "level", AXIS)

Counts = list[int]  # how many were kept, refused, failed


@dataclass(frozen=True)
class Slice:
    """The records with these tag values."""

    tags: dict[str, str]
    kept: int
    refused: int
    failed: int

    @property
    def tried(self) -> int:
        return self.kept + self.refused + self.failed

    @property
    def rate(self) -> float:
        return self.kept / self.tried

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.kept, self.tried)


@dataclass
class Tally:
    """Counts of all records by tag value, and by tag value and difficulty; filled by `add`.

    Values stand in the order of their first appearance. `labels` are tags with too many values:
    they are counted no longer.
    """

    values: dict[str, dict[str, Counts]] = field(default_factory=dict)
    crossed: dict[str, dict[tuple[str, str], Counts]] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)

    def add(self, tags: Mapping[str, str], outcome: str) -> None:
        place, difficulty = OUTCOMES.index(outcome), tags.get(AXIS)
        for tag, value in tags.items():
            if tag in self.labels:
                continue
            values = self.values.setdefault(tag, {})
            if value not in values and len(values) == VALUES:
                self.labels.add(tag)
                self.crossed.pop(tag, None)
                del self.values[tag]
                continue
            values.setdefault(value, [0, 0, 0])[place] += 1
            if difficulty is not None and tag not in RESERVED:
                pairs = self.crossed.setdefault(tag, {})
                pairs.setdefault((value, difficulty), [0, 0, 0])[place] += 1

    @property
    def tags(self) -> list[str]:
        """The tags counted; a level that says again what the difficulty says is left out."""
        return [tag for tag in self.values if tag != "level" or AXIS not in self.values]

    @property
    def main(self) -> str | None:
        """The tag that tells most records apart and can still be drawn, reserved ones aside."""
        sizes = {t: len(v) for t, v in self.values.items() if t not in RESERVED and len(v) <= ROWS}
        return max(sizes, key=lambda tag: sizes[tag]) if sizes else None


def worst_first(slices: Iterable[Slice]) -> list[Slice]:
    """The slice first whose pass rate is low for sure: by the interval's upper end.

    Slices of a few records come after the others: of hundreds some are all refused by chance.
    """
    return sorted(slices, key=lambda one: (one.tried < FEW, *reversed(one.interval), -one.tried))


def slices(tally: Tally) -> list[Slice]:
    """Every tag value, and every pair of the main tag and difficulty, the worst first."""
    found = [
        Slice({tag: value}, *counts)
        for tag in tally.tags
        for value, counts in tally.values[tag].items()
    ]
    if tally.main is not None:
        pairs = tally.crossed.get(tally.main, {})
        found += [Slice({tally.main: a, AXIS: b}, *counts) for (a, b), counts in pairs.items()]
    return worst_first(found)


@dataclass(frozen=True)
class Grid:
    """The curriculum: the main tag's values by difficulty; None where nothing was made."""

    tag: str
    columns: list[str]
    rows: list[tuple[str, list[Slice | None]]]

    @property
    def most(self) -> int:
        """Kept records in the fullest cell."""
        return max(one.kept for _, cells in self.rows for one in cells if one is not None)

    @property
    def least(self) -> float:
        """The lowest pass rate of a cell."""
        return min(one.rate for _, cells in self.rows for one in cells if one is not None)


def grid(tally: Tally) -> Grid | None:
    """The heat map's cells; None where the world has no difficulty, or no tag to set against it."""
    if tally.main is None or not (pairs := tally.crossed.get(tally.main)):
        return None
    columns = natural(tally.values.get(AXIS, {}))
    rows: list[tuple[str, list[Slice | None]]] = []
    for value in tally.values[tally.main]:
        cells: list[Slice | None] = []
        for column in columns:
            counts = pairs.get((value, column))
            cells.append(Slice({tally.main: value, AXIS: column}, *counts) if counts else None)
        rows.append((value, cells))
    return Grid(tally.main, columns, rows) if columns else None


def natural(values: Iterable[str]) -> list[str]:
    """By number where all are numbers, else in the order given."""
    found = list(values)
    try:
        return sorted(found, key=float)
    except ValueError:
        return found
