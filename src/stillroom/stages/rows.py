"""A corpus' rows as Arrow batches of one schema, ROW, whatever file they stood in."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from stillroom.collapse.settings import Evidence, Source
from stillroom.errors import UserError
from stillroom.record import TAGS, TEXTS

EVIDENCE = pa.list_(pa.struct([(name, pa.string()) for name in Evidence.model_fields]))
ROW = pa.schema(
    [
        ("text", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("date", pa.string()),
        ("digest", pa.string()),
        ("evidence", EVIDENCE),
        ("kind", pa.string()),
        ("maker", pa.string()),
        ("parents", TEXTS),
        ("depth", pa.int32()),
        ("id", pa.string()),
        ("tags", TAGS),
    ]
)
"""What a corpus may say of a row besides its text; a field that it lacks is null everywhere."""

USUAL = ("text", "content", "body", "document", "story", "article")
_EXACT: dict[str, Any] = {"parents": list | None, "depth": int | None}


def from_rows(rows: list[dict[str, Any]], how: Source, where: str) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {}
    named = {name for row in rows for name in row}
    for name in ROW.names:
        field = how.text if name == "text" else name
        if field in named and name != "tags":
            columns[name] = _column(name, [row.get(field) for row in rows], where)
    if "tags" in named or how.tags:
        have_tags(named, how, where)
        tags = [_tags(row, how.tags, where) for row in rows]
        columns["tags"] = pa.array(tags, TAGS)
    return one_batch(columns, len(rows))


def _column(name: str, values: list[Any], where: str) -> pa.Array:
    try:
        if name == "evidence":
            known = set(Evidence.model_fields)
            for strange in {key for one in values for item in one or () for key in item} - known:
                near = difflib.get_close_matches(strange, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"evidence has no {strange!r}{hint}")
        for one in values if name in _EXACT else ():  # which Arrow would take in its own way
            if not isinstance(one, _EXACT[name]):
                raise TypeError(f"{one!r:.40}")
        return pa.array(values, ROW.field(name).type)
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as wrong:
        told = {
            "evidence": "a list of objects like {kind, date, sha256}",
            "parents": "a list of ids",
            "depth": "a whole number",
        }
        what = f"field {name!r} must be {told.get(name, 'text')}: {wrong!s:.120}"
        raise UserError(what, where) from None


def _tags(row: dict[str, Any], fields: tuple[str, ...], where: str) -> list[dict[str, str]]:
    given = row.get("tags") or {}
    if not isinstance(given, dict):
        raise UserError("field 'tags' must be an object of texts", where)
    told = given | {name: row[name] for name in fields if row.get(name) is not None}
    return [{"key": key, "value": str(value)} for key, value in sorted(told.items())]


def is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_large_string(inner) or pa.types.is_string_view(inner) or inner == pa.string()
    )


def from_columns(batch: pa.RecordBatch, how: Source, file: Path) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {}
    for name in (*ROW.names, *how.tags):
        field = how.text if name == "text" else name
        if field in batch.schema.names:
            column = batch[field]
            kind = ROW.field(name).type if name in ROW.names else pa.string()
            if column.type == kind:
                columns[name] = column
            elif name == "evidence" and pa.types.is_list(column.type):
                columns[name] = _evidence(column, file)
            elif name == "evidence":
                columns[name] = _column(name, _parsed(column.to_pylist(), str(file)), str(file))
            elif name == "parents" and is_text(column.type):
                columns[name] = pc.split_pattern(column, " ")
            else:
                columns[name] = _cast(name, column, kind, file)
    if how.tags:
        columns["tags"] = _tagged(columns, sorted(how.tags), batch.num_rows)
    return one_batch(columns, batch.num_rows)


def _evidence(column: pa.ListArray, file: Path) -> pa.ListArray:
    """Evidence whose fields are some of ours, or dates as dates, with all the fields."""
    kind = column.type.value_type
    names = [field.name for field in kind] if pa.types.is_struct(kind) else []
    if not names or set(names) - set(Evidence.model_fields):
        return _column("evidence", column.to_pylist(), str(file))  # which says what is wrong
    items = column.flatten()
    fields = [
        _cast(f.name, items.field(f.name), f.type, file)
        if f.name in names
        else pa.nulls(len(items), f.type)
        for f in EVIDENCE.value_type
    ]
    sizes = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    told = pa.StructArray.from_arrays(fields, fields=list(EVIDENCE.value_type))
    return pa.ListArray.from_arrays(offsets, told)


def _parsed(values: list[Any], where: str) -> list[Any]:
    """Evidence that stands as JSON in a text column, as in CSV."""
    try:
        return [
            orjson.loads(one) if one and isinstance(one, str) else one or None for one in values
        ]
    except orjson.JSONDecodeError as wrong:
        raise UserError(f"field 'evidence' is not JSON: {wrong}", where) from None


def _cast(name: str, column: pa.Array, kind: pa.DataType, file: Path) -> pa.Array:
    if pa.types.is_floating(column.type):  # what pandas makes of a column with gaps
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        if pa.types.is_string(kind) and column.null_count < len(column):
            raise UserError(f"field {name!r} holds numbers, not text", file)
    try:
        return column.cast(kind)
    except pa.ArrowException as wrong:
        raise UserError(f"field {name!r}: {wrong!s:.120}", file) from None


def one_batch(columns: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
    """Columns by their names in ROW as a batch of that schema; what is missing is null."""
    if "tags" not in columns:
        offsets = pa.array(np.zeros(rows + 1, np.int32))
        columns["tags"] = pa.ListArray.from_arrays(offsets, pa.array([], TAGS.value_type))
    return pa.RecordBatch.from_arrays(
        [columns.get(f.name, pa.nulls(rows, f.type)) for f in ROW], schema=ROW
    )


def _tagged(columns: dict[str, pa.Array], names: Sequence[str], rows: int) -> pa.Array:
    """The fields of these names, in order, as each row's tags; a null makes none."""
    values = pa.concat_arrays([columns[name] for name in names])
    rowwise = np.arange(rows * len(names)).reshape(len(names), rows).T.ravel()
    values = values.take(pa.array(rowwise))
    keys = pa.array(names, pa.string()).take(pa.array(np.tile(np.arange(len(names)), rows)))
    there = values.is_valid()
    counts = there.to_numpy(zero_copy_only=False).reshape(rows, len(names)).sum(axis=1)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    pairs = pa.StructArray.from_arrays([keys, values], fields=list(TAGS.value_type))
    return pa.ListArray.from_arrays(offsets, pairs.filter(there))


def have_tags(names: Iterable[str], how: Source, where: object) -> None:
    if missing := sorted(set(how.tags) - set(names)):
        raise UserError(f"the corpus has no field {missing[0]!r} to make a tag of", where)


def no_text(names: list[str], texts: list[str], how: Source, where: object) -> None:
    """There is no text where it should be: which fields there are, and which it may be."""
    wanted = how.text
    usual = [name for name in texts if name.lower() in USUAL]
    near = difflib.get_close_matches(wanted, texts, 1) or usual[:1] or texts[:1]
    what = f"field {wanted!r} is no text" if wanted in names else f"there is no field {wanted!r}"
    hint = f'; did you mean text = "{near[0]}"?' if near else ""
    raise UserError(what, where, f"fields here: {', '.join(names) or 'none'}{hint}")
