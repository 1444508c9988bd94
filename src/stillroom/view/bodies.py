"""What the page's record browser holds: records as gzip in base64, within a number of bytes.

An index of all shown records is read at once; the bodies (text, picture, chat, checks) lie in
chunks, of which the browser unpacks the one whose record is opened.
"""

import base64
import gzip
import zlib
from dataclasses import dataclass
from typing import Any

import orjson

CHUNK = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """A shown record: its place in the run, its tags, its line in the list, its packed body."""

    place: int
    tags: dict[str, str]
    line: list[Any]
    body: bytes


def entry(place: int, tags: dict[str, str], line: list[Any], body: dict[str, Any]) -> Entry:
    """The entry with its body packed for as long as the run is read."""
    return Entry(place, tags, line, zlib.compress(orjson.dumps(body), 1))


def fit(entries: list[Entry], most: int, tag: str | None) -> tuple[list[Entry], list[str]]:
    """The entries, or an evenly spaced part of them, whose chunks take at most so many bytes.

    They come back in the chunks' order: entry n lies in chunk n // CHUNK. Records of one value of
    `tag` stand side by side, because what is alike packs best together.
    """
    wanted = entries
    while True:
        grouped = sorted(wanted, key=lambda one: (one.tags.get(tag or "", ""), one.place))
        chunks = [_chunk(grouped[i : i + CHUNK]) for i in range(0, len(grouped), CHUNK)]
        size = sum(map(len, chunks))
        if size <= most or not wanted:
            return grouped, chunks
        fewer = max(0, min(len(wanted) - 1, int(0.97 * len(wanted) * most / size)))
        wanted = [wanted[i * len(wanted) // fewer] for i in range(fewer)]


def _chunk(entries: list[Entry]) -> str:
    return packed(b"[" + b",".join(zlib.decompress(one.body) for one in entries) + b"]")


def packed(content: bytes) -> str:
    """gzip in base64, the same bytes at any time."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
