"""Dataset: the records of a run, of one generation, or of Parquet files made from them; lazy."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import files, store
from stillroom.errors import UserError
from stillroom.record import Record, from_rows

if TYPE_CHECKING:
    import pandas as pd

Part = tuple[Path, int | None]


@dataclass(frozen=True)
class Dataset:
    """Records in plan order, read part by part whenever they are asked for.

    `parts` are (Parquet file, how many of its rows count; None for all of them).
    """

    parts: tuple[Part, ...]
    keep: tuple[Callable[[Record], bool], ...] = ()

    def __iter__(self) -> Iterator[Record]:
        return self.records()

    def __len__(self) -> int:
        if self.keep:
            return sum(1 for _ in self)
        return sum(pq.read_metadata(f).num_rows if n is None else n for f, n in self.parts)

    def records(self) -> Iterator[Record]:
        """The records, one after the other; memory holds a part at most."""
        for file, rows in self.parts:
            for batch in self._table(file, rows).to_batches(max_chunksize=1024):
                for record in from_rows(batch.to_pylist()):
                    if all(keep(record) for keep in self.keep):
                        yield record

    def filter(self, keep: Callable[[Record], bool]) -> "Dataset":
        """The records that `keep` says yes to; nothing is read yet."""
        return replace(self, keep=(*self.keep, keep))

    def table(self) -> pa.Table:
        """All rows as one Arrow table (a filtered set is read through its records)."""
        if not self.parts:
            raise UserError("the dataset has no records", do="see why in the run's report")
        whole = pa.concat_tables(self._table(f, n) for f, n in self.parts)
        if self.keep:
            wanted = {record.id for record in self}
            whole = whole.filter(pa.array([one in wanted for one in whole["id"].to_pylist()]))
        return whole

    def to_pandas(self) -> "pd.DataFrame":
        """The table as a pandas DataFrame; needs pandas."""
        frame: pd.DataFrame = self.table().to_pandas()
        return frame

    def _table(self, file: Path, rows: int | None) -> pa.Table:
        try:
            table = files.read_parquet(file)
        except (OSError, pa.ArrowException) as wrong:
            raise UserError(
                f"can't read this part: {wrong}", file, "`stillroom verify` names what is damaged"
            ) from wrong
        return (table if rows is None else table.slice(0, rows)).replace_schema_metadata(None)


def open(path: str | Path) -> Dataset:
    """The dataset of a run folder, of a mix, of a folder of Parquet parts, or of a Parquet file."""
    path = Path(path)
    if store.is_run(path):
        return Dataset(tuple(store.parts(path)))
    inner = path / "data" if (path / "data").is_dir() else path  # of a mix
    found = [path] if path.is_file() else sorted(inner.glob("*.parquet"))
    if not found:
        raise UserError(
            "no run and no Parquet file is there", path, "give the folder that `run` named"
        )
    return Dataset(tuple((file, None) for file in found))


def generation(run: Path, number: int) -> Dataset:
    """The kept records of one finished generation."""
    return Dataset(tuple(store.parts(run, number)))


def rest(run: Path) -> Dataset:
    """Refused and failed records with the evidence, of all generations."""
    return Dataset(tuple((file, None) for file in store.evidence(run)))


def as_row(record: Record) -> dict[str, Any]:
    """A record as a plain JSON-like dictionary, the task parsed."""
    row: dict[str, Any] = record._asdict() | {"task": record.task}
    del row["task_json"]
    row["verdict"] = asdict(record.verdict)
    return row | {"origin": asdict(record.origin), "usage": asdict(record.usage)}
