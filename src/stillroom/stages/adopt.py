"""Run a world's checks on data made elsewhere: JSON lines or Parquet, a row at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import recipe
from stillroom.cast import Unfit, cast
from stillroom.checker import Checker
from stillroom.errors import UserError
from stillroom.record import canonical, digest
from stillroom.world import Check, Verdict, World, has


@dataclass
class Report:
    """What `check FILE` found. A row is right, wrong, or not checkable; never silently passed."""

    rows: int = 0
    right: int = 0
    wrong: int = 0
    unchecked: int = 0
    under_check: float = 0.0
    """Mean share of a row's content that stands under a check."""
    failures: list[dict[str, Any]] = field(default_factory=list)
    """The first wrong rows: row number (from 1), check, what was seen."""
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.wrong == 0 and self.right > 0


def check(
    path: str | Path, world: str | World, *, most: int = 100, settings: tuple[str, ...] = ()
) -> Report:
    """Check every row of a file as `world` checks its own; name the first `most` wrong ones."""
    file = Path(path)
    world = _world(world, settings)
    if not has(world, "adopt"):
        name = type(world).name
        raise UserError(f"world {name!r} can't take foreign rows", do="it has no adopt()")
    checker = Checker(world, Path(), "")
    report = Report()
    covered = 0.0
    for number, row in enumerate(rows(file), 1):
        report.rows += 1
        verdict = _verdict(world, checker, row)
        covered += verdict.score
        if verdict.ok:
            report.right += 1
        elif verdict.score == 0:
            report.unchecked += 1
            report.reasons[verdict.reason] = report.reasons.get(verdict.reason, 0) + 1
        else:
            report.wrong += 1
            report.failures += [
                {"row": number, "check": c.name, "detail": c.detail}
                for c in verdict.checks
                if not c.ok and len(report.failures) < most
            ]
    if not report.rows:
        raise UserError("the file has no rows", file)
    report.under_check = covered / report.rows
    return report


def _world(world: str | World, settings: tuple[str, ...]) -> World:
    if isinstance(world, World):
        return world
    raw: dict[str, Any] = {"name": "check", "world": {"use": world}}
    recipe.assign(raw, settings)
    return recipe.settle(raw, "the command line", Path())[2]


def _verdict(world: World, checker: Checker, row: dict[str, Any]) -> Verdict:
    """The world's verdict; what can't be taken or read stands under no check: score 0."""
    try:
        task, data = world.adopt(row)
        (data,) = cast([data], type(world).schema)
    except (Unfit, ValueError, KeyError, TypeError) as wrong:
        return Verdict((Check("readable", False, str(wrong) or type(wrong).__name__),), 0.0)
    return checker(digest(canonical([task, data]), 16).hex(), task, data)


def rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a .parquet file or of JSON lines; UserError names the line that is broken."""
    try:
        if file.suffix == ".parquet":
            for batch in pq.ParquetFile(file).iter_batches(1024):
                yield from batch.to_pylist()
            return
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = orjson.loads(line)
                    if not isinstance(row, dict):
                        raise UserError("a line is not a JSON object", f"{file}, line {number}")
                    yield row
    except orjson.JSONDecodeError as wrong:
        raise UserError(
            f"a line is not JSON: {wrong}", f"{file}, line {number}", "JSON lines or .parquet"
        ) from None
    except FileNotFoundError:
        raise UserError("there is no such file", file) from None
    except (OSError, pa.ArrowException) as wrong:
        raise UserError(f"can't read it: {wrong}", file) from None
