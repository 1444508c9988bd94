"""Write a dataset for training: chat, text or Parquet, split, with a card; streaming, resumable.

    FOLDER/train/00000.jsonl ...  validation/  test/  README.md  export.json

A part is written whole or not at all and noted in export.json, so that a stopped export goes on
where it was. Splits go by task parameters, never by row: records of equal tasks share a split.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from stillroom import files, worlds
from stillroom.dataset import Dataset
from stillroom.dataset import open as open_dataset
from stillroom.errors import UserError
from stillroom.record import SPLITS, Record, envelope, split_of, to_batch
from stillroom.world import World

PLAIN = ("chat", "text", "parquet")
PART = 5000  # records a part


def export(
    run: str | Path, to: str, out: str | Path | None = None, *, trust_code: bool = False
) -> Path:
    """Export a finished run's dataset `to` chat, text, parquet or a format of its world.

    chat: {"messages": [...], "id", "origin", "tags"}; text: {"text": ...} likewise; parquet: the
    records as they are. Returns the folder (RUN-FORMAT beside the run by default).
    """
    folder = Path(run)
    about = files.read_json(folder / "run.json")
    whole = files.read_json(folder / "make" / "manifest.json")
    if about is None or whole is None:
        raise UserError("no finished run is there", folder, "give the folder that `run` named")
    world = _world(folder, about, trust_code)
    allowed = (*PLAIN, *type(world).formats)
    if to not in allowed:
        raise UserError(f"no format {to!r}", do=f"allowed here: {', '.join(allowed)}")
    target = Path(out) if out is not None else folder.with_name(f"{folder.name}-{to}")
    done = _begin(target, {"root": whole["root"], "format": to})
    data = open_dataset(folder)
    counts = dict.fromkeys(SPLITS, 0)
    if to in PLAIN:
        _plain(data, world, to, target, done, counts)
    elif not done["parts"]:
        world.export(data, to, _empty(target / "data"))
        counts["train"] = len(data)
    text = card(about, whole, to, counts, _own_parts(target / "data"))
    files.write_file(target / "README.md", text.encode())
    files.write_json(target / "export.json", done | {"finished": True, "counts": counts})
    return target


def _world(folder: Path, about: dict[str, Any], trust: bool) -> World:
    spec = worlds.recorded(about, folder)
    if not (spec.ours or trust):
        raise UserError(
            "an export runs the world's own code, which is not Stillroom's",
            spec.file or spec.module,
            "read it, then add --trust-code",
        )
    return worlds.build(spec, about["parts"]["config"])


def _begin(target: Path, what: dict[str, str]) -> dict[str, Any]:
    """What of this very export is there already; refuses a folder with something else in it."""
    known = files.read_json(target / "export.json")
    if known is not None:
        if {key: known.get(key) for key in what} != what:
            raise UserError("another export is in this folder", target, "give another --out")
        return known
    if target.exists() and any(target.iterdir()):
        raise UserError("this folder is not empty", target, "give another --out")
    target.mkdir(parents=True, exist_ok=True)
    return {**what, "finished": False, "parts": {}}


def _empty(folder: Path) -> Path:
    """An empty folder: what a world's own export left unfinished is removed."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _plain(
    data: Dataset,
    world: World,
    to: str,
    target: Path,
    done: dict[str, Any],
    counts: dict[str, int],
) -> None:
    for number, records in enumerate(_chunks(data)):
        split: dict[str, list[Record]] = {name: [] for name in SPLITS}
        for record in records:
            split[split_of(record.tags, record.task_json)].append(record)
        for name, members in split.items():
            counts[name] += len(members)
            suffix = "parquet" if to == "parquet" else "jsonl"
            part = f"{name}/{number:05d}.{suffix}"
            if not members or done["parts"].get(part) == _sha(target / part):
                continue
            (target / name).mkdir(exist_ok=True)
            files.write_file(target / part, _content(members, world, to))
            done["parts"][part] = _sha(target / part)
            files.write_json(target / "export.json", done)


def _own_parts(data: Path) -> dict[str, str]:
    """Of a world's own export: which files each split has, and what the world says of them."""
    found = {}
    for split in SPLITS:
        for first in sorted((data / split).glob("*"))[:1]:
            found[split] = f"data/{split}/*{first.suffix}"
    told = data / "README.md"
    return found | ({"": told.read_text("utf-8")} if told.is_file() else {})


def _sha(path: Path) -> str | None:
    return files.sha256(path) if path.is_file() else ""


def _chunks(data: Iterable[Record]) -> Iterator[list[Record]]:
    source = iter(data)
    while chunk := list(islice(source, PART)):
        yield chunk


def _content(records: list[Record], world: World, to: str) -> bytes:
    if to == "parquet":
        table: pa.Table = to_batch(records, envelope(type(world).schema))
        return files.parquet_bytes(table)
    return b"".join(orjson.dumps(_row(r, world, to)) + b"\n" for r in records)


def _row(record: Record, world: World, to: str) -> dict[str, Any]:
    view = world.show(record)
    body: dict[str, Any] = {"messages": view.messages} if to == "chat" else {"text": view.text}
    if not body.get("messages", body.get("text")):
        name = type(world).name
        raise UserError(f"world {name!r} shows no {'messages' if to == 'chat' else 'text'}",
                        do="export to another format")  # fmt: skip
    return body | {
        "id": record.id,
        "task": orjson.Fragment(record.task_json),
        "tags": record.tags,
        "origin": record.origin,
    }


def card(
    about: dict[str, Any],
    whole: dict[str, Any],
    to: str,
    counts: dict[str, int],
    own: dict[str, str] | None = None,
) -> str:
    """The card (README.md, as data hubs read it): synthetic, when, how much, which licence.

    `own`: of a world's own export, the files of each split, and under "" its words on them.
    """
    import datetime

    made = datetime.datetime.now(datetime.UTC).date().isoformat()
    name, numbers = about["parts"]["world"], whole["counts"]
    suffix = "parquet" if to == "parquet" else "jsonl"
    own, plain = own or {}, to in PLAIN
    paths = {split: f"{split}/*.{suffix}" for split in SPLITS if counts[split]} if plain else own
    files = "".join(f"  - split: {k}\n    path: {paths[k]}\n" for k in SPLITS if k in paths)
    configs = f"configs:\n- config_name: default\n  data_files:\n{files}" if files else ""
    split = f" ({', '.join(f'{k} {v}' for k, v in counts.items())})" if plain else ""
    depth = "unknown (a teacher model took part)" if about["parts"]["teacher"] else "1 or more"
    return f"""---
license: other
tags:
- synthetic
- stillroom
{configs}---
# {name["name"]}: synthetic data, {to}

**This data set is synthetic.** It was made by Stillroom {about["made_with"]["stillroom"]} and
exported on {made}. No record is a record of a person or an event unless its `origin` says so.

| | |
|---|---|
| world | {name["name"]}, version {name["version"]}, seed {about["parts"]["seed"]} |
| teacher | {about["parts"]["teacher"] or "none: a program alone"} |
| generations away from human data (`origin.depth`) | {depth} |
| records | {numbers["dataset"]}{split} |
| tasks used, kept, refused by the checks, failed | {numbers["tasks"]}, {numbers["kept"]}, \
{numbers["refused"]}, {numbers["failed"]} |
| root of the run | `{whole["root"]}` |
| licence | as set by who made it; each record's `origin.licence` where it has one |

Every record passed its world's check. That shows internal validity, not usefulness. To check it
again from the run folder: `stillroom verify RUN --root {whole["root"]}`.
{chr(10) + own[""] if "" in own else ""}"""
