"""The page of a run: one static HTML file that needs nothing else."""

from itertools import islice
from pathlib import Path

from jinja2 import Environment, PackageLoader

from stillroom import dataset, files
from stillroom.record import Record
from stillroom.view.summary import sentences, summary
from stillroom.world import World

MOST = 200  # records shown of each kind


def write_page(run: Path, world: World | None) -> Path:
    """Write RUN/report.html; without the world's code, records are shown as their data."""
    environment = Environment(
        loader=PackageLoader("stillroom", "view"), autoescape=True, trim_blocks=True
    )
    one = summary(run)
    html = environment.get_template("page.html").render(
        one=one,
        sentences=sentences(one),
        kept=[_entry(r, world) for r in islice(dataset.open(run), MOST)],
        refused=[_entry(r, world) for r in islice(dataset.rest(run), MOST)],
        most=MOST,
    )
    files.write_file(run / "report.html", html.encode())
    return run / "report.html"


def _entry(record: Record, world: World | None) -> dict[str, object]:
    text = world.show(record).text if world and record.data is not None else ""
    return {
        "id": record.id,
        "text": text or str(record.data),
        "tags": record.tags,
        "task": record.task_json,
        "checks": record.verdict.checks,
        "outcome": record.outcome,
    }
