"""Files into rows of text with what is said of them: JSON lines, Parquet, CSV, folders of texts.

Every format comes out as Arrow batches of one schema, ROW. Nothing is judged here: evidence.py
does that. Compressed files (.gz, .zst, .bz2) are read as they are.
"""

import difflib
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from stillroom import files
from stillroom.collapse.settings import Source
from stillroom.errors import UserError
from stillroom.record import canonical, digest
from stillroom.stages.rows import (
    ROW,
    from_columns,
    from_rows,
    have_tags,
    is_text,
    no_text,
    one_batch,
)

ROWS = 4096
CHUNK = 1 << 23  # bytes of a file that are read at once
PACKAGED = Path(__file__).parents[1] / "corpora"
PACKED = (".gz", ".zst", ".bz2", ".lz4")
TEXT_FILES = (".txt", ".md", ".rst", ".text")
TO_UTF8 = "convert it to UTF-8: iconv -f LATIN1 -t UTF-8 FILE"


@dataclass(frozen=True)
class Corpus:
    """A source with its files found: `how` is the source's table, packaged defaults filled in."""

    how: Source
    path: Path
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        return self.how.source or _stem(self.path)

    @cached_property
    def sha256(self) -> str:
        """Of the corpus file; of a folder, the hash of its files' hashes by name."""
        if self.path.is_file():
            return files.sha256(self.path)
        told = {one.relative_to(self.path).as_posix(): files.sha256(one) for one in self.files}
        return digest(canonical(told)).hex()


def find(how: Source) -> Corpus:
    """The corpus that a source names: a file, a folder, or a packaged corpus; else UserError."""
    path = Path(how.path)
    if not path.exists():
        path, how = _packaged(how)
    if path.is_file():
        return Corpus(how, path, (path,))
    for kinds in ((".parquet",), (".jsonl", ".json", ".ndjson"), (".csv", ".tsv"), TEXT_FILES):
        found = sorted(one for one in path.rglob("*") if _kind(one) in kinds and one.is_file())
        if found:
            return Corpus(how, path, tuple(found))
    suffixes = ", ".join((".parquet", ".jsonl", ".csv", *TEXT_FILES))
    raise UserError("the corpus is empty: no file to read is there", path, f"read are {suffixes}")


def read(corpus: Corpus) -> Iterator[pa.RecordBatch]:
    """The rows of a corpus as batches of the schema ROW, in the files' order."""
    rows = 0
    for file in corpus.files:
        try:
            for batch in _reader(file)(file, corpus):
                rows += batch.num_rows
                yield batch
        except UnicodeDecodeError as wrong:
            place = f"byte {wrong.start}"
            raise UserError(f"the text is not UTF-8 ({place})", file, TO_UTF8) from None
        except (OSError, pa.ArrowException) as wrong:
            if "UTF8" in str(wrong) or "utf-8" in str(wrong):
                raise UserError("the text is not UTF-8", file, TO_UTF8) from None
            raise UserError(f"can't read it: {wrong!s:.200}", file) from None
    if not rows:
        raise UserError("the corpus is empty: it has no rows", corpus.path)


def _packaged(how: Source) -> tuple[Path, Source]:
    path = PACKAGED / f"{how.path}.parquet"
    there = sorted(one.stem for one in PACKAGED.glob("*.parquet"))
    if how.path not in there:
        near = difflib.get_close_matches(how.path, there, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        listed = ", ".join(there) or "none"
        raise UserError(
            f"there is no corpus {how.path!r}",
            do=f"{hint}give a file or a folder; packaged corpora: {listed}",
        )
    sidecar = path.with_suffix(".toml")
    told = tomllib.loads(sidecar.read_text(encoding="utf-8")) if sidecar.is_file() else {}
    told = {key: value for key, value in told.items() if key in Source.model_fields}
    given = how.model_dump(exclude_unset=True)
    return path, Source.model_validate({"source": how.path, **told, **given})


def _kind(path: Path) -> str:
    """The suffix that says how a file is read, compression left aside."""
    suffixes = [one.lower() for one in path.suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _stem(path: Path) -> str:
    name = path.name
    while Path(name).suffix.lower() in (*PACKED, *_READERS, *TEXT_FILES):
        name = Path(name).stem
    return name


def _reader(file: Path) -> "Callable[[Path, Corpus], Iterator[pa.RecordBatch]]":
    kind = _kind(file)
    if kind not in _READERS:
        told = ", ".join((*_READERS, "or a folder of texts"))
        raise UserError(f"can't tell what kind of file {kind or file.name} is", file, told)
    return _READERS[kind]


# The formats.


def _json_lines(file: Path, corpus: Corpus) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(_lines(file), 1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as wrong:
            try:
                line.decode()
            except UnicodeDecodeError:
                raise UserError("the line is not UTF-8", where, TO_UTF8) from None
            hint = "JSON knows no NaN: use null" if b"NaN" in line else ""
            raise UserError(f"the line is not JSON: {wrong}", where, hint) from None
        if not isinstance(row, dict):
            raise UserError("the line is not a JSON object", where)
        if not isinstance(row.get(corpus.how.text, 0), str | None):
            no_text(list(row), [k for k, v in row.items() if isinstance(v, str)], corpus.how, where)
        rows.append(row)
        if len(rows) == ROWS:
            yield from_rows(rows, corpus.how, f"{file}, before line {number + 1}")
            rows = []
    if rows:
        yield from_rows(rows, corpus.how, f"{file}, its last {len(rows)} lines")


def _lines(file: Path) -> Iterator[bytes]:
    rest, first = b"", True
    with pa.input_stream(str(file), compression="detect") as stream:
        while chunk := stream.read(CHUNK):
            if first and chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise UserError("the text is UTF-16, not UTF-8", file, TO_UTF8)
            lines = (rest + (chunk.removeprefix(b"\xef\xbb\xbf") if first else chunk)).split(b"\n")
            first, rest = False, lines.pop()
            yield from lines
    yield rest


def _parquet(file: Path, corpus: Corpus) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(file) as opened:
        schema = opened.schema_arrow
        texts = [f.name for f in schema if pa.types.is_string(f.type) or is_text(f.type)]
        if corpus.how.text not in texts:
            no_text(schema.names, texts, corpus.how, file)
        have_tags(schema.names, corpus.how, file)
        wanted = {*ROW.names, *corpus.how.tags, corpus.how.text} - {"tags"}
        columns = [name for name in schema.names if name in wanted]
        for batch in opened.iter_batches(ROWS, columns=columns):
            yield from_columns(batch, corpus.how, file)


def _csv(file: Path, corpus: Corpus) -> Iterator[pa.RecordBatch]:
    parse = pcsv.ParseOptions(
        delimiter="\t" if _kind(file) == ".tsv" else ",", newlines_in_values=True
    )
    with pcsv.open_csv(file, parse_options=parse) as opened:
        names = opened.schema.names
    if corpus.how.text not in names:
        no_text(names, names, corpus.how, file)
    have_tags(names, corpus.how, file)
    convert = pcsv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
    )
    with pcsv.open_csv(file, parse_options=parse, convert_options=convert) as opened:
        for batch in opened:
            for begin in range(0, batch.num_rows, ROWS):
                yield from_columns(batch.slice(begin, ROWS), corpus.how, file)


def _text_file(file: Path, corpus: Corpus) -> Iterator[pa.RecordBatch]:
    with pa.input_stream(str(file), compression="detect") as stream:
        text = stream.read().decode("utf-8-sig")
    name = file.relative_to(corpus.path).as_posix() if corpus.path.is_dir() else file.name
    columns = {"text": pa.array([text]), "id": pa.array([name])}
    yield one_batch(columns, 1)


_READERS: dict[str, Callable[[Path, Corpus], Iterator[pa.RecordBatch]]] = {
    ".jsonl": _json_lines,
    ".json": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".csv": _csv,
    ".tsv": _csv,
    **dict.fromkeys(TEXT_FILES, _text_file),
}
