"""The teacher store: answers as token ids, and what the teacher thought possible at each of them.

One Parquet file, one row an answer, written whole or not at all. A teacher's numbers mean nothing
under another tokenizer, chat template or end of answer, so the file carries the fingerprint of its
own, and is opened for a student only when that student's is the same.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from stillroom.errors import UserError
from stillroom.files import whole
from stillroom.record import canonical
from stillroom.students.fingerprint import PARTS, agree
from stillroom.students.losses import Sampled, Top

FORMAT = 1
GROUP = 2**14  # answer tokens of a row group: what is read at once for one answer
KEPT = 1024  # row groups that an open store keeps, about 1 MB each with 12 samples

_KEY = b"stillroom-support"
_SIZE = {"sampled": "samples", "top": "k"}
_SHARED = pa.schema(
    [
        ("id", pa.string()),
        ("ids", pa.list_(pa.uint32())),
        ("start", pa.int32()),
        ("sizes", pa.list_(pa.uint8())),
        # Ids of a token in ascending order, each as its distance from the one before: the bytes of
        # small numbers, split into planes, are what zstd makes short.
        ("support_ids", pa.list_(pa.uint32())),
    ]
)
_HALVES = pa.list_(pa.float16())
_SCHEMA = {
    "sampled": pa.schema([*_SHARED, ("support_counts", pa.list_(pa.uint8()))]),
    "top": pa.schema([*_SHARED, ("logp", _HALVES), ("tail", _HALVES)]),
}
_NEWER = "the file was made by a newer Stillroom, or isn't a teacher store: write it anew"
_DAMAGED = "the file is damaged or cut off: copy it again, or write it anew"


@dataclass(frozen=True)
class Answer:
    """One answer of a teacher.

    ids: [L] the engine's own token ids of prompt and answer, never re-encoded; start: index of the
    first answer token, at least 1; support: a row for each of the L - start answer tokens, the
    distribution that the token was drawn from, so that of the logits one position before it.
    """

    id: str
    ids: NDArray[np.uint32]
    start: int
    support: Sampled | Top


class Batch(NamedTuple):
    """Answers, and their support row after row in one tensor; `tokens` is how many rows."""

    answers: list[Answer]
    teacher: Sampled | Top
    tokens: int


# Writing.


def write(path: Path, rows: Iterable[Answer], about: dict[str, Any]) -> dict[str, Any]:
    """Write a store, answer by answer; returns what stands in its footer.

    about: a fingerprint, and {"kind": "sampled", "samples": 12} or {"kind": "top", "k": 20}, and
    "teacher": who it was. Memory holds one row group. UserError for an answer whose support
    doesn't fit it; then, as when `rows` raises, nothing is left behind.
    """
    _refuse_about(about)
    schema, seen, tokens = _SCHEMA[about["kind"]], set[str](), 0
    lists = [field.name for field in schema if pa.types.is_list(field.type)]
    coding = {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in lists}
    with whole(path) as part, pq.ParquetWriter(
        part, schema, compression="zstd", use_dictionary=False, write_statistics=False,
        write_page_checksum=True, column_encoding=coding,
    ) as writer:  # fmt: skip
        for group in _groups(rows):
            columns: dict[str, list[Any]] = {name: [] for name in schema.names}
            for answer in group:
                if answer.id in seen:
                    raise UserError("an id twice", answer.id, "give every answer an id of its own")
                seen.add(answer.id)
                tokens += len(answer.ids) - answer.start
                for name, value in _encode(answer, about).items():
                    columns[name].append(value)
            writer.write_table(_table(columns, schema), row_group_size=len(group))
        footer = {
            **about, "format": FORMAT, "temperature": 1, "answers": len(seen), "tokens": tokens,
        }  # fmt: skip
        writer.add_key_value_metadata({_KEY: canonical(footer)})
    return footer


def _refuse_about(about: dict[str, Any]) -> None:
    kind = about.get("kind")
    if kind not in _SIZE:
        raise UserError(f"no support is called {kind!r}", do=f"there are {', '.join(_SIZE)}")
    missing = [key for key in ("teacher", _SIZE[kind], *PARTS) if key not in about]
    if missing:
        raise UserError(
            f"a store must say more of its teacher: {', '.join(missing)}",
            do="give fingerprint(tokenizer, vocabulary_size, eos), kind, its size and teacher",
        )
    if not 1 <= about[_SIZE[kind]] <= 255:
        raise UserError(f"{_SIZE[kind]} is {about[_SIZE[kind]]}", do="give a number from 1 to 255")


def _groups(rows: Iterable[Answer]) -> Iterator[list[Answer]]:
    group: list[Answer] = []
    tokens = 0
    for answer in rows:
        group.append(answer)
        tokens += len(answer.ids) - answer.start
        if tokens >= GROUP:
            yield group
            group, tokens = [], 0
    if group:
        yield group


def _encode(answer: Answer, about: dict[str, Any]) -> dict[str, Any]:
    """An answer's columns; its support flat, padding gone, ids ascending within a token."""
    support, top = answer.support, about["kind"] == "top"
    if isinstance(support, Sampled) is top or (isinstance(support, Top) and support.tail is None):
        raise _unfit(answer, f"its support is not of the kind {about['kind']!r}, tail included")
    kept = support.logp.float() if isinstance(support, Top) else support.counts
    values = kept.detach().cpu().numpy()
    given = values > (-np.inf if top else 0)
    if np.isnan(values).any():
        raise _unfit(answer, "its log-probabilities hold NaN")
    # Padding sorts behind everything.
    ids = np.where(given, support.ids.cpu().numpy(), 2**32)
    order = ids.argsort(-1, kind="stable")
    ids, values, given = (np.take_along_axis(one, order, -1) for one in (ids, values, given))
    gaps = np.diff(ids, axis=-1, prepend=0)
    tokens = np.asarray(answer.ids, np.int64)
    _refuse_answer(answer, tokens, about, ids[given], given, gaps)
    sizes = given.sum(-1)
    shared = {
        "id": answer.id,
        "ids": tokens.astype(np.uint32),
        "start": answer.start,
        "sizes": sizes.astype(np.uint8),
        "support_ids": gaps[given].astype(np.uint32),
    }
    if isinstance(support, Top):
        assert support.tail is not None
        tail = support.tail.detach().cpu().float().numpy().astype(np.float16)
        return {**shared, "logp": values[given].astype(np.float16), "tail": tail}
    if (values.sum(-1) != about["samples"]).any():
        raise _unfit(answer, f"its counts don't add up to {about['samples']} at every token")
    return {**shared, "support_counts": values[given].astype(np.uint8)}


def _refuse_answer(
    answer: Answer, tokens: Any, about: dict[str, Any], ids: Any, given: Any, gaps: Any
) -> None:
    if not 1 <= answer.start < len(tokens):
        raise _unfit(answer, f"it starts at {answer.start} of {len(tokens)} tokens")
    if len(given) != len(tokens) - answer.start:
        raise _unfit(answer, f"{len(tokens) - answer.start} tokens, but support of {len(given)}")
    for those in (tokens, ids):
        if those.min(initial=0) < 0 or those.max(initial=0) >= about["vocabulary"]:
            raise _unfit(answer, f"an id outside the vocabulary of {about['vocabulary']}")
    sizes, most = given.sum(-1), about[_SIZE[about["kind"]]]
    if sizes.min() < 1 or sizes.max() > most:
        raise _unfit(answer, f"a token whose support isn't of 1 to {most} ids")
    if (gaps[:, 1:][given[:, 1:]] == 0).any():
        raise _unfit(answer, "a token whose support names an id twice")


def _unfit(answer: Answer, why: str) -> UserError:
    what = f"an answer that can't be stored: {why}"
    return UserError(what, answer.id, "give what the teacher's engine returned, row for row")


def _table(columns: dict[str, list[Any]], schema: pa.Schema) -> pa.Table:
    arrays = []
    for field in schema:
        values = columns[field.name]
        if pa.types.is_list(field.type):
            ends = np.cumsum([0, *map(len, values)], dtype=np.int32)
            flat = pa.array(np.concatenate(values), field.type.value_type)
            arrays.append(pa.ListArray.from_arrays(ends, flat))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


# Reading.


def open_store(path: Path, expect: dict[str, Any] | None = None) -> "Store":
    """Open a store for a student with the fingerprint `expect`; None: for anyone, to look at.

    UserError when there is none, when it is damaged, and when a part of the two fingerprints
    differs: each such part is named, with both values.
    """
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise UserError("there is no teacher store", path, "write one first") from None
    except (OSError, pa.ArrowException) as wrong:
        raise UserError(f"can't read this teacher store: {wrong}", path, _DAMAGED) from None
    try:
        return Store(path, file, _about(path, file, expect))
    except BaseException:
        file.close()
        raise


def _about(path: Path, file: pq.ParquetFile, expect: dict[str, Any] | None) -> dict[str, Any]:
    try:
        about: dict[str, Any] = orjson.loads((file.metadata.metadata or {})[_KEY])
        known = about["format"] == FORMAT
    except (KeyError, TypeError, orjson.JSONDecodeError):
        known = False
    if not known:
        raise UserError(f"not a teacher store of format {FORMAT}", path, _NEWER)
    if expect is not None:
        agree(path, about, expect)
    return about


class _Group(NamedTuple):
    """A row group, flat: where each answer's tokens begin, and where each token's support does."""

    answers: list[tuple[str, NDArray[np.uint32], int]]
    at: NDArray[np.int64]
    entry: NDArray[np.int64]
    ids: NDArray[np.int32]
    values: NDArray[Any]  # counts or log-probabilities
    tail: NDArray[np.float16] | None


def _decode(table: pa.Table) -> _Group:
    flat, ends = {}, {}
    for name in table.schema.names[1:]:
        column = table.column(name).combine_chunks()
        if pa.types.is_list(column.type):
            ends[name], column = column.offsets.to_numpy(), column.values
        flat[name] = column.to_numpy(zero_copy_only=False)
    entry = np.cumsum(np.concatenate([[0], flat["sizes"]]), dtype=np.int64)
    sums = np.cumsum(np.concatenate([[0], flat["support_ids"]]), dtype=np.int64)
    ids = sums[1:] - np.repeat(sums[entry[:-1]], flat["sizes"])
    tokens = np.split(flat["ids"], ends["ids"][1:-1])
    answers = list(zip(table.column("id").to_pylist(), tokens, flat["start"].tolist(), strict=True))
    values = flat["logp"] if "logp" in flat else flat["support_counts"]
    return _Group(answers, ends["sizes"], entry, ids.astype(np.int32), values, flat.get("tail"))


def _answer(group: _Group, row: int) -> Answer:
    id, tokens, start = group.answers[row]
    rows = slice(group.at[row], group.at[row + 1])
    entry = group.entry[rows.start : rows.stop + 1]
    sizes, entries = np.diff(entry), slice(entry[0], entry[-1])
    given = np.arange(sizes.max()) < sizes[:, None]
    ids = np.zeros(given.shape, np.int64)
    ids[given] = group.ids[entries]
    if group.tail is None:
        counts = np.zeros(given.shape, np.int64)
        counts[given] = group.values[entries]
        return Answer(id, tokens, start, Sampled(torch.from_numpy(ids), torch.from_numpy(counts)))
    logp = np.full(given.shape, -np.inf, np.float32)
    logp[given] = group.values[entries]
    tail = torch.from_numpy(group.tail[rows].astype(np.float32))
    return Answer(id, tokens, start, Top(torch.from_numpy(ids), torch.from_numpy(logp), tail))


def _join(supports: list[Any]) -> Sampled | Top:
    """The rows of several supports of one kind, one after the other."""
    width = max(one.ids.shape[1] for one in supports)

    def column(name: str, padding: float = 0) -> Tensor:
        columns = [getattr(one, name) for one in supports]
        return torch.cat([pad(one, (0, width - one.shape[1]), value=padding) for one in columns])

    if isinstance(supports[0], Sampled):
        return Sampled(column("ids"), column("counts"))
    tail = torch.cat([one.tail for one in supports])
    return Top(column("ids"), column("logp", -torch.inf), tail)


class Store:
    """An open teacher store; close it, or use it as a context.

    about: the footer, with `answers` and `tokens`, the number of answer tokens, all of which have
    support. Iterating gives the answers in the order written; `batch` gives chosen ones.
    """

    def __init__(self, path: Path, file: pq.ParquetFile, about: dict[str, Any]) -> None:
        self.path, self.about, self._file = path, about, file
        self._kept: OrderedDict[int, _Group] = OrderedDict()
        counts = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        places = [(group, row) for group, count in enumerate(counts) for row in range(count)]
        ids = self._read(lambda: file.read(["id"])).column(0).to_pylist()
        self._place = dict(zip(ids, places, strict=True))

    def __len__(self) -> int:
        return len(self._place)

    def __iter__(self) -> Iterator[Answer]:
        for id in self._place:
            yield self._find(id)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Those of the answers that the teacher's support is missing for."""
        return [id for id in ids if id not in self._place]

    def batch(self, ids: Sequence[str]) -> Batch:
        """Answers by their ids, in the order asked; UserError when one isn't in the store."""
        missing = self.missing(ids)
        if missing:
            raise UserError(
                f"{len(missing)} answers without the teacher's support: {', '.join(missing[:5])}",
                self.path,
                "store support for all answers that are trained on, or leave these out",
            )
        answers = [self._find(id) for id in ids]
        teacher = _join([answer.support for answer in answers])
        return Batch(answers, teacher, len(teacher.ids))

    def _find(self, id: str) -> Answer:
        number, row = self._place[id]
        if number not in self._kept:
            self._kept[number] = _decode(self._read(lambda: self._file.read_row_group(number)))
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return _answer(self._kept[number], row)

    def _read(self, read: Callable[[], pa.Table]) -> pa.Table:
        try:
            return read()
        except (OSError, pa.ArrowException) as wrong:
            raise UserError(
                f"can't read this teacher store: {wrong}", self.path, _DAMAGED
            ) from None
