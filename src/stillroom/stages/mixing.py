"""A mix on disk: RUN/mix (or RUN/mix/gNNN) and what lies in it.

    data/00000.parquet ...   the mix, for any reader: human records first, then synthetic ones
    guard/00000.parquet ...  the part of the anchor that is held out, for the guard alone
    ids.parquet              every record that was offered: its role, and why it is not in the mix
    weights.parquet          a weight for each record of data/, in order, where there are targets
    quotas.json              what is too rare to be weighted: for `stillroom run --fill`
    README.md                the card
    manifest.json            written last: counts, shares, sha256 a file, Merkle root, seal

All is written into a hidden folder beside it, which gets its name when the mix is whole.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillroom import files, merkle
from stillroom.errors import UserError
from stillroom.record import canonical, digest, envelope, record_id, task_id

MESSAGE = pa.struct([(name, pa.string()) for name in ("role", "content", "reasoning_content")])
DATA = pa.struct([("text", pa.string()), ("messages", pa.list_(MESSAGE)), ("json", pa.string())])
"""Any world's data in a mix: as text, as a chat where it is one, and whole as JSON."""
MIXED = envelope(DATA)
HUMAN = "human"  # the world that human records name
PREFIX = canonical([HUMAN, 1, {}, 0])

IDS = pa.schema(
    [
        ("id", pa.string()),
        ("digest", pa.string()),  # BLAKE2b of the text: equal texts are known across sources
        ("role", pa.string()),
        ("reason", pa.string()),
        ("of", pa.string()),  # the record whose copy it is
        ("source", pa.string()),
        ("row", pa.int64()),  # in its source, from 0
    ]
)
IN_MIX = ("anchor", "fresh", "synthetic")
PART_ROWS, PART_BYTES = 65_536, 1 << 27
SLICE = 512


class Parts:
    """Writes batches as Parquet parts and keeps the leaves of their rows."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.leaves, self.rows = folder, list[bytes](), 0
        self._writer: pq.ParquetWriter | None = None
        self._part = self._room = self._bytes = 0
        folder.mkdir(parents=True)

    def add(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        if self._writer is None:
            path = self.folder / f"{self._part:05d}.parquet"
            repeated = ["world", "origin.licence", "origin.tier", "origin.source", "origin.kind"]
            self._writer = pq.ParquetWriter(
                path, MIXED, compression="zstd", compression_level=1, write_page_checksum=True,
                use_dictionary=repeated,
            )  # fmt: skip
            self._part, self._room, self._bytes = self._part + 1, PART_ROWS, 0
        self._writer.write_batch(batch)
        self.leaves += row_leaves(batch)
        self.rows += batch.num_rows
        self._room, self._bytes = self._room - batch.num_rows, self._bytes + batch.nbytes
        if self._room <= 0 or self._bytes > PART_BYTES:
            self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def row_leaves(batch: pa.RecordBatch) -> list[bytes]:
    """merkle.leaf(row_bytes(record)) of every row, without making records.

    Column by column and few at a time: dictionaries for a million rows, and looking for garbage
    among them, would cost more than their hashes.
    """
    if len(batch) > SLICE:
        slices = range(0, len(batch), SLICE)
        return [leaf for begin in slices for leaf in row_leaves(batch.slice(begin, SLICE))]
    verdict, data, origin = batch["verdict"], batch["data"], batch["origin"].flatten()
    rows = zip(
        batch["id"].to_pylist(),
        batch["world"].to_pylist(),
        *(one.to_pylist() for one in batch["task"].flatten()),
        batch["generation"].to_pylist(),
        _data(data),
        zip(
            verdict.field("ok").to_pylist(),
            verdict.field("score").to_pylist(),
            _tuples(verdict.field("checks")),
            strict=True,
        ),
        _tuples(batch["tags"]),
        zip(*(one.to_pylist() for one in origin), strict=True),
        zip(*(one.to_pylist() for one in batch["usage"].flatten()), strict=True),
        strict=True,
    )
    return [merkle.leaf(orjson.dumps(row)) for row in rows]


def _tuples(lists: pa.ListArray) -> list[list[tuple[Any, ...]]]:
    """Each row's list of structs as tuples."""
    columns = [one.to_pylist() for one in lists.flatten().flatten()]
    items = list(zip(*columns, strict=True))
    if len(items) == len(lists) and pc.all(pc.equal(pc.list_value_length(lists), 1)).as_py():
        return [[one] for one in items]
    ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(lists), 0)).to_pylist()
    return [items[begin:end] for begin, end in pairwise([0, *ends])]


def _data(data: pa.StructArray) -> list[orjson.Fragment]:
    """Canonical JSON of each row's data."""
    texts, messages, whole = (data.field(name).to_pylist() for name in DATA.names)
    return [
        orjson.Fragment(canonical({"json": one, "messages": chat, "text": text}))
        if chat or one
        else orjson.Fragment(human_bytes(text))
        for text, chat, one in zip(texts, messages, whole, strict=True)
    ]


def human_bytes(text: str) -> bytes:
    """Canonical JSON of a human record's data."""
    return b'{"json":"","messages":[],"text":%b}' % orjson.dumps(text)


def human_ids(source: bytes, text_digest: str, data: bytes) -> tuple[str, str, str]:
    """(id, task id, task JSON) of a human record: they follow from its source and its text."""
    task = b'{"digest":"%b","source":%b}' % (text_digest.encode(), source)
    made = task_id(PREFIX, 0, 0, task)
    return record_id(made, 0, data), made, task.decode()


def files_of(home: Path) -> list[dict[str, Any]]:
    """Name and sha256 of every file of a mix but its manifest, and the rows of a part."""
    told = files.tree(home)
    return [
        {"name": name, "sha256": sha}
        | ({"rows": pq.read_metadata(home / name).num_rows} if name.endswith(".parquet") else {})
        for name, sha in told.items()
        if name != "manifest.json"
    ]


def root_of(key: str, mix: Iterable[bytes], guard: Iterable[bytes]) -> str:
    """What binds a mix: its key, the rows of the mix, those held for the guard, in order."""
    return digest(canonical([key, merkle.root(mix), merkle.root(guard)])).hex()


def read_manifest(home: Path) -> dict[str, Any] | None:
    """A finished mix's manifest; None where there is none."""
    keys = ("stage", "key", "counts", "sources", "files", "root", "seal")
    return files.read_json(home / "manifest.json", *keys)


def mixes(run: Path) -> list[Path]:
    """The mixes of a run, in order."""
    homes = [run / "mix", *sorted((run / "mix").glob("g*"))]
    return [one for one in homes if (one / "manifest.json").is_file()]


def ids(home: Path, *roles: str) -> list[str]:
    """Ids of the records of a finished mix that have one of these roles, in order.

    Roles: anchor, fresh and synthetic (in the mix), guard, unused (fresh, not drawn), dropped.
    """
    return [str(one) for one in roles_of(home, *roles)["id"].to_pylist()]


def roles_of(home: Path, *roles: str) -> pa.Table:
    """The rows of ids.parquet with one of these roles."""
    try:
        table = files.read_parquet(home / "ids.parquet")
    except FileNotFoundError:
        raise UserError("no finished mix is there", home, "give the folder that `mix` named") from (
            None
        )
    return table.filter(pc.is_in(table["role"], pa.array(roles)))


# What `verify` asks.


def recheck(home: Path, run_root: str) -> list[str]:
    """What is wrong with a mix on disk: files, order, counts, ids, root; nothing: all is well."""
    name = home.name if home.name == "mix" else f"mix/{home.name}"
    manifest = read_manifest(home)
    if manifest is None or not files.sealed(manifest):
        return [f"{name}/manifest.json: missing or edited: it is not what its seal says"]
    wrong = list(_files(home, manifest))
    if wrong:
        return [f"{name}/{one}" for one in wrong]
    if manifest["run"]["root"] != run_root:
        wrong.append("manifest.json: it is a mix of another run than this one is now")
    leaves: dict[str, list[bytes]] = {}
    held: dict[str, list[str]] = {}
    for part in ("data", "guard"):
        leaves[part], held[part] = [], []
        for batch in _batches(home / part):
            leaves[part] += row_leaves(batch)
            held[part] += batch["id"].to_pylist()
            wrong += _foreign(batch)
    if root_of(manifest["key"], leaves["data"], leaves["guard"]) != manifest["root"]:
        wrong.append("manifest.json: root is not what the rows give")
    if held["data"] != ids(home, *IN_MIX) or held["guard"] != ids(home, "guard"):
        wrong.append("ids.parquet: not the records of data/ and guard/, in order")
    if leak := set(held["data"]) & set(held["guard"]):
        wrong.append(f"data/: {min(leak)} is held out for the guard, and in the mix")
    counts = {"mix": len(held["data"]), "guard": len(held["guard"])}
    if counts != {key: manifest["counts"][key] for key in counts}:
        wrong.append("manifest.json: counts are not what the records give")
    return [f"{name}/{one}" for one in wrong]


def _files(home: Path, manifest: dict[str, Any]) -> Iterator[str]:
    told = {one["name"]: one["sha256"] for one in manifest["files"]}
    here = {one["name"]: one["sha256"] for one in _present(home)}
    for name in sorted({*told, *here}):
        if name not in here:
            yield f"{name}: missing"
        elif name not in told:
            yield f"{name}: added: the manifest does not know it"
        elif told[name] != here[name]:
            yield f"{name}: its bytes are not what the manifest says"


def _present(home: Path) -> list[dict[str, Any]]:
    """The files of this mix; those of generations below RUN/mix are other mixes."""
    return [
        {"name": name, "sha256": sha}
        for name, sha in files.tree(home).items()
        if name != "manifest.json" and not (home / name.split("/")[0] / "manifest.json").exists()
    ]


def _batches(folder: Path) -> Iterator[pa.RecordBatch]:
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path, page_checksum_verification=True) as part:
            for batch in part.iter_batches(4096):
                yield batch.cast(MIXED) if batch.schema != MIXED else batch


def _foreign(batch: pa.RecordBatch) -> Iterator[str]:
    """Human records whose id does not follow from their source and text."""
    own = pc.equal(batch["world"], HUMAN)
    if not pc.any(own).as_py():
        return
    batch = batch.filter(own)
    texts = batch["data"].field("text").to_pylist()
    tasks = batch["task"].field("json").to_pylist()
    for rid, text, told in zip(batch["id"].to_pylist(), texts, tasks, strict=True):
        source = canonical(orjson.loads(told)["source"])
        if human_ids(source, digest(text.encode(), 16).hex(), human_bytes(text))[0] != rid:
            yield f"data/: {rid}: its id does not follow from its source and text"
