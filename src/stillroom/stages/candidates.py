"""Everything that is offered for a mix: read once, judged, given ids, and spooled to disk.

What decides about a record stays in memory as some fifty bytes of numbers; the rows themselves lie
in the spool (Arrow IPC), which is read again for near-duplicates and for writing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from stillroom import dataset
from stillroom.collapse.settings import FIRST_PARTY, Mix, Source
from stillroom.dataset import Dataset
from stillroom.record import TASK, USAGE, VERDICT, canonical, digest, from_rows
from stillroom.stages import corpus as corpora
from stillroom.stages import lineage
from stillroom.stages.collection import read_collection
from stillroom.stages.corpus import Corpus
from stillroom.stages.evidence import Judge, Judged
from stillroom.stages.lineage import UNKNOWN
from stillroom.stages.mixing import DATA, HUMAN, MIXED, human_bytes, human_ids
from stillroom.world import World

ANCHOR, FRESH, DERIVED, SYNTHETIC = range(4)
POOLS = ("anchor", "fresh")
TIERS = ("", "A", "B", "C", "D", "E", FIRST_PARTY)
ROWS = 1024
LICENCES = 20  # of a source that the manifest names

COLUMNS: dict[str, Any] = {
    "pool": np.int8,  # ANCHOR, FRESH, DERIVED or SYNTHETIC
    "source": np.int16,
    "row": np.int64,
    "reason": np.int32,  # a number in `reasons`; 0: it may be taken
    "latest": np.int32,  # YYYYMMDD; 0: no date
    "tier": np.int8,
    "depth": np.int16,
    "score": np.float32,
    "foreign": np.uint64,  # hash of the id that the corpus gave it; 0: none
}


@dataclass
class Candidates:
    """Records offered, as arrays in reading order; row n of the spool is the n-th spooled one."""

    spool: Path
    sources: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=lambda: [""])
    columns: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    ids: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 16), np.uint8))
    digests: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 16), np.uint8))
    spooled: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    derived: dict[str, tuple[int | None, list[str]]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        if name in COLUMNS and name in self.columns:
            return self.columns[name]
        raise AttributeError(name)

    def __len__(self) -> int:
        return len(self.ids)

    def number(self, reason: str) -> int:
        """The number of a reason, a new one where nobody gave it before."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return self.reasons.index(reason)

    def batches(self) -> Iterator[tuple[slice, pa.RecordBatch]]:
        """The spool's batches, each with the places of its rows among the spooled ones."""
        begin = 0
        with pa.OSFile(str(self.spool)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield slice(begin, begin + batch.num_rows), batch
                begin += batch.num_rows

    def texts(self, wanted: npt.NDArray[np.bool_]) -> Iterator[list[str]]:
        """The texts of the spooled rows that are wanted, batch by batch."""
        for place, batch in self.batches():
            mask = wanted[place]
            if mask.any():
                column = batch["data"].field("text")
                yield (column if mask.all() else column.filter(pa.array(mask))).to_pylist()


class _Gathering:
    """Collects batches of candidates: numbers into lists, rows into the spool."""

    def __init__(self, into: Candidates) -> None:
        self.into = into
        self.lists: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in COLUMNS}
        self.ids: list[bytes] = []
        self.digests: list[bytes] = []
        self.spooled: list[npt.NDArray[np.bool_]] = []
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self.writer = pa.ipc.new_stream(str(into.spool), MIXED, options=options)

    def add(self, ids: list[str], digests: list[str], rows: pa.RecordBatch,
            take: npt.NDArray[np.bool_], **numbers: Any) -> None:  # fmt: skip
        """A batch; `take` says which rows go into the spool, a number may be one for all."""
        for name, kind in COLUMNS.items():
            self.lists[name].append(np.broadcast_to(np.asarray(numbers[name], kind), len(ids)))
        self.ids.append(bytes.fromhex("".join(ids)))
        self.digests.append(bytes.fromhex("".join(digests)))
        self.spooled.append(take)
        if take.any():
            self.writer.write_batch(rows if take.all() else rows.filter(pa.array(take)))

    def finish(self) -> Candidates:
        self.writer.close()
        told = self.into
        told.columns = {
            name: np.concatenate([np.zeros(0, COLUMNS[name]), *parts])
            for name, parts in self.lists.items()
        }
        told.ids = np.frombuffer(b"".join(self.ids), np.uint8).reshape(-1, 16)
        told.digests = np.frombuffer(b"".join(self.digests), np.uint8).reshape(-1, 16)
        told.spooled = np.concatenate([np.zeros(0, bool), *self.spooled])
        lineage.settle(told.derived, told.ids, told.foreign, told.depth, told.pool > FRESH)
        return told


def gather(
    how: Mix,
    sources: Iterable[tuple[int, Corpus]],
    runs: Iterable[tuple[str, Dataset, World]],
    spool: Path,
    say: Callable[[str], None] = lambda line: None,
) -> Candidates:
    """All that human sources (ANCHOR or FRESH, corpus) and runs (name, records, world) offer.

    Rows that make no sense end in a UserError that names them; the spool is then of no use.
    """
    into = _Gathering(Candidates(spool))
    for pool, corpus in sources:
        say(f"reading {corpus.name}")
        _human(into, corpus, pool, how.cutoff)
    for name, records, world in runs:
        say(f"reading {name}")
        _synthetic(into, name, records, world)
    return into.finish()


# Human sources.


def _human(into: _Gathering, corpus: Corpus, pool: int, cutoff: str) -> None:
    sha = corpus.sha256
    judge = Judge(corpus, cutoff, _collection(corpus.how, sha))
    told: dict[str, Any] = {
        "source": corpus.name,
        "pool": POOLS[pool],
        "file": corpus.path.name,
        "sha256": sha,
    }
    number, first = len(into.into.sources), 0
    licences = {corpus.how.licence: None}  # in order of appearance
    into.into.sources.append(told)
    for batch in corpora.read(corpus):
        licences |= dict.fromkeys(pc.unique(batch["licence"]).to_pylist())
        judged = judge(batch, first)
        _human_batch(into, batch, judged, corpus, number, pool, first, cutoff)
        first += batch.num_rows
    told["licences"] = [one for one in licences if one][:LICENCES]


def _collection(how: Source, sha: str) -> Any:
    return read_collection(how.collection, how.key, sha) if how.collection else None


def _human_batch(
    into: _Gathering,
    batch: pa.RecordBatch,
    judged: Judged,
    corpus: Corpus,
    number: int,
    pool: int,
    first: int,
    cutoff: str,
) -> None:
    texts = pc.fill_null(batch["text"], "")
    ids, digests, tasks = _ids(texts.to_pylist(), pc.fill_null(batch["source"], corpus.name))
    derived = judged.each(lambda one: one.derived, bool)
    reason = judged.each(lambda one: 0 if one.derived else into.into.number(one.reason), np.int32)
    blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)
    reason[blank.to_numpy(zero_copy_only=False)] = into.into.number("empty text")
    depth = np.where(reason == 0, 0, UNKNOWN)
    for n in np.flatnonzero(derived & (reason == 0)):
        depth[n] = _derived(into.into, ids[n], batch, int(n))
    foreign = np.zeros(len(ids), np.uint64)
    if batch["id"].null_count < len(ids):
        foreign[:] = [lineage.name_key(one) if one else 0 for one in batch["id"].to_pylist()]
    into.add(
        ids,
        digests,
        _human_rows(ids, tasks, texts, batch, judged, corpus, cutoff),
        reason == 0,
        pool=np.where(derived, DERIVED, pool),
        source=number,
        row=np.arange(first, first + len(ids)),
        reason=reason,
        latest=judged.each(lambda one: int((one.latest or "0").replace("-", "")), np.int32),
        tier=judged.each(lambda one: TIERS.index(one.tier or ""), np.int8),
        depth=depth,
        score=0.0,
        foreign=foreign,
    )


def _ids(texts: list[str], sources: pa.Array) -> tuple[list[str], list[str], pa.StructArray]:
    ids, digests, task_ids, tasks = [], [], [], []
    known: dict[str, bytes] = {}
    for text, source in zip(texts, sources.to_pylist(), strict=True):
        name = known.get(source)
        if name is None:
            name = known[source] = orjson.dumps(source)
        told = blake2b(text.encode(), digest_size=16).hexdigest()
        rid, made, task = human_ids(name, told, human_bytes(text))
        ids.append(rid)
        digests.append(told)
        task_ids.append(made)
        tasks.append(task)
    return ids, digests, pa.StructArray.from_arrays(
        [pa.array(task_ids, pa.string()), pa.array(tasks, pa.string())], fields=list(TASK)
    )  # fmt: skip


def _derived(into: Candidates, rid: str, batch: pa.RecordBatch, n: int) -> int:
    """Note a derived row's parents; the depth it has without them."""
    parents = batch["parents"][n].as_py() or []
    maker, kind, depth = (batch[name][n].as_py() for name in ("maker", "kind", "depth"))
    named = bool(maker) or kind == "synthetic"
    said = (depth if depth is not None and depth >= 1 else None) if named else 1
    if not named and not parents:  # says that it is mixed, and of what it does not say
        said = None
    if parents:  # the same text may be there twice, with other parents
        before, others = into.derived.get(rid, (1, []))
        worst = None if said is None or before is None else max(said, before)
        into.derived[rid] = (worst, [*others, *parents])
    return UNKNOWN if said is None else said


def _human_rows(
    ids: list[str],
    tasks: pa.StructArray,
    texts: pa.Array,
    batch: pa.RecordBatch,
    judged: Judged,
    corpus: Corpus,
    cutoff: str,
) -> pa.RecordBatch:
    count = len(ids)
    nothing = pa.array(["" for _ in range(count)], pa.string())
    offsets = pa.array(np.zeros(count + 1, np.int32))
    messages = pa.ListArray.from_arrays(
        offsets, pa.array([], DATA.field("messages").type.value_type)
    )
    verdicts = []
    for one in judged.standings:
        words = one.reason or f"tier {one.tier}, before {cutoff}: presumed human"
        if not one.reason and one.tier == FIRST_PARTY:
            words = "first-party: collected with consent, signature checked"
        check = {"name": "origin", "ok": True, "detail": words}
        verdicts.append({"ok": True, "score": 0.0, "checks": [check]})
    zeros = np.zeros(count, np.int64)
    usage = [pa.array(zeros), pa.array(zeros), pa.array(zeros.astype(np.float64))]
    columns = [
        pa.array(ids, pa.string()),
        pa.array([HUMAN] * count, pa.string()),
        tasks,
        pa.array(zeros.astype(np.int32)),
        pa.StructArray.from_arrays([texts, messages, nothing], fields=list(DATA)),
        pa.array(verdicts, VERDICT).take(pa.array(judged.codes)),
        batch["tags"],
        judged.origins(batch, corpus.name, corpus.how.licence),
        pa.StructArray.from_arrays(usage, fields=list(USAGE)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=MIXED)


# Synthetic records.


def _synthetic(into: _Gathering, name: str, records: Dataset, world: World) -> None:
    number, first = len(into.into.sources), 0
    into.into.sources.append({"source": name, "pool": "synthetic", "world": type(world).name})
    for path, count in records.parts:
        one = Dataset(((path, count),)).table()
        for batch in one.combine_chunks().to_batches(ROWS):
            texts, data = _shown(batch, world)
            ids = batch["id"].to_pylist()
            origins = batch["origin"]
            for rid, parents, depth in zip(
                ids,
                origins.field("parents").to_pylist(),
                origins.field("depth").to_pylist(),
                strict=True,
            ):
                if parents:
                    into.into.derived[rid] = (depth, parents)
            columns = [data if f.name == "data" else batch[f.name] for f in MIXED]
            into.add(
                ids,
                [digest(text.encode(errors="surrogatepass"), 16).hex() for text in texts],
                pa.RecordBatch.from_arrays(columns, schema=MIXED),
                np.ones(len(ids), bool),
                pool=SYNTHETIC,
                source=number,
                row=np.arange(first, first + len(ids)),
                reason=0,
                latest=0,
                tier=0,
                depth=pc.fill_null(origins.field("depth"), UNKNOWN).to_numpy(),
                score=batch["verdict"].field("score").to_numpy(),
                foreign=0,
            )
            first += len(ids)


def _shown(batch: pa.RecordBatch, world: World) -> tuple[list[str], pa.StructArray]:
    """Records as their world shows them: the texts, and the data column of a mix."""
    rows, texts = [], []
    for record in from_rows(batch.to_pylist()):
        view = world.show(record)
        messages = [dict(one) for one in view.messages]
        texts.append(view.text or "\n".join(one["content"] for one in messages))
        whole = canonical(record.data).decode()
        rows.append({"text": texts[-1], "messages": messages, "json": whole})
    return texts, pa.array(rows, DATA)


def open_run(folder: Path, generation: int | None) -> Dataset:
    """The records of a finished run, or of one of its generations."""
    if generation is None:
        return dataset.open(folder)
    return dataset.generation(folder, generation)
