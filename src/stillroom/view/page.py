"""The page of a run: one static HTML file that needs nothing else, not even a network.

    heading    the four sentences, the pass rate beside the checker's power
    findings   what the audit found; curves of series
    overview   the world's picture of the whole set, where it has one
    slices     the worst groups of records; the curriculum as a heat map; charts
    lab        of the collapse laboratory: what the arms lost
    mix        what a mix with human data is made of, where there is one
    guard      whether the rare cases are alive, where that was tested
    student    what a distillation came to, where there is one
    browser    records, which the page's script searches and filters; packed, see bodies.py

The page's Content-Security-Policy names the hashes of its own scripts: nothing that comes from data
can run, whatever it holds, and nothing can be fetched.
"""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from stillroom import dataset, files
from stillroom.dataset import Dataset
from stillroom.parts import Shard, generation_folder
from stillroom.record import Record
from stillroom.stages import card
from stillroom.view import (
    charts,
    findings,
    guard_charts,
    guard_tables,
    guarded,
    lab_charts,
    lab_tables,
    mix_charts,
    mix_tables,
    student,
    student_charts,
    student_tables,
)
from stillroom.view.bodies import CHUNK, Entry, fit, packed
from stillroom.view.entries import PICTURE, Reader
from stillroom.view.slices import FEW, grid, slices
from stillroom.view.summary import sentences, summary
from stillroom.world import World, has

Packed = tuple[list[Entry], list[str]]  # entries and the chunks that they lie in

BYTES = 4_900_000  # of a page at most
SLICES = 400  # in the table at most
REFUSED = 6  # records that stand under the reasons
SCRIPTS = ("unpack.js", "browser.js", "detail.js", "page.js")


def write_page(run: Path, world: World | None) -> Path:
    """Write RUN/report.html; without the world's code, records are shown as their data."""
    one = summary(run)
    reader = Reader(world, one)
    for record, chosen in _records(run, one["generations"]):
        reader.add(record, chosen)
    curves = charts.curves(one["findings"])
    pictured = charts.charts(reader.tally, reader.features, reader.featured)
    said, drawn, parts = _stages(run, one["world"])
    drawn = [*curves, *pictured, *drawn]
    found, tag = slices(reader.tally), reader.tally.main
    context = {
        "one": one,
        "name": run.resolve().name,
        "sentences": [*sentences(one)[:4], *said],
        **parts,
        "told": findings.told(one["findings"]),
        "curves": bool(curves),
        "overview": _overview(run, world, one["generations"]),
        "slices": found[:SLICES],
        "few": FEW,
        "all_slices": len(found),
        "grid": grid(reader.tally),
        "labels": sorted(reader.tally.labels),
        "pictured": bool(pictured),
        "charts": packed(orjson.dumps(drawn)) if drawn else "",
        "vega": charts.vega() if drawn else "",
    }
    # The records get the bytes that all the rest leaves: kept ones at least half of them.
    left = BYTES - len(_render(context, (reader.rest, []), (reader.kept, [])))
    rest = fit(reader.rest, left // 2, tag)
    kept = fit(reader.kept, left - sum(map(len, rest[1])), tag)
    files.write_file(run / "report.html", _render(context, rest, kept))
    return run / "report.html"


def _overview(run: Path, world: World | None, generations: int) -> dict[str, str] | None:
    """The world's picture of the whole set, packed, or why there is none; None if it draws none."""
    if world is None or not has(world, "overview"):
        return None
    try:
        sets = [dataset.generation(run, number) for number in range(generations)]
        html = str(world.overview(sets) or "")
    except Exception as wrong:  # as with a record's picture: the page must not fail with it
        said = "" if type(world).private else f": {wrong}"
        why = f"the world can't draw its set: {type(wrong).__name__}{said}"
        return {"html": "", "trouble": why}
    if len(html) > PICTURE:
        return {"html": "", "trouble": f"the picture is left out: it takes {len(html)} characters"}
    return {"html": packed(html.encode()), "trouble": ""} if html else None


def _stages(run: Path, world: str) -> tuple[list[str], list[dict[str, Any]], dict[str, Any]]:
    """Of the stages that a run went through: sentences for the top, charts, sections."""
    mixes, guard = mix_tables.read_mixes(run), guard_tables.read_report(run)
    lab, told = lab_tables.read_curves(run, world), student_tables.read_report(run)
    said = [lab_tables.headline(lab)] if lab else []
    said += [guarded.headline(guard["comparisons"])] if guard else []
    said += [student.headline(told)] if told else []
    drawn = lab_charts.charts(lab) if lab else []
    drawn += mix_charts.charts(mixes) if mixes else []
    drawn += guard_charts.charts(guard) if guard else []
    drawn += student_charts.charts(told) if told else []
    parts = {
        "lab": lab_tables.section(lab) if lab else None,
        "mix": mix_tables.section(mixes) if mixes else None,
        "guard": guard_tables.section(guard) if guard else None,
        "student": student_tables.section(told) if told else None,
    }
    return said, drawn, parts


def _records(run: Path, generations: int) -> Iterator[tuple[Record, bool]]:
    """Every record, shard by shard in plan order, and whether it is in the dataset."""
    for number in range(generations):
        folder = generation_folder(run, number)
        manifest = files.read_json(folder / "manifest.json", "shards", "counts") or {"shards": []}
        shards = [Shard(**one) for one in manifest["shards"]]
        for shard in shards:
            last = shard is shards[-1]
            wanted = shard.kept - (manifest["counts"]["surplus"] if last else 0)
            for place, record in enumerate(Dataset(((folder / shard.name, None),))):
                yield record, place < wanted
            if shard.rest_sha256:
                for record in Dataset(((folder / shard.rest_name, None),)):
                    yield record, False


def _render(context: dict[str, Any], rest: Packed, kept: Packed) -> bytes:
    """The page's bytes; `rest` are the refused and failed records."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("stillroom", "view"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": card.percent, "span": card.span, "points": card.points}
    environment.filters["json"] = lambda value: orjson.dumps(value).decode()
    # A scope of its own: Vega's script has short names, too.
    script = "(() => {\n" + "\n".join(_source(name) for name in SCRIPTS) + "})();"
    vega = context["vega"]
    html = environment.get_template("page.html").render(
        context
        | {
            "style": _source("page.css"),
            "script": script,
            "hashes": [_hash(one) for one in (script, vega) if one],
            "vega": packed(vega.encode()) if vega else "",
            "index": packed(orjson.dumps([*_lines(rest, 0), *_lines(kept, len(rest[1]))])),
            "chunks": [*rest[1], *kept[1]],
            "shown": {"kept": len(kept[0]), "rest": len(rest[0])},
            "refused": [one.line for one in sorted(rest[0], key=lambda one: one.place)[:REFUSED]],
        }
    )
    return html.encode()


def _lines(entries: Packed, first: int) -> list[list[Any]]:
    """The index of these entries: the line, place in the run, chunk, and place in the chunk."""
    return [
        [*one.line, one.place, first + n // CHUNK, n % CHUNK] for n, one in enumerate(entries[0])
    ]


def _source(name: str) -> str:
    return (Path(__file__).parent / name).read_text("utf-8")


def _hash(script: str) -> str:
    """How a Content-Security-Policy names an inline script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
