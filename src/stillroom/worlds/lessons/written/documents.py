"""The user's dated documents, of which extracts seed lessons."""

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, model_validator

LONGEST = 1000  # characters of an extract


class Document(BaseModel, frozen=True, extra="forbid"):
    """A text with its date. Given as a file, it is read into `text`: a run holds all it needs."""

    name: str
    date: date
    text: str

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "file" not in given:
            return given
        given = dict(given)
        path = Path(given.pop("file"))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as wrong:
            raise ValueError(f"can't read the document {path.name}: {wrong}") from None
        return {"name": path.name, "text": text, **given}


class Extract(NamedTuple):
    """A passage of a document: characters `begin` to `end`."""

    name: str
    date: str
    text: str
    begin: int
    end: int

    @property
    def place(self) -> dict[str, Any]:
        return {"name": self.name, "date": self.date, "begin": self.begin, "end": self.end}


def extract_of(documents: Sequence[Document], rng: np.random.Generator) -> Extract | None:
    """A passage of whole paragraphs, at most LONGEST characters; None without documents."""
    if not documents:
        return None
    one = documents[int(rng.integers(len(documents)))]
    starts = [0, *(m.end() for m in re.finditer(r"\n\s*\n", one.text))]
    starts = [start for start in starts if one.text[start:].strip()] or [0]
    begin = starts[int(rng.integers(len(starts)))]
    ends = [start for start in starts if begin < start <= begin + LONGEST]
    whole = len(one.text) - begin <= LONGEST
    end = len(one.text) if whole else (ends[-1] if ends else begin + LONGEST)
    return Extract(one.name, one.date.isoformat(), one.text[begin:end].strip(), begin, end)


def source_fault(documents: Sequence[Document], place: dict[str, Any] | None) -> str:
    """ "" or why a record's source is no passage of the documents."""
    if place is None:
        return ""
    for one in documents:
        if one.name == place["name"] and one.date.isoformat() == place["date"]:
            if 0 <= place["begin"] < place["end"] <= max(1, len(one.text)):
                return ""
            return f"{one.name} has no characters {place['begin']} to {place['end']}"
    return f"no document {place['name']} of {place['date']}"
