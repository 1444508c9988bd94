"""The curriculum: which concepts there are, their subjects, and what has to be known before."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Entry(NamedTuple):
    subject: str
    needs: tuple[str, ...]
    titles: tuple[str, ...]
    topic: tuple[str, ...]


def _read() -> tuple[tuple[str, ...], dict[str, Entry]]:
    raw = tomllib.loads((files(__package__) / "curriculum.toml").read_text("utf-8"))
    entries = {
        name: Entry(one["subject"], tuple(one["needs"]), tuple(one["titles"]), tuple(one["topic"]))
        for name, one in raw["concepts"].items()
    }
    return tuple(raw["subjects"]), entries


SUBJECTS, _OURS = _read()
OWN: dict[str, tuple[str, Entry]] = {}
"""Concepts that came with a world's config: their files' texts and entries."""


def order(entries: dict[str, Entry]) -> tuple[str, ...]:
    """Concepts so that each comes after all it needs; ValueError names a cycle or a stranger."""
    done: dict[str, None] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in done:
            return
        if name in path:
            cycle = " needs ".join([*path[path.index(name) :], name])
            raise ValueError(f"a cycle in the curriculum: {cycle}")
        if name not in entries:
            raise ValueError(f"{path[-1]} needs {name!r}, which is no concept")
        for before in entries[name].needs:
            visit(before, (*path, name))
        done[name] = None

    for name in entries:
        visit(name, ())
    return tuple(done)


CONCEPTS = order(_OURS)


def adopt(name: str, text: str, found: Entry) -> None:
    """Take in a concept of the user's own; ValueError for a cycle, a stranger, a name taken."""
    known = OWN.get(name)
    if known is not None and known[0] == text:
        return
    if name in _OURS or known is not None:
        raise ValueError(f"there is another concept {name!r} already")
    taken = {title for entry in _OURS.values() for title in entry.titles}
    if titles := taken & set(found.titles):
        raise ValueError(f"the title {titles.pop()!r} belongs to another concept")
    order({**_OURS, **{n: e for n, (_, e) in OWN.items()}, name: found})
    OWN[name] = text, found


def entry(concept: str) -> Entry:
    return OWN[concept][1] if concept in OWN else _OURS[concept]


def own_text(concept: str) -> str | None:
    return OWN[concept][0] if concept in OWN else None


def concept_of(title: str) -> str:
    """The concept that a title belongs to; "" when it is none's."""
    for name, (_, found) in OWN.items():
        if title in found.titles:
            return name
    return _titles().get(title, "")


@cache
def _titles() -> dict[str, str]:
    return {title: name for name, found in _OURS.items() for title in found.titles}
