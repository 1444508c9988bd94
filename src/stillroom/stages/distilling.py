"""The parts of a distillation on disk: RUN/student and what lies in it.

RUN/student/  settings.json   what is done here; another recipe does not mix with it
  questions/                  train, validation, test, extrapolate: prompts and tasks (Parquet)
  tokenizer/                  as `transformers` reads it
  teacher/                    the teacher's training, its model and its answers, graded
  data/NAME.parquet           what each arm learns: token ids
  arms/NAME/RATE/SEED/        one training: job, checkpoint, model, answers, grades
  model -> arms/distilled/... the student
  report.json                 written last: its existence means "complete"
"""

import asyncio
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from stillroom import files
from stillroom.engines.local import Local
from stillroom.errors import UserError
from stillroom.fold import Watch
from stillroom.record import canonical
from stillroom.stages.questions import Posed
from stillroom.students import arm, chat
from stillroom.students.settings import Distill
from stillroom.world import World

QUESTION = pa.schema(
    [
        (name, pa.string())
        for name in ("id", "task", "prompt", "target", "answer", "concept", "difficulty")
    ]
)


def write_questions(path: Path, questions: Sequence[Posed], tokenizer: Any) -> Path:
    """Questions as a student is asked them, with their tasks and what the records answer."""
    rows = [
        {
            "id": one.id,
            "task": canonical(one.task).decode(),
            "prompt": chat.prompt(tokenizer, one.messages),
            "target": chat.target(tokenizer, one.chat),
            "answer": one.answer,
            "concept": one.concept,
            "difficulty": one.difficulty,
        }
        for one in questions
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_file(path, files.parquet_bytes(pa.Table.from_pylist(rows, QUESTION)))
    return path


def settle(home: Path, identity: dict[str, Any]) -> None:
    """Note what is done in this folder; refuse one in which something else was begun.

    Until something is trained other settings may take the place: what was written is removed, the
    teacher's answers but not their ledger, so that a mended recipe pays for nothing twice.
    """
    known = files.read_json(home / "settings.json")
    told = orjson.loads(canonical(identity))
    if known not in (None, told) and not _begun(home):
        for name in ("questions", "tokenizer", "data"):
            shutil.rmtree(home / name, ignore_errors=True)
        for path in (home / "teacher").glob("*.parquet"):
            path.unlink()
        known = None
    if known is not None and known != told:
        parts = sorted(key for key in {*known, *told} if known.get(key) != told.get(key))
        inner = [
            f"{part}.{key} was {known[part].get(key)!r:.40}, now {told[part].get(key)!r:.40}"
            for part in parts
            if isinstance(known.get(part), dict) and isinstance(told.get(part), dict)
            for key in sorted({*known[part], *told[part]})
            if known[part].get(key) != told[part].get(key)
        ]
        raise UserError(
            "this folder holds a student of another run or recipe: "
            + ("; ".join(inner) or f"{', '.join(parts)} differ"),
            home,
            "give another folder with --out, or remove this one",
        )
    if known is None:
        home.mkdir(parents=True, exist_ok=True)
        files.write_json(home / "settings.json", told)


def _begun(home: Path) -> bool:
    return (home / "arms").exists() or any((home / "teacher").rglob("job.json"))


def write_job(folder: Path, job: dict[str, Any]) -> None:
    """A training's job; one that is there already may only gain questions to answer."""
    known = files.read_json(folder / "job.json")
    if known is not None:
        old, new = ({k: v for k, v in one.items() if k != "ask"} for one in (known, job))
        if old != orjson.loads(orjson.dumps(new)):
            raise UserError("this folder holds another training", folder, "remove it")
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / "job.json", job)


@dataclass
class Plan:
    """What the steps of a distillation need to know."""

    world: World
    spec: dict[str, str]
    config: dict[str, Any]
    seed: int
    how: Distill
    home: Path
    _told: float = 0.0

    async def work(self, engine: Local, folder: Path, watch: Watch, name: str = "") -> None:
        """Have a worker do the job in `folder`; meanwhile tell how far it is."""
        doing = asyncio.ensure_future(
            engine.call("stillroom.students.arm:work", {"folder": str(folder), "where": name})
        )
        while not doing.done():
            await asyncio.wait([doing], timeout=1.0)
            with suppress(OSError, ValueError):
                at = orjson.loads((folder / arm.PROGRESS).read_bytes())
                words = f"step {at['step']:,} of {at['steps']:,}, loss {at['loss']:.3f}"
                self.tell(watch, f"{name or folder.name}: {words}")
        await doing

    def tell(self, watch: Watch, line: str) -> None:
        """Say how far it is, every few seconds."""
        if time.monotonic() - self._told > 5:
            self._told = time.monotonic()
            watch.say(line)
