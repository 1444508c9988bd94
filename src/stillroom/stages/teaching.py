"""Who answers the training questions, and which of the answers pass the world's check."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from stillroom import files
from stillroom.answer import spoken
from stillroom.engines.local import Local
from stillroom.errors import UserError
from stillroom.estimate import priced
from stillroom.fold import Watch
from stillroom.ledger import Ledger, TaskTeacher, recorded
from stillroom.stages.distilling import Plan, write_questions
from stillroom.stages.local_teacher import model_teaches
from stillroom.stages.questions import Posed, Sets
from stillroom.stages.taken import Taken, by_question, graded, pool_of
from stillroom.students.settings import Taught
from stillroom.teachers import open_teacher
from stillroom.world import Teacher

ANSWER = pa.schema(
    [
        ("id", pa.string()),
        ("sample", pa.int64()),
        ("text", pa.string()),
        ("ended", pa.bool_()),
        ("logprob", pa.float64()),
        ("prompt_tokens", pa.int64()),
        ("tokens", pa.int64()),
    ]
)


async def teach(
    plan: Plan, sets: Sets, tokenizer: Any, engine: Local, teacher: Teacher | None, watch: Watch
) -> Taken:
    """Ask whoever teaches; every answer is graded and kept, the wrong ones too."""
    home, settings = plan.home / "teacher", plan.how.teacher
    home.mkdir(exist_ok=True)
    if teacher is None and (settings is None or settings.ask is None):
        if settings is None:
            return await _records(plan, sets, tokenizer, engine)
        return await model_teaches(plan, settings, sets, tokenizer, engine, watch)
    settings = settings or Taught(folder="-")
    pool = pool_of(sets.train, 0, settings)
    asked = write_questions(home / "pool.parquet", pool, tokenizer)
    about = await _ask(plan, settings, pool, teacher, home, watch)
    answers = await graded(plan, engine, asked, home / "answers.parquet")
    return Taken(pool, by_question(answers), about)


async def _records(plan: Plan, sets: Sets, tokenizer: Any, engine: Local) -> Taken:
    """The run itself teaches: its records' answers, right ones and refused ones."""
    home = plan.home / "teacher"
    pool = sets.train if plan.how.keep == "verified" else [*sets.train, *sets.refused]
    asked = write_questions(home / "pool.parquet", pool, tokenizer)
    rows = [
        {"id": one.id, "sample": 0, "text": spoken(one.chat[-1]), "ended": True,
         "logprob": 0.0, "prompt_tokens": 0, "tokens": 0}
        for one in pool
    ]  # fmt: skip
    _write(home / "answers.parquet", rows)
    answers = await graded(plan, engine, asked, home / "answers.parquet")
    kept = {one.id for one in sets.train}
    wrong = sum(1 for a in answers if not a["whole"] and a["id"] in kept)
    if wrong:
        raise UserError(
            f"{wrong} kept records don't pass the check once they are written and read as text",
            do="mend the world's read(): check_world tests it",
        )
    about = {"kind": "records", "name": f"program of world {type(plan.world).name}"}
    return Taken(pool, by_question(answers), about)


async def _ask(
    plan: Plan,
    settings: Taught,
    pool: list[Posed],
    teacher: Teacher | None,
    home: Path,
    watch: Watch,
) -> dict[str, Any]:
    """Ask a server, or an object that was given, through the ledger: what is paid stays paid."""
    if teacher is None:
        assert settings.ask is not None
        teacher = open_teacher(settings.ask)
    about = {"kind": "asked", "name": teacher.model}
    if (home / "answers.parquet").exists():
        return about | _paid(home)
    done, over = 0, False

    async def one(question: Posed, ledger: Ledger, sample: int) -> dict[str, Any]:
        nonlocal done
        async with places:
            if over:
                raise asyncio.CancelledError
            asker = TaskTeacher(ledger, teacher.model, f"{question.id} {sample}", teacher)
            answer = await asker.ask(list(question.messages))
        done += 1
        plan.tell(watch, f"{done:,} of {len(pool) * settings.samples:,} answers")
        text = spoken(
            {"role": "assistant", "content": answer.text, "reasoning_content": answer.reasoning}
        )
        return {
            "id": question.id,
            "sample": sample,
            "text": text,
            "ended": answer.finish != "length",
            "logprob": 0.0,
            "prompt_tokens": answer.prompt_tokens,
            "tokens": answer.completion_tokens,
        }

    if settings.ask is not None:
        known = sum(cost.answers for cost in recorded(home / "ledger.sqlite"))
        letters = sum(len(m["content"]) for question in pool for m in question.messages)
        calls = len(pool) * settings.samples
        told = priced(settings.ask, len(pool), calls, letters * settings.samples, known)
        watch.before(told)
    places = asyncio.Semaphore(2 * getattr(teacher, "in_flight", 64))
    with closing(Ledger(home / "ledger.sqlite")) as ledger:
        if hasattr(teacher, "budget"):
            for cost in ledger.costs():
                teacher.budget.paid(cost.prompt_tokens + cost.completion_tokens, cost.cost)
        asking = [
            asyncio.ensure_future(one(question, ledger, sample))
            for question in pool
            for sample in range(settings.samples)
        ]
        try:
            rows = await asyncio.gather(*asking)
        finally:
            # After a mistake nobody asks, and pays, for the others; what is on its way is kept.
            over = True
            await asyncio.gather(*asking, return_exceptions=True)
            if hasattr(teacher, "close"):
                await teacher.close()
            await ledger.written()
    _write(home / "answers.parquet", rows)
    return about | _paid(home)


def _paid(home: Path) -> dict[str, Any]:
    costs = recorded(home / "ledger.sqlite")
    names = ("answers", "prompt_tokens", "completion_tokens", "cost")
    return {name: sum(getattr(one, name) for one in costs) for name in names}


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    files.write_file(path, files.parquet_bytes(pa.Table.from_pylist(list(rows), ANSWER)))
