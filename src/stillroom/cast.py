"""The cast: what data are, once the world's Arrow schema has taken them, or why it can't."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stillroom.world import Data


class Unfit(ValueError):
    """Data that the world's schema can't hold; the message names the field."""


def cast(datas: Sequence[Data], schema: pa.StructType) -> list[Data]:
    """Data as they will be read back from disk, or Unfit with the field and what was wrong.

    Unknown and missing fields, wrong types and numbers that are not finite are refused: Arrow alone
    would drop the first, fill the second with nulls, and round some of the third.
    """
    if _has_map(schema):
        datas = [_sorted_maps(data, schema) for data in datas]
    try:
        array = pa.array(datas, type=schema)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as wrong:
        for data in datas:
            _explain(data, schema, "data")
        raise Unfit(f"data: {wrong}") from wrong
    _finite(array, "data")
    back: list[Data] = array.to_pylist()
    try:
        same = back == list(datas)
    except ValueError:  # numpy arrays don't compare to one truth
        same = False
    if not same:
        for data in datas:
            _explain(data, schema, "data")
    return back


def _has_map(kind: pa.DataType) -> bool:
    return pa.types.is_map(kind) or any(
        _has_map(kind.field(i).type) for i in range(kind.num_fields)
    )


def _sorted_maps(value: Any, kind: pa.DataType) -> Any:
    """The value with every map as pairs in the order of the keys: equal maps hash equal."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        pairs = value.items() if isinstance(value, dict) else value
        return sorted((key, _sorted_maps(item, kind.item_type)) for key, item in pairs)
    if pa.types.is_struct(kind) and isinstance(value, dict):
        known = {f.name: f.type for f in kind}
        return {k: _sorted_maps(v, known[k]) if k in known else v for k, v in value.items()}
    if kind.num_fields and isinstance(value, (list, tuple)):
        return [_sorted_maps(item, kind.value_type) for item in value]
    return value


def _finite(array: pa.Array, where: str) -> None:
    kind = array.type
    if pa.types.is_floating(kind):
        if not np.isfinite(array.drop_null().to_numpy(zero_copy_only=False)).all():
            raise Unfit(f"{where}: a number that is not finite; use null")
    elif pa.types.is_struct(kind):
        for field, child in zip(kind, array.flatten(), strict=True):
            _finite(child, f"{where}.{field.name}")
    elif pa.types.is_map(kind):
        _finite(array.items, f"{where}{{}}")
    elif (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        _finite(array.flatten(), f"{where}[]")


def _explain(value: Any, kind: pa.DataType, where: str) -> None:
    """Raise Unfit at the first place where the value is not what the type holds."""
    if value is None:
        return
    if pa.types.is_struct(kind):
        if not isinstance(value, dict):
            raise Unfit(f"{where}: expected fields {[f.name for f in kind]}, got {value!r:.60}")
        names = {field.name for field in kind}
        for name in [*value, *names]:
            if name not in names:
                raise Unfit(f"{where}.{name}: not in the schema, which has {sorted(names)}")
            if name not in value:
                raise Unfit(f"{where}.{name}: missing; give null if that is meant")
        for field in kind:
            _explain(value[field.name], field.type, f"{where}.{field.name}")
    elif pa.types.is_map(kind):
        for key, item in value.items() if isinstance(value, dict) else value:
            _explain(item, kind.item_type, f"{where}[{key!r}]")
    elif (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        if isinstance(value, (set, frozenset)):
            raise Unfit(f"{where}: a set has no order: give a sorted list")
        if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
            raise Unfit(f"{where}: expected a list, got {value!r:.60}")
        for place, item in enumerate(value):
            _explain(item, kind.value_type, f"{where}[{place}]")
    else:
        try:
            (back,) = pa.array([value], type=kind).to_pylist()
            fits = back == value or pa.types.is_floating(kind)  # rounding to the type is meant
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            fits = False
        if not fits:
            raise Unfit(f"{where}: expected {kind}, got {value!r:.60}")
