"""Sets of documents as the guard sees them: runs, records and files made elsewhere, in batches.

a run folder, or Parquet of records    text and tags as the world shows them, features too
JSON lines, Parquet, CSV               a text column or messages; text columns of few values are
                                       tags, columns of numbers are features
a folder                               of one of these, or of .txt and .md files
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from stillroom import dataset, files, store, worlds
from stillroom.errors import UserError
from stillroom.record import Record, digest, from_rows
from stillroom.stages.adopt import rows as json_rows
from stillroom.stages.corpus import PACKAGED
from stillroom.world import World

ROWS = 4096  # that are read together
TEXTS = ("text", "content", "document", "completion", "response", "output", "answer")
NAMES = (".jsonl", ".ndjson", ".parquet", ".csv", ".txt", ".md")
KEYS = ("id", "url", "source", "date", "evidence", "licence", "license", "tags", "messages")


class Document(NamedTuple):
    """One document of a set. `mark` is a hash of its content, `world` is empty for foreign rows."""

    mark: int
    text: str
    tags: dict[str, str]
    features: dict[str, float]
    id: str = ""
    world: str = ""
    unit: str = ""


@dataclass(frozen=True)
class DocumentSet:
    """Where a set is, and how its rows are to be read.

    text  the column that holds the text, where it isn't found by its name
    unit  a column or tag whose values say what was sampled: the source of several documents
    kind  of records: only those of this origin (human, synthetic); empty for all
    """

    path: Path
    text: str = ""
    unit: str = ""
    kind: str = ""
    trust_code: bool = False
    shown: dict[str, World | None] = field(default_factory=dict, repr=False, compare=False)

    def batches(self) -> Iterator[list[Document]]:
        """All documents in order, some thousand at a time. UserError for what can't be read."""
        documents = 0
        for batch in self._batches():
            documents += len(batch)
            yield batch
        if not documents:
            raise UserError("there is no document in it", self.path, "is it the right file?")

    def _batches(self) -> Iterator[list[Document]]:
        path = self.path
        if store.is_run(path):
            yield from self._records(dataset.open(path).parts, self._world())
            return
        found = _files(path)
        for file in found:
            if file.suffix in (".txt", ".md"):
                yield [self._row({"text": _plain(file)}, file)]
            elif file.suffix == ".parquet" and _enveloped(file):
                yield from self._records(((file, None),), None)
            else:
                batch: list[Document] = []
                for row in _rows(file):
                    batch.append(self._row(row, file))
                    if len(batch) == ROWS:
                        yield batch
                        batch = []
                yield batch

    def _world(self) -> World | None:
        """The run's world, to show its records; None where its code is foreign and not trusted."""
        about = files.read_json(self.path / "run.json", "parts", "spec")
        assert about is not None
        spec = worlds.recorded(about, self.path)
        if not (spec.ours or self.trust_code):
            return None
        return worlds.build(spec, about["parts"]["config"])

    def _records(
        self, parts: Iterable[dataset.Part], world: World | None
    ) -> Iterator[list[Document]]:
        for file, rows in parts:
            table = files.read_parquet(file)
            for batch in (table if rows is None else table.slice(0, rows)).to_batches(ROWS):
                found = from_rows(batch.to_pylist())
                yield [
                    self._record(one, world) for one in found if self.kind in ("", one.origin.kind)
                ]

    def _record(self, record: Record, world: World | None) -> Document:
        data, features = record.data, dict[str, float]()
        text = data["text"] if isinstance(data.get("text"), str) else ""
        if world is not None:
            view = world.show(record)
            text, features = view.text or text, dict(view.features)
        text = text or json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
        unit = _unit(self.unit, record.tags | {"source": record.origin.source or ""}, self.path)
        return Document(_mark(text), text, record.tags, features, record.id, record.world, unit)

    def _row(self, row: dict[str, Any], file: Path) -> Document:
        name = self.text or next((one for one in TEXTS if isinstance(row.get(one), str)), "")
        if name and not isinstance(row.get(name), str):
            raise UserError(
                f"a row has no text in {name!r}; it has {', '.join(sorted(row))}",
                file,
                "say which column holds the text: --text NAME",
            )
        text = row[name] if name else _chat(row.get("messages"))
        tags = {k: v for k, v in row.items() if isinstance(v, str) and k not in (name, *KEYS)}
        tags |= {k: str(v) for k, v in row.items() if isinstance(v, bool)}
        if isinstance(row.get("tags"), dict):
            tags |= {k: str(v) for k, v in row["tags"].items() if v is not None}
        features = {
            key: float(value)
            for key, value in row.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and key != "id"
        }
        whole = text or json.dumps(row, sort_keys=True, ensure_ascii=False, default=str)
        said = _unit(self.unit, row, file)
        return Document(_mark(whole), text, tags, features, str(row.get("id", "")), "", said)


def _mark(text: str) -> int:
    """The first half of the digest by which a mix knows a text."""
    return mark(digest(text.encode(errors="surrogatepass"), 16).hex())


def mark(hexadecimal: str) -> int:
    """A digest's first eight bytes as a number."""
    return int.from_bytes(bytes.fromhex(hexadecimal)[:8], "little")


def _unit(name: str, row: dict[str, Any], where: Path) -> str:
    if not name:
        return ""
    if row.get(name) in (None, ""):
        raise UserError(
            f"a document has no {name!r}, which was to say its unit",
            where,
            f"there are {', '.join(sorted(row))}",
        )
    return str(row[name])


def _chat(messages: Any) -> str:
    """What a chat says, turn after turn; empty where there is none."""
    if not isinstance(messages, list):
        return ""
    said = (one.get(k) for one in messages for k in ("reasoning_content", "content"))
    return "\n".join(one for one in said if isinstance(one, str) and one)


def _files(path: Path) -> list[Path]:
    if not path.exists() and (PACKAGED / f"{path}.parquet").is_file():
        return [PACKAGED / f"{path}.parquet"]
    if path.is_file() and path.suffix in NAMES:
        return [path]
    path = path / "data" if (path / "data").is_dir() else path  # of a mix: not what it holds back
    found = sorted(one for one in path.rglob("*") if one.suffix in NAMES) if path.is_dir() else []
    if not found:
        kinds = ", ".join(NAMES)
        raise UserError(
            "no set of documents is there", path, f"give a run, a file or a folder of {kinds}"
        )
    return found


def _enveloped(file: Path) -> bool:
    """Whether a Parquet file holds records."""
    try:
        names = set(pq.read_schema(file).names)
    except (OSError, pa.ArrowException) as wrong:
        raise UserError(f"can't read it: {wrong}", file) from None
    return {"id", "world", "task", "data", "verdict", "tags", "origin"} <= names


def _plain(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise UserError(f"can't read it as UTF-8 text: {wrong}", file) from None


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix != ".csv":
        yield from json_rows(file)
        return
    try:
        # "nan" and the like are numbers that are none, and are told of; an empty field is missing.
        options = pa.csv.ConvertOptions(null_values=[""], strings_can_be_null=False)
        with pa.csv.open_csv(file, convert_options=options) as reader:
            for batch in reader:
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as wrong:
        raise UserError(f"can't read it as CSV: {wrong}", file) from None
