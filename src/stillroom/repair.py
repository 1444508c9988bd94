"""Set what is damaged in a run aside, so that running it again makes it anew."""

import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from stillroom import files, parts, store
from stillroom.errors import UserError
from stillroom.parts import Shard, generation_folders
from stillroom.store import Run


def set_damaged_aside(run: Run, private: bool) -> list[str]:
    """Move damaged files to RUN/damaged, so that the fold makes them anew; their names.

    A private state can't be made again (it may hold chance of its own): UserError.
    """
    found = [name for number in _numbers(run) for name in _state(run, number, private)]
    for path in generation_folders(run.folder).values():
        found += _generation(run, path)
    whole = run.folder / "make" / "manifest.json"
    if found or _manifest(whole) is None:
        found += [_aside(run, whole)] if whole.exists() and _manifest(whole) is None else []
        whole.unlink(missing_ok=True)
    return found


def _numbers(run: Run) -> list[int | None]:
    return [None, *generation_folders(run.folder)]


def _manifest(path: Path) -> dict[str, Any] | None:
    """The manifest when it is whole and sealed."""
    try:
        found = files.read_json(path)
    except UserError:
        return None
    return found if found is not None and files.sealed(found) else None


def _aside(run: Run, path: Path) -> str:
    """Move a file or folder to RUN/damaged; its name."""
    home = run.folder / "damaged" / path.parent.name
    home.mkdir(parents=True, exist_ok=True)
    path.rename(home / f"{path.name}.{time.time_ns()}")
    return f"{path.parent.name}/{path.name}"


def _state(run: Run, number: int | None, private: bool) -> list[str]:
    home = store.state_home(run.folder, number, private)
    note = home.with_suffix(".json")
    known = _manifest(note)
    if not home.exists() and not note.exists():
        return []
    if known is not None and home.is_dir() and files.tree(home) == known["files"]:
        return []
    if private:
        what = "a private state is damaged and can't be made again"
        raise UserError(what, home, "put it back from a copy, or make a new run")
    return [_aside(run, path) for path in (home, note) if path.exists()]


def _true(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether a sealed manifest says of its shards what they say themselves, where they can."""
    shards = [Shard(**one) for one in manifest["shards"]]
    surplus = manifest["counts"]["surplus"]
    dropped: list[tuple[str, str]] = []
    try:
        for shard in shards:
            wanted = shard.kept - (surplus if shard is shards[-1] else 0)
            dropped += parts.index_of(folder, shard, wanted)[1]
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return True  # a damaged shard is found by its hash
    numbers = parts.tally(shards)
    told = {name: manifest["counts"][name] for name in numbers}
    return told == numbers and [list(pair) for pair in dropped] == manifest["dropped"]


def _generation(run: Run, folder: Path) -> list[str]:
    """Damaged, missing and strange files of a generation; its manifest goes with them."""
    path = folder / "manifest.json"
    manifest = _manifest(path)
    if manifest is not None and not _true(folder, manifest):
        manifest = None
    if manifest is None:  # the shards know themselves; the manifest is made from them
        return [_aside(run, path)] if path.exists() else []
    wanted = {"index.parquet": manifest["index_sha256"]}
    for shard in (Shard(**one) for one in manifest["shards"]):
        wanted[shard.name] = shard.sha256
        if shard.rest_sha256:
            wanted[shard.rest_name] = shard.rest_sha256
    found = []
    for name, known in wanted.items():
        if not (folder / name).is_file():
            found.append(f"{folder.name}/{name}")
        elif files.sha256(folder / name) != known:
            found.append(_aside(run, folder / name))
    strange = sorted({p.name for p in folder.glob("[0-9]*.parquet")} - set(wanted))
    found += [_aside(run, folder / name) for name in strange]
    if found:
        path.unlink()
    return found
