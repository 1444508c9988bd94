"""What the command line prints: progress while a run goes, words when it is done."""

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stillroom import files, worlds
from stillroom.errors import UserError
from stillroom.estimate import Estimate, duration
from stillroom.fold import Watch
from stillroom.record import Record
from stillroom.stages import adopt, verify
from stillroom.view import summary
from stillroom.world import World

BRIEF = 1400  # characters of a record that are shown after a run


class Progress:
    """A bar on a terminal, plain lines elsewhere; both on stderr."""

    def __init__(self, yes: bool = False) -> None:
        self.watch = Watch(progress=self._progress, say=self._say, before=self._before)
        self._yes = yes
        self._status: Any = None
        self._last, self._shards = 0.0, 0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True).status("starting")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        self.close()
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self._shards:
            self._say(f"stopped after shard {self._shards}: what is made is kept")

    def close(self) -> None:
        if self._status is not None:
            self._status.stop()

    def _progress(self, generation: int, numbers: dict[str, int]) -> None:
        self._shards += 1
        line = ", ".join(f"{numbers[name]} {name}" for name in ("kept", "refused", "failed"))
        left = numbers.get("seconds_left")
        line = f"generation {generation}: {line}" + (f"; {duration(left)} left" if left else "")
        if self._status is not None:
            self._status.update(line)
        elif time.monotonic() - self._last > 2:
            self._last = time.monotonic()
            self._say(line)

    def _before(self, estimate: Estimate) -> None:
        """Tell what a model will be asked; go on when that is wanted."""
        self.close()
        self._say(estimate.words)
        if self._yes:
            return
        if not sys.stdin.isatty():
            raise UserError(
                "nobody is there to say yes to asking a model",
                estimate.url,
                "add --yes when the numbers above are all right",
            )
        import click

        click.confirm("Go on?", abort=True, err=True)

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def world_of(run: Path, trust: bool) -> World | None:
    """The world of a run, if its code may be run here: it shows records better than raw data."""
    about = files.read_json(run / "run.json")
    if about is None:
        return None
    spec = worlds.recorded(about, run)
    return worlds.build(spec, about["parts"]["config"]) if spec.ours or trust else None


def outcome(run: Path, kept: int, full: bool = False) -> str:
    """What came out of a run: some kept records, one that was refused and why, the numbers."""
    # Who has just run the world has trusted its code.
    world = world_of(run, True)
    shown, refused = summary.examples(run, kept)
    lines = [_framed(f"kept {i}", record_words(r, world, full)) for i, r in enumerate(shown, 1)]
    if refused is not None:
        why = f"{record_words(refused, world, full)}\n\nrefused because of {refused.verdict.reason}"
        lines.append(_framed("refused", why))
    one = summary.summary(run)
    lines += ["", *summary.sentences(one), f"Root {one['root']}. Folder {run}."]
    return "\n".join(lines)


def record(one: Record, world: World | None) -> str:
    """A whole record with its origin and checks."""
    checks = [f"  {'yes' if c.ok else 'NO '} {c.name} {c.detail}" for c in one.verdict.checks]
    return "\n".join([record_words(one, world, True), "", *checks])


def record_words(one: Record, world: World | None, full: bool) -> str:
    text = world.show(one).text if world is not None and one.data is not None else ""
    words = summary.record_text(one, text)
    cut = not full and len(words) > BRIEF
    return words[:BRIEF].rstrip() + f" ... (stillroom show RUN {one.id[:8]})" if cut else words


def _framed(title: str, words: str) -> str:
    return f"── {title} " + "─" * (70 - len(title)) + f"\n{words}\n"


def verified(report: verify.Report) -> str:
    """The report of `verify` in words."""
    lines = [*report.problems, *(f"note: {note}" for note in report.notes)]
    replayed = f", {report.replayed} tasks remade" if report.replayed else ""
    replayed += f", {report.relearned} generations relearned" if report.relearned else ""
    if report.ok:
        lines.append(
            f"All right: {report.records} records, {report.checked} verdicts run again{replayed}."
        )
    else:
        lines.append(f"NO: {len(report.problems)} problem(s) named above.")
    return "\n".join([*lines, f"Root {report.root or 'unknown'}."])


def costs_words(spent: dict[str, Any]) -> str:
    """What models were paid for, a line each."""
    if not spent["models"]:
        return "No model was asked."
    return "\n".join(
        f"{one['model']}: {one['answers']:,} answers, {one['prompt_tokens']:,} tokens of prompts, "
        f"{one['completion_tokens']:,} of answers, money {one['cost']:.4f}"
        for one in spent["models"]
    )


def foreign(report: adopt.Report) -> str:
    """The report of `check FILE` in words."""
    lines = [f"row {f['row']}: {f['check']}: {f['detail']}" for f in report.failures]
    lines += [f"{n} rows not checkable: {reason}" for reason, n in report.reasons.items()]
    lines.append(
        f"{report.rows} rows: {report.right} right, {report.wrong} wrong, "
        f"{report.unchecked} not checkable."
    )
    share = f"{100 * report.under_check:.1f} %"
    return "\n".join([*lines, f"Share of the text that stands under a check: {share}."])


def known_worlds() -> list[dict[str, Any]]:
    """Every world of ours: name, version, what it needs, and its checker's power, measured now."""
    import tempfile

    from stillroom.pipeline import run

    found = []
    for name, (_, _, extra) in worlds.OURS.items():
        entry: dict[str, Any] = {"name": name, "extra": extra}
        try:
            cls = worlds.load(worlds.find(name))
            entry |= {"version": cls.version, "about": (cls.__doc__ or "").strip().split("\n")[0]}
            with tempfile.TemporaryDirectory() as folder:
                made = run(name, out=folder, count=20, workers=0, settings=("power.sample=10",))
                entry["power"] = made.power
        except UserError as wrong:
            entry["missing"] = str(wrong)
        found.append(entry)
    return found


def worlds_words(found: list[dict[str, Any]]) -> str:
    lines = []
    for one in found:
        lines.append(f"{one['name']}: {one.get('about', '')}")
        lines.append(f"  {one.get('missing') or summary.power_words(one['power'])}")
    return "\n".join(lines)
