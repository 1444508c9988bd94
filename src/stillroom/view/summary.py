"""A finished run in numbers and sentences; the terminal and the page say the same."""

from itertools import islice
from pathlib import Path
from typing import Any

from stillroom import dataset, files, store
from stillroom.dataset import as_row
from stillroom.errors import UserError
from stillroom.record import Record


def summary(run: Path) -> dict[str, Any]:
    """Counts, root, checker power, findings and the commonest reasons for a "no"; plain JSON."""
    about = files.read_json(run / "run.json")
    whole = files.read_json(run / "make" / "manifest.json")
    if about is None or whole is None:
        what = "this run is not finished" if about else "no run is there"
        raise UserError(
            what, run, "give the folder of a finished run; `run` again goes on with one"
        )
    audit = files.read_json(run / "audit.json") or {}
    numbers = whole["counts"]
    tried = numbers["kept"] + numbers["refused"] + numbers["failed"]
    return {
        "run": str(run),
        "world": about["parts"]["world"]["name"],
        "version": about["parts"]["world"]["version"],
        "seed": about["parts"]["seed"],
        "generations": len(whole["generations"]),
        "records": numbers["dataset"],
        **{name: numbers[name] for name in ("tasks", "kept", "refused", "failed", "surplus")},
        "pass_rate": numbers["kept"] / tried if tried else 0.0,
        "reasons": store.reasons(run),
        "root": whole["root"],
        "power": audit.get("power", {}),
        "findings": audit.get("findings", []),
    }


def power_words(power: dict[str, Any]) -> str:
    """The share of planted faults that was noticed, kind by kind, or that none was measured."""
    if not power:
        return "checker power: not measured"
    words = []
    for kind, name in (("own", "own faults"), ("core", "core's faults")):
        tally = power[kind]
        if tally["planted"]:
            words.append(f"{name} {100 * tally['power']:.1f} % of {tally['planted']} noticed")
        else:
            words.append(f"{name}: none planted")
    unchecked = power["unchecked"]
    words += [f"unchecked fields: {', '.join(unchecked)}"] if unchecked else []
    return "checker power: " + "; ".join(words)


def sentences(one: dict[str, Any]) -> list[str]:
    """What was made, what was kept, why the rest was refused, how far the checks can be trusted."""
    several = f" in {one['generations']} generations" if one["generations"] > 1 else ""
    made = f"World {one['world']} used {one['tasks']} tasks{several}, seed {one['seed']}."
    kept = (
        f"{one['kept']} records passed every check ({100 * one['pass_rate']:.1f} %); "
        f"the dataset is the first {one['records']} of them."
    )
    why = ", ".join(
        f"{name.partition(': ')[2]} ({n})" for name, n in list(one["reasons"].items())[:3]
    )
    no = f"{one['refused']} were refused and {one['failed']} failed" + (f": {why}." if why else ".")
    words = power_words(one["power"])
    found = [
        f"{f['name']}: {f['value']:g} {f['unit']}".rstrip()
        + (f" ({f['detail']})." if f["detail"] else ".")
        for f in one["findings"]
    ]
    return [made, kept, no, words[:1].upper() + words[1:] + ".", *found]


def find_record(run: Path, record: str) -> Record:
    """The record with this id, or the only one whose id begins so; refused ones too."""
    hits = []
    for records in (dataset.open(run), dataset.rest(run)):
        hits += list(islice((r for r in records if r.id.startswith(record)), 2))
    if len(hits) != 1:
        what = "several records begin with" if hits else "no record has the id"
        raise UserError(f"{what} {record!r}", run, "`stillroom show RUN` lists some")
    return hits[0]


def examples(run: Path, kept: int = 3) -> tuple[list[Record], Record | None]:
    """The first kept records, and the first one that was refused."""
    refused = next((r for r in dataset.rest(run) if r.outcome == "refused"), None)
    return list(islice(dataset.open(run), kept)), refused


def record_text(record: Record, text: str) -> str:
    """A record for the terminal: its text if its world shows one, else its data."""
    import json

    body = text or json.dumps(as_row(record)["data"], indent=1, ensure_ascii=False, default=str)
    origin = record.origin
    return (
        f"{record.id} · {record.outcome} · task {record.task_json}\n"
        f"origin: {origin.kind}, {origin.maker}, depth "
        f"{'unknown' if origin.depth is None else origin.depth}\n\n{body}"
    )
