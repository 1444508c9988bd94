"""Files that are written whole or not at all, and the hashes that they are known by."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.errors import UserError
from stillroom.record import canonical, digest


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name to write under; the file gets its own when all went well, else is gone."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as wrong:
        part.unlink(missing_ok=True)
        if isinstance(wrong, OSError):
            wrong.filename = wrong.filename or str(path)
        raise


def write_file(path: Path, content: bytes) -> None:
    """Write whole or not at all: temporary name, fsync, rename."""
    with whole(path) as part:
        part.write_bytes(content)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree(folder: Path) -> dict[str, str]:
    """sha256 of every file below the folder, by its path from there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def parquet_bytes(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd", write_page_checksum=True)
    return out.getvalue().to_pybytes()  # type: ignore[no-any-return]


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A Parquet file's rows, page checksums verified; OSError or ArrowException when damaged."""
    # Not pq.read_table: for small files its dataset machinery costs ten times the reading.
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns)


def seal(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with a hash of itself, so that an edit of any field shows."""
    return {**manifest, "seal": digest(canonical(manifest)).hex()}


def sealed(manifest: dict[str, Any]) -> bool:
    rest = {key: value for key, value in manifest.items() if key != "seal"}
    return bool(seal(rest)["seal"] == manifest.get("seal"))


def read_json(path: Path, *keys: str) -> dict[str, Any] | None:
    """The object in the file; None when there is no file; UserError when keys are missing in it."""
    try:
        found: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as wrong:
        raise UserError(f"not JSON: {wrong}", path, "the file was edited or cut off") from None
    missing = list(keys) if not isinstance(found, dict) else [k for k in keys if k not in found]
    if missing or not isinstance(found, dict):
        what = f"this is not what Stillroom wrote: no {', '.join(missing) or 'object'} in it"
        raise UserError(what, path, "the file was edited; `stillroom verify` says what else was")
    return found


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_file(path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")
