"""The command line: each verb calls the Python API. Heavy imports happen inside the verbs."""

import sys
from typing import TYPE_CHECKING, Any

import click

from stillroom import __version__
from stillroom.errors import INTERRUPTED, OUR_BUG, SAID_NO, STOPPED, USER_MISTAKE, UserError

if TYPE_CHECKING:
    from pathlib import Path


class Folder(click.ParamType):  # type: ignore[type-arg]
    """A path. (click.Path would do, but importing pathlib alone is a tenth of `--help`.)"""

    name = "path"

    def convert(self, value: Any, param: object, ctx: object) -> "Path":
        from pathlib import Path

        return Path(value)


FOLDER = Folder()
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
UNSAFE = click.option(
    "--unsafe", is_flag=True, help="Run model-written code even without a sandbox."
)
TRUST = click.option(
    "--trust-code", is_flag=True, help="Run a world's code that is not Stillroom's own."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """Synthetic data anyone can re-check."""


@cli.command()
@click.argument("what")
@click.option("--count", type=click.IntRange(1), help="Records to keep (a generation).")
@click.option("--seed", type=click.IntRange(0), help="Another seed, other data.")
@click.option("--out", type=FOLDER, help="The run folder; runs/NAME by default.")
@click.option("--workers", type=click.IntRange(0), help="Worker processes; changes no byte.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any recipe key.")
@click.option("--preview", type=click.IntRange(1), help="Only show so many records; keep nothing.")
@click.option("--repair", is_flag=True, help="Make damaged shards anew.")
@click.option("--fill", type=FOLDER, help="A mix's quotas.json: make only what it lacks.")
@click.option("--teacher", metavar="URL", help="A model's server, or a folder with a model.")
@click.option("--model", help="The model's name on that server.")
@click.option("--yes", is_flag=True, help="Don't ask before a model is asked.")
@UNSAFE
def run(
    what: str,
    preview: int | None,
    out: "Path | None",
    teacher: str | None,
    model: str | None,
    yes: bool,
    unsafe: bool,
    **given: Any,
) -> None:
    """Run a RECIPE.toml or a world (a name, FILE.py, package.module:Class), or go on with it."""
    import tempfile
    from pathlib import Path

    from stillroom.pipeline import run as run_it
    from stillroom.view.terminal import Progress, outcome

    _allow(unsafe)
    given["settings"] = (*_teacher(teacher, model), *given["settings"])
    with tempfile.TemporaryDirectory() as folder, Progress(yes) as progress:
        if preview:
            out, given["count"] = Path(folder) / "preview", preview
            given["settings"] = (*given["settings"], "power.sample=0", "audit.run=false")
            given["stages"] = False
        result = run_it(_recipe(what), out=out, watch=progress.watch, **given)
        progress.close()
        click.echo(outcome(result.folder, preview or 3, full=bool(preview)))
        _mixture(result.folder)
        _student(result.folder)
    sys.exit(_guarded(result.folder))


@cli.command()
@click.argument("file", type=FOLDER)
@click.option("--as", "world", required=True, metavar="WORLD", help="Whose checks to run.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A field of the world.")
@UNSAFE
@AS_JSON
def check(file: "Path", world: str, settings: tuple[str, ...], unsafe: bool, as_json: bool) -> None:
    """Run a world's checks on data made elsewhere: JSON lines (chat or text) or Parquet."""
    from dataclasses import asdict

    from stillroom.stages.adopt import check as check_it
    from stillroom.view.terminal import foreign

    _allow(unsafe)
    report = check_it(file, world, settings=settings)
    _say(asdict(report) | {"ok": report.ok}, as_json, lambda: foreign(report))
    sys.exit(0 if report.ok else SAID_NO)


@cli.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@click.argument("record", required=False)
@click.option("--costs", is_flag=True, help="What the answers of models took.")
@TRUST
@AS_JSON
def show(
    run_folder: "Path", record: str | None, costs: bool, trust_code: bool, as_json: bool
) -> None:
    """Show a run in numbers and sentences, or one RECORD of it by its id or the id's beginning."""
    from stillroom.dataset import as_row
    from stillroom.view import summary, terminal

    if costs:
        spent = summary.costs(run_folder)
        _say(spent, as_json, lambda: terminal.costs_words(spent))
        return
    if record is None:
        one = summary.summary(run_folder)
        _say(one, as_json, lambda: "\n".join([*summary.sentences(one), f"Root {one['root']}."]))
        return
    found = summary.find_record(run_folder, record)
    world = terminal.world_of(run_folder, trust_code)
    _say(as_row(found), as_json, lambda: terminal.record(found, world))


@cli.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@TRUST
def view(run_folder: "Path", trust_code: bool) -> None:
    """Write the run's page, RUN/report.html, and print its path."""
    from stillroom.view import terminal
    from stillroom.view.page import write_page

    click.echo(write_page(run_folder, terminal.world_of(run_folder, trust_code)))


@cli.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@click.option("--root", metavar="HEX", help="The root you were told: catches a consistent forgery.")
@click.option("--replay", type=click.IntRange(0), default=0, help="Remake N tasks and compare.")
@click.option("--relearn", type=click.IntRange(0), multiple=True, metavar="G",
              help="Learn once more after generation G and compare; repeatable.")  # fmt: skip
@click.option("--workers", type=click.IntRange(0), default=2, show_default=True)
@TRUST
@UNSAFE
@AS_JSON
def verify(run_folder: "Path", unsafe: bool, as_json: bool, **given: Any) -> None:
    """Re-check a run from disk: hashes, order, counts, root, and every verdict."""
    from dataclasses import asdict

    from stillroom.stages.verify import verify as verify_it
    from stillroom.view.terminal import verified

    _allow(unsafe)
    report = verify_it(run_folder, **given)
    _say(asdict(report) | {"ok": report.ok}, as_json, lambda: verified(report))
    sys.exit(0 if report.ok else SAID_NO)


@cli.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@click.option("--to", required=True, help="chat, text, parquet, or a format of the world's own.")
@click.option("--out", type=FOLDER, help="The folder; RUN-FORMAT by default.")
@TRUST
def export(run_folder: "Path", to: str, out: "Path | None", trust_code: bool) -> None:
    """Export a finished run for training, split into train, validation and test, with a card."""
    from stillroom.stages.export import export as export_it

    click.echo(export_it(run_folder, to, out, trust_code=trust_code))


@cli.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="A key of the recipe's [mix]: mix.share=0.3.")  # fmt: skip
@click.option("--out", type=FOLDER, help="The folder; RUN/mix by default.")
@click.option("--no-anchor", is_flag=True, help="Mix without any trusted human record, stamped.")
@TRUST
@AS_JSON
def mix(run_folder: "Path", no_anchor: bool, as_json: bool, **given: Any) -> None:
    """Mix a finished run with human data: the whole anchor, a fresh share, synthetic on top."""
    from stillroom.stages.mix import mix as mix_it
    from stillroom.stages.mix_card import words
    from stillroom.view.terminal import Progress

    with Progress() as progress:
        anchor = False if no_anchor else None
        report = mix_it(run_folder, anchor=anchor, watch=progress.watch, **given)
    _say(
        report.figures | {"folder": str(report.folder)},
        as_json,
        lambda: f"{words(report.figures)}\nMix {report.folder}",
    )


@cli.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="A key of the recipe's [distill]: distill.student=small.")  # fmt: skip
@click.option("--out", type=FOLDER, help="The folder; RUN/student by default.")
@click.option("--workers", type=click.IntRange(0), help="Trainings at a time; changes nothing.")
@click.option("--yes", is_flag=True, help="Don't ask before a model is asked.")
@TRUST
@AS_JSON
def distill(run_folder: "Path", yes: bool, as_json: bool, **given: Any) -> None:
    """Distil a finished run into a small model, and judge it beside its baselines."""
    from stillroom.stages.distill import distill as distill_it
    from stillroom.view.student import words
    from stillroom.view.terminal import Progress

    with Progress(yes) as progress:
        report = distill_it(run_folder, watch=progress.watch, **given)
    _say(
        report.figures | {"folder": str(report.folder)},
        as_json,
        lambda: words(report.folder, report.figures),
    )


@cli.command()
@click.argument("data", metavar="SET", type=FOLDER)
@click.option("--against", metavar="ANCHOR", type=FOLDER,
              help="What the set should be like: human data that trained nothing.")  # fmt: skip
@click.option("--on", multiple=True, help="text, tags or features; all that both have by default.")
@click.option("--text", default="", metavar="COLUMN", help="The column that holds the text.")
@click.option("--unit", default="", metavar="COLUMN", help="What was sampled, if not documents.")
@click.option("--alpha", default=0.01, show_default=True, help="Probability of a false alarm.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the exchanges of units.")
@click.option("--monitor", "state", type=FOLDER, metavar="STATE",
              help="The set is a stream: look at what is new; STATE keeps the bets.")  # fmt: skip
@click.option("--forecast", "generations", type=click.IntRange(1), metavar="N",
              help="Foretell what N generations of a loop leave of SET, an anchor.")  # fmt: skip
@click.option("--fresh", default=0.0, help="Share of each of them that is fresh human data.")
@click.option("--temperature", default=1.0, help="How their students draw.")
@click.option("--top-p", default=1.0, help="The same.")
@TRUST
@AS_JSON
def guard(
    data: "Path", against: "Path | None", state: "Path | None", generations: int | None,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Say whether a SET lost the rare cases of its ANCHOR: PASS, ALARM or UNDERPOWERED."""
    from stillroom.view import guarded

    _together(generations, against, state)
    loop = {key: given.pop(key) for key in LOOP}
    if generations is not None:
        _foretold(data, generations, as_json, loop | given)
    elif against is not None and state is not None:
        from stillroom.stages.monitor import monitor

        del given["unit"]
        seen = monitor(data, against, state, **given)
        _say(seen.json(), as_json, lambda: guarded.watched(seen))
        sys.exit(SAID_NO if seen.alarm else 0)
    elif against is not None:
        from stillroom.stages.guard import guard as guard_it

        report = guard_it(data, against, **given)
        _say(report.json(), as_json, lambda: guarded.words(report.json()))
        sys.exit(0 if report.ok else SAID_NO)


@cli.command()
@AS_JSON
def worlds(as_json: bool) -> None:
    """List the worlds there are, each with its checker's power on a fresh small sample."""
    from stillroom.view.terminal import known_worlds, worlds_words

    found = known_worlds()
    _say({"worlds": found}, as_json, lambda: worlds_words(found))


@cli.command()
@click.argument("name")
def new(name: str) -> None:
    """Write NAME.py, a small world that runs, and test_NAME.py beside it."""
    from pathlib import Path

    from stillroom.worlds.new import write_world

    for path in write_world(name, Path()):
        click.echo(path)
    click.echo(f"try: stillroom run {name}.py --count 20 · pytest test_{name}.py")


@cli.command()
@click.option("--out", type=FOLDER, default="runs/demo", show_default=True)
@click.option("--workers", type=click.IntRange(0), help="Worker processes; changes no byte.")
def demo(out: "Path", workers: int | None) -> None:
    """Run every world small, and write the pages."""
    import tomllib

    from stillroom.pipeline import run as run_it
    from stillroom.view.page import write_page
    from stillroom.view.terminal import Progress, outcome, world_of

    for one in tomllib.loads((_recipes() / "laptop.toml").read_text())["run"]:
        with Progress() as progress:
            recipe = _recipes() / one["recipe"]
            result = run_it(recipe, out=out / recipe.stem, count=one["count"], workers=workers,
                            settings=tuple(one.get("set", ())), watch=progress.watch)  # fmt: skip
        click.echo(outcome(result.folder, 3))
        _student(result.folder)
        _guarded(result.folder)
        click.echo(f"page: {write_page(result.folder, world_of(result.folder, False))}\n")


LOOP = ("fresh", "temperature", "top_p")  # options that only a forecast has
TEST = ("against", "alpha", "seed", "state")  # ... and those that it has not


def _together(generations: int | None, against: "Path | None", state: "Path | None") -> None:
    """UserError for options of `guard` that don't go together."""
    forecast, stream = generations is not None, state is not None
    ctx = click.get_current_context()
    for option in ctx.command.params:
        source = ctx.get_parameter_source(option.name or "")
        if source is None or source.name != "COMMANDLINE":
            continue
        wrong = (
            "needs --forecast N" if option.name in LOOP and not forecast
            else "does not go with --forecast" if option.name in TEST and forecast
            else "does not go with --monitor" if option.name == "unit" and stream
            else ""
        )  # fmt: skip
        if wrong:
            raise UserError(f"{option.opts[0]} {wrong}", do="see `stillroom guard --help`")
    if not forecast and against is None:
        raise UserError(
            "there is nothing to compare the set with",
            do="name its anchor: --against ANCHOR; or foretell what becomes of it: --forecast 10",
        )


def _foretold(data: "Path", generations: int, as_json: bool, given: dict[str, Any]) -> None:
    """Say what a loop would leave of an anchor."""
    from stillroom.stages.foresight import foresee
    from stillroom.view.guarded import foretold

    wanted = {key: value for key, value in given.items() if key not in TEST}
    told = foresee(data, generations, **wanted)
    _say(told, as_json, lambda: foretold(told))


def _guarded(run: "Path") -> int:
    """Say what the guard found, where there was an anchor; an ALARM is a no."""
    from stillroom import files
    from stillroom.view.guarded import words

    told = files.read_json(run / "guard" / "report.json", "verdict", "comparisons")
    for one in told["comparisons"] if told else ():
        click.echo(f"guard: {one['set']} against {one['anchor']}\n{words(one)}\n")
    return SAID_NO if told and told["verdict"] == "ALARM" else 0


def _mixture(run: "Path") -> None:
    """Say what a run's mix came to, where it has one."""
    from stillroom import files
    from stillroom.stages.mix_card import words

    told = files.read_json(run / "mix" / "manifest.json")
    if told is not None:
        click.echo(f"{words(told)}\n")


def _student(run: "Path") -> None:
    """Say what a run's distillation came to, where it has one."""
    from stillroom import files
    from stillroom.view.student import words

    told = files.read_json(run / "student" / "report.json")
    if told is not None:
        click.echo(words(run / "student", told))


def _teacher(place: str | None, model: str | None) -> tuple[str, ...]:
    """--teacher and --model as settings of the recipe."""
    import json

    kind = "url" if place is None or "://" in place else "folder"
    given = {kind: place, "model": model}
    return tuple(f"teacher.{key}={json.dumps(v)}" for key, v in given.items() if v is not None)


def _allow(unsafe: bool) -> None:
    """For this process and its workers alone: no run and no recipe can grant it."""
    import os

    if unsafe:
        os.environ["STILLROOM_UNSAFE"] = "1"


def _recipes() -> "Path":
    """The folder of the packaged recipes."""
    from pathlib import Path

    return Path(__file__).parent / "recipes"


def _recipe(what: str) -> str:
    """The packaged recipe of this name, if there is one: `stillroom run lessons`."""
    packaged = _recipes() / f"{what}.toml"
    return str(packaged) if what.replace("-", "_").isidentifier() and packaged.is_file() else what


def _say(value: dict[str, Any], as_json: bool, words: Any) -> None:
    import json

    click.echo(json.dumps(value, ensure_ascii=False, default=str) if as_json else words())


def main() -> None:
    """Run a verb; the exit code says whose turn it is (see errors.py)."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _end(INTERRUPTED, "stopped cleanly; run the same command to go on")
    except KeyboardInterrupt:
        _end(INTERRUPTED, "stopped cleanly; run the same command to go on")
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(USER_MISTAKE)
    except UserError as wrong:
        word = "stopped early" if wrong.code == STOPPED else "error"
        _end(wrong.code, f"{word}: {wrong}")
    except Exception as wrong:
        _unexpected(wrong)


def _unexpected(wrong: Exception) -> None:
    """A disk that won't take more stops the run; everything else is our bug, told in a sentence."""
    from stillroom.errors import DISK, Stopped, disk_trouble

    if isinstance(wrong, OSError) and wrong.errno in DISK:
        _end(STOPPED, f"stopped early: {Stopped(*disk_trouble(wrong))}")
    notes = getattr(wrong, "__notes__", [])
    if not notes:
        raise wrong
    said = f"{type(wrong).__name__}: {wrong}".strip().splitlines()[-1]
    _end(OUR_BUG, "\n".join([f"a bug of Stillroom or of the world's code: {said}", *notes]))


def _end(code: int, words: str) -> None:
    click.echo(words, err=True)
    sys.exit(code)
