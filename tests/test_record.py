"""Ids, the cast and the Merkle root, as properties."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom import merkle
from stillroom.cast import Unfit, cast
from stillroom.record import canonical

SCHEMA = pa.struct(
    [
        ("whole", pa.int64()),
        ("real", pa.float64()),
        ("text", pa.string()),
        ("list", pa.list_(pa.struct([("flag", pa.bool_()), ("raw", pa.binary())]))),
        ("map", pa.map_(pa.string(), pa.int32())),
    ]
)
DATA = st.fixed_dictionaries(
    {
        "whole": st.integers(-(2**63), 2**63 - 1),
        "real": st.floats(allow_nan=False, allow_infinity=False),
        "text": st.text(st.characters(exclude_categories=["Cs"])),
        "list": st.lists(st.fixed_dictionaries({"flag": st.booleans(), "raw": st.binary()})),
        "map": st.dictionaries(st.text("abc"), st.integers(-9, 9)),
    }
)


@given(st.lists(DATA, min_size=1, max_size=5))
def test_what_is_cast_once_stays(datas: list[dict[str, Any]]) -> None:
    once = cast(datas, SCHEMA)
    assert cast(once, SCHEMA) == once
    assert [one["text"] for one in once] == [one["text"] for one in datas]


@given(DATA)
def test_the_order_of_map_keys_changes_no_hash(data: dict[str, Any]) -> None:
    turned = {**data, "map": dict(reversed(data["map"].items()))}
    assert canonical(cast([data], SCHEMA)) == canonical(cast([turned], SCHEMA))


GOOD = {"whole": 1, "real": 1.0, "text": "", "list": [], "map": {}}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"extra": 1}, "data.extra: not in the schema"),
        ({"whole": "1"}, "data.whole: expected int64"),
        ({"whole": 1.5}, "data.whole: expected int64"),
        ({"real": float("nan")}, "data.real: a number that is not finite"),
        ({"text": 3}, "data.text: expected string"),
        ({"list": [{"flag": True}]}, r"data.list\[0\].raw: missing"),
        ({"list": "abc"}, "data.list: expected a list"),
    ],
)
def test_what_does_not_fit_is_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Unfit, match=words):
        cast([GOOD | wrong], SCHEMA)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40), st.data())
def test_a_root_binds_rows_order_and_count(leaves: list[bytes], data: st.DataObject) -> None:
    root = merkle.root(leaves)
    assert merkle.root([*leaves, bytes(32)]) != root
    if leaves:
        place = data.draw(st.integers(0, len(leaves) - 1))
        changed = [*leaves]
        changed[place] = bytes(b ^ 1 for b in changed[place])
        assert merkle.root(changed) != root
        assert merkle.root(leaves[:place] + leaves[place + 1 :]) != root
        turned = leaves[::-1]
        assert (merkle.root(turned) == root) == (turned == leaves)
