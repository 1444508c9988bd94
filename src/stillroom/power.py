"""Checker power: how many planted faults the checker notices, kind by kind.

Two kinds are planted here and reported apart: the world's own `spoil`, and the core's, which know
nothing of the world: every leaf nudged, a list's item dropped, doubled or swapped, a digit of a
text edited, another task's data put in. (The third kind, mutants of the maker's code, is planted
by a world's tests.) What makes no difference is left out; a field in which no fault is ever
noticed is listed as unchecked.
"""

import copy
import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stillroom import dataset
from stillroom.cast import Unfit, cast
from stillroom.checker import Checker
from stillroom.engines.local import Job
from stillroom.record import Record, canonical
from stillroom.shard import world_of
from stillroom.world import Data, World, has, stream

LETTERS = "abcdefghijklmnopqrstuvwxyz"
Path_ = tuple[str | int, ...]


@dataclass
class Tally:
    """Planted and noticed faults, in all and by kind; up to ten that went unnoticed."""

    planted: int = 0
    noticed: int = 0
    kinds: dict[str, list[int]] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def add(self, kind: str, noticed: bool, where: str) -> None:
        self.planted += 1
        self.noticed += noticed
        counts = self.kinds.setdefault(kind, [0, 0])
        counts[0] += 1
        counts[1] += noticed
        if not noticed and len(self.missed) < 10:
            self.missed.append(f"{kind} in {where}")

    def json(self) -> dict[str, Any]:
        power = self.noticed / self.planted if self.planted else None
        return {"power": power, **vars(self)}


def measure(
    world: World,
    records: Sequence[Record],
    check: Checker,
    spoils: int = 5,
    leaves: int | None = 24,
) -> dict[str, Any]:
    """Plant faults in these accepted records and count what `check` notices.

    `spoils` of the world's own and at most `leaves` of the core's a record (None: all of them).
    """
    own, core = Tally(), Tally()
    fields: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        rng = stream(f"power {record.id}")

        def noticed(faulty: Data, of: Record = record) -> bool:
            try:
                return not check(of.id, of.task, faulty, of.task_id).ok
            except Exception:  # in a run, too, a check that raises is never a pass
                return True

        for kind, faulty in _own(world, record, rng, spoils):
            own.add(kind, noticed(faulty), record.id)
        other = _another(records, place)
        for kind, where, faulty in core_faults(record.data, type(world).schema, rng, other, leaves):
            seen = noticed(faulty)
            core.add(kind, seen, f"{where} of {record.id}")
            counts = fields.setdefault(where, [0, 0])
            counts[0] += 1
            counts[1] += seen
    unchecked = sorted(name for name, (_, seen) in fields.items() if not seen)
    return {
        "records": len(records),
        "own": own.json(),
        "core": core.json(),
        "unchecked": unchecked,
    }


def _another(records: Sequence[Record], place: int) -> Data | None:
    """Data of the nearest record before (the first's is the last) that another task gave."""
    before = (records[place - step] for step in range(1, len(records)))
    return next((one.data for one in before if one.task != records[place].task), None)


def measure_run(job: Job) -> dict[str, Any]:
    """The same for a sample of a run's kept records, spread evenly over the dataset."""
    world = world_of(job["spec"], job["config"])
    run = Path(job["run"])
    records = sample(dataset.open(run), job["sample"])
    with closing(Checker(world, run, job["model"])) as check:
        return measure(world, records, check)


def sample(records: dataset.Dataset, wanted: int) -> list[Record]:
    """Up to `wanted` records spread evenly over the dataset."""
    total = len(records)
    places = {i * total // wanted for i in range(min(wanted, total))} if wanted < total else None
    return [r for i, r in enumerate(records) if places is None or i in places]


def _own(
    world: World, record: Record, rng: np.random.Generator, wanted: int
) -> Iterator[tuple[str, Data]]:
    if not has(world, "spoil"):
        return
    for _ in range(wanted):
        kind, faulty = world.spoil(copy.deepcopy(record.data), rng)
        fitted = _changed(faulty, record.data, type(world).schema)
        if fitted is not None:
            yield kind, fitted


def _changed(faulty: Data, data: Data, schema: pa.StructType) -> Data | None:
    """The faulty data as read from disk; None when they can't be stored or differ in nothing."""
    try:
        fitted = cast([faulty], schema)[0]
    except Unfit:
        return None
    return None if canonical(fitted) == canonical(data) else fitted


def core_faults(
    data: Data,
    schema: pa.StructType,
    rng: np.random.Generator,
    other: Data | None = None,
    most: int | None = None,
) -> Iterator[tuple[str, str, Data]]:
    """(kind, field, faulty data): the core's faults in the data, or `most` of them by chance."""
    faults = list(_faults(data, ()))
    if most is not None and len(faults) > most:
        faults = _some(faults, most, rng)
    for kind, path, change in faults:
        faulty = copy.deepcopy(data)
        _set(faulty, path, change(_get(faulty, path), rng))
        fitted = _changed(faulty, data, schema)
        if fitted is not None:
            yield kind, _name(path), fitted
    if other is not None and canonical(other) != canonical(data):
        yield "another task's data", "data", copy.deepcopy(other)


def _some(faults: "list[Fault]", most: int, rng: np.random.Generator) -> "list[Fault]":
    """So many of the faults, the rare kinds (a list's items) as well as the common (its leaves)."""
    kinds: dict[str, list[Fault]] = {}
    for place in rng.permutation(len(faults)):
        kinds.setdefault(faults[place][0], []).append(faults[place])
    turns = zip_longest(*(kinds[kind] for kind in sorted(kinds)))
    return [fault for turn in turns for fault in turn if fault is not None][:most]


Change = Callable[[Any, np.random.Generator], Any]


Fault = tuple[str, Path_, Change]  # kind, where, what to do to the value there


def _faults(value: Any, path: Path_) -> Iterator[Fault]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _faults(item, (*path, key))
    elif isinstance(value, list):
        if value:
            yield "item dropped", path, _drop
            yield "item doubled", path, _double
        if len(value) > 1:
            yield "items swapped", path, _swap
        for place, item in enumerate(value):
            yield from _faults(item, (*path, place))
    elif value is not None and not isinstance(value, tuple):
        yield "leaf nudged", path, _nudge
        if isinstance(value, str) and re.search(r"\d", value):
            yield "digit edited", path, _edit_digit


def _drop(items: list[Any], rng: np.random.Generator) -> list[Any]:
    place = int(rng.integers(len(items)))
    return items[:place] + items[place + 1 :]


def _double(items: list[Any], rng: np.random.Generator) -> list[Any]:
    place = int(rng.integers(len(items)))
    return items[: place + 1] + items[place:]


def _swap(items: list[Any], rng: np.random.Generator) -> list[Any]:
    a, b = rng.choice(len(items), size=2, replace=False)
    items = list(items)
    items[a], items[b] = items[b], items[a]
    return items


def _edit_digit(text: str, rng: np.random.Generator) -> str:
    places = [m.start() for m in re.finditer(r"\d", text)]
    place = places[int(rng.integers(len(places)))]
    digit = (int(text[place]) + int(rng.integers(1, 10))) % 10
    return f"{text[:place]}{digit}{text[place + 1 :]}"


def _nudge(value: Any, rng: np.random.Generator) -> Any:
    """A little off: 1 for whole numbers, 0.1 % (at least 0.001) for others, a letter of a text."""
    sign = 1 if rng.integers(2) else -1
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + sign
    if isinstance(value, float):
        return value + sign * max(abs(value) * 0.001, 0.001)
    if isinstance(value, str):
        if not value:
            return "x"
        place = int(rng.integers(len(value)))
        letter = LETTERS[int(rng.integers(26))]
        letter = letter if letter != value[place] else letter.upper()
        return value[:place] + letter + value[place + 1 :]
    if isinstance(value, bytes):
        place = int(rng.integers(len(value))) if value else 0
        return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :] if value else b"x"
    if isinstance(value, Decimal):
        return value + sign * Decimal(1).scaleb(int(value.as_tuple().exponent))
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value + sign * datetime.timedelta(days=1)
    return value


def _get(data: Any, path: Path_) -> Any:
    for step in path:
        data = data[step]
    return data


def _set(data: Any, path: Path_, value: Any) -> None:
    *way, last = path
    _get(data, tuple(way))[last] = value


def _name(path: Path_) -> str:
    """`exercises[].answer`: the field, whichever item of a list it stands in."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
