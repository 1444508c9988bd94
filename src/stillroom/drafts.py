"""Drafts on their way from `make` to `check`, perhaps from one process to another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from stillroom.cast import Unfit, cast
from stillroom.record import Usage
from stillroom.world import Draft

NONE = Usage()  # one object, so that it is converted once


@dataclass(slots=True)
class Made:
    """One draft of a task, or the failure that stands in its place."""

    place: int  # of the task in the shard
    ordinal: int  # of the draft among the task's drafts
    data: Any  # Data; None for a failure
    parents: tuple[str, ...] = ()
    source: str | None = None
    usage: Usage = NONE
    failure: str = ""


def drafts_of(place: int, drafts: Any) -> list[Made]:
    if not isinstance(drafts, (list, tuple)):
        raise TypeError(f"make returned {type(drafts).__name__}, not a list of data")
    made = []
    for ordinal, one in enumerate(drafts):
        if isinstance(one, Draft):
            if not all(isinstance(text, str) for text in (*one.parents, one.source or "")):
                raise TypeError("a draft's parents and source are text: record ids, a name")
            made.append(Made(place, ordinal, one.data, one.parents, one.source))
        else:
            made.append(Made(place, ordinal, one))
    return made


def send(made: Sequence[Made], schema: pa.StructType, folder: Path) -> str:
    """Drafts into a file for the worker that will check them; its path."""
    fitted = fit(made, schema)
    notes = [
        orjson.dumps([m.place, m.ordinal, m.parents, m.source, asdict(m.usage), m.failure]).decode()
        for m in fitted
    ]
    data = pa.array([m.data for m in fitted], type=schema)
    table = pa.table({"data": data, "note": pa.array(notes, type=pa.string())})
    path = folder / "drafts.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return str(path.resolve())


def receive(path: Path) -> list[Made]:
    with pa.OSFile(str(path), "rb") as source:
        rows = pa.ipc.open_file(source).read_all().to_pylist()
    made = []
    for row in rows:
        place, ordinal, parents, source, usage, failure = orjson.loads(row["note"])
        data = None if failure else row["data"]
        made.append(Made(place, ordinal, data, tuple(parents), source, Usage(**usage), failure))
    return made


def fit(made: Sequence[Made], schema: pa.StructType) -> list[Made]:
    """Every draft's data as they will be read from disk, or the failure to be so."""
    good = [m for m in made if m.data is not None]
    try:
        for m, data in zip(good, cast([m.data for m in good], schema), strict=True):
            m.data = data
    except Unfit:
        for m in good:
            try:
                m.data = cast([m.data], schema)[0]
            except Unfit as wrong:
                m.data, m.failure = None, f"make: not what the schema holds: {wrong}"
    return [
        m if m.data is not None or m.failure else replace(m, failure="make: gave no data")
        for m in made
    ]
