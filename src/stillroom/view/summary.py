"""A finished run in numbers and sentences; the terminal and the page say the same."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from stillroom import dataset, files, store
from stillroom.dataset import as_row
from stillroom.errors import UserError
from stillroom.ledger import recorded
from stillroom.record import Record
from stillroom.view import findings
from stillroom.view.slices import AXIS, VALUES


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
        "tried": tried,
        "pass_rate": numbers["kept"] / tried if tried else 0.0,
        "reasons": store.reasons(run),
        "rare": rare(run),
        "root": whole["root"],
        "power": audit.get("power", {}),
        "findings": audit.get("findings", []),
    }


def costs(run: Path) -> dict[str, Any]:
    """What the answers in a run's ledger took, model by model; plain JSON."""
    if not store.is_run(run):
        raise UserError("no run is there", run, "give the folder of a run")
    paid = [one._asdict() for one in recorded(run / "ledger.sqlite")]
    sums = ("answers", "prompt_tokens", "completion_tokens", "cost")
    total = {name: sum(one[name] for one in paid) for name in sums}
    return {"run": str(run), "models": paid, **total}


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


RAREST = 4  # values that are named


def rare(run: Path) -> dict[str, Any]:
    """The tag values with fewest kept records, and those seen among refused records alone.

    A tag with very many values is a label, not a class of records; splits are no cases, and a
    level says what the difficulty says.
    """
    counts = _tag_counts(path for path, _ in store.parts(run))
    seen = counts | {pair: 0 for pair in _tag_counts(store.evidence(run)) if pair not in counts}
    sizes = Counter(tag for tag, _ in seen)
    cases = {
        (tag, value): n
        for (tag, value), n in seen.items()
        if sizes[tag] <= VALUES and tag != "split" and (tag != "level" or AXIS not in sizes)
    }
    rarest = sorted((pair for pair in cases if cases[pair]), key=lambda pair: cases[pair])
    named = [{"tag": a, "value": b, "kept": cases[a, b]} for a, b in rarest[:RAREST]]
    gone = [{"tag": a, "value": b} for (a, b), n in cases.items() if not n]
    return {"values": len(cases), "rarest": named, "gone": gone}


def _tag_counts(parts: Iterable[Path]) -> dict[tuple[str, str], int]:
    """How many records bear each (tag, value), read from the tags alone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counts: Counter[tuple[str, str]] = Counter()
    for path in parts:
        try:
            column = files.read_parquet(path, ["tags"])["tags"]
        except (OSError, pa.ArrowException) as wrong:
            raise UserError(
                f"can't read this part: {wrong}", path, "`stillroom verify` names what is damaged"
            ) from wrong
        pairs = pc.list_flatten(column).combine_chunks()
        table = pa.table({"key": pairs.field("key"), "value": pairs.field("value")})
        groups = table.group_by(["key", "value"], use_threads=False).aggregate([([], "count_all")])
        for row in groups.to_pylist():
            counts[row["key"], row["value"]] += row["count_all"]
    return counts


def rare_words(found: dict[str, Any]) -> str:
    """Whether the rare cases are alive, by the tags of what was kept."""
    if not found["values"]:
        return "The records have no tags that sort them into cases: nothing is known of rare ones."
    words = ", ".join(f"{r['tag']} {r['value']} ({r['kept']} kept)" for r in found["rarest"])
    if not found["gone"]:
        return f"Each of the {found['values']} tag values has kept records; the rarest: {words}."
    gone = ", ".join(f"{r['tag']} {r['value']}" for r in found["gone"][:RAREST])
    more = len(found["gone"]) - RAREST
    gone += f" and {more} more" if more > 0 else ""
    return f"{len(found['gone'])} of {found['values']} tag values have no kept record: {gone}" + (
        f"; the rarest that have: {words}." if words else "."
    )


def sentences(one: dict[str, Any]) -> list[str]:
    """What was made, kept, why the rest was refused, whether the rare cases are alive; then how
    far the checks can be trusted, and the findings. The first four stand on top of the page.
    """
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
    rest = [words[:1].upper() + words[1:] + ".", *findings.words(one["findings"])]
    return [made, kept, no, rare_words(one["rare"]), *rest]


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
