"""Who answers the training questions, and which of the answers pass the world's check."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import files
from stillroom.answer import spoken, turn
from stillroom.engines.local import Local
from stillroom.errors import UserError
from stillroom.fold import Watch
from stillroom.ledger import Ledger, TaskTeacher, recorded
from stillroom.stages.distilling import Plan, write_job, write_questions
from stillroom.stages.questions import Posed, Sets
from stillroom.students import arm, chat
from stillroom.students.settings import Taught
from stillroom.teachers import open_teacher
from stillroom.world import Message, Teacher

POOL = "pool-answers.parquet"
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


@dataclass
class Taken:
    """The teacher's graded answers, question by question in order, and what it is and took."""

    pool: list[Posed]
    answers: dict[str, list[dict[str, Any]]]
    about: dict[str, Any] = field(default_factory=dict)

    def accepted(self, question: Posed) -> dict[str, Any] | None:
        """The first answer to a question that passed the check, reasoning included."""
        return next((a for a in self.answers.get(question.id, ()) if a["whole"]), None)

    def first(self, question: Posed, sample: int) -> dict[str, Any] | None:
        """The answer of that number if it came to an end, whether right or wrong."""
        return next(
            (a for a in self.answers.get(question.id, ()) if a["sample"] == sample and a["ended"]),
            None,
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
        return await _model(plan, settings, sets, tokenizer, engine, watch)
    settings = settings or Taught(folder="-")
    pool = _pool(sets.train, 0, settings)
    asked = write_questions(home / "pool.parquet", pool, tokenizer)
    about = await _ask(plan, settings, pool, teacher, home, watch)
    answers = await graded(plan, engine, asked, home / "answers.parquet")
    return Taken(pool, _by_question(answers), about)


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
    return Taken(pool, _by_question(answers), about)


async def _model(
    plan: Plan, settings: Taught, sets: Sets, tokenizer: Any, engine: Local, watch: Watch
) -> Taken:
    """A local model teaches; one that is trained here learns from the gold records first.

    In each of the `rounds` it then answers the training questions, and is trained anew on gold and
    those of its own answers that passed the check (Zelikman et al., STaR, 2022).
    """
    home = plan.home / "teacher"
    gold = [list(one.chat) for one in sets.train[: settings.gold]] if settings.student else []
    pool = _pool(sets.train, len(gold), settings)
    watch.say(f"the teacher: {settings.student or settings.folder}")
    learnt, spent = gold, 0.0
    for number in range(settings.rounds):
        folder = home / f"round-{number}"
        await _local(plan, settings, folder, tokenizer, learnt, {"pool": pool}, engine, watch)
        found = await graded(plan, engine, folder / "pool.parquet", folder / POOL)
        own = Taken(pool, _by_question(found))
        said = [(one, own.accepted(one)) for one in pool]
        learnt = gold + [[*one.messages, turn(a["text"])] for one, a in said if a is not None]
        spent += _spent(folder)
    tests = {name: getattr(sets, name) for name in ("test", "extrapolate")}
    tests = {name: questions for name, questions in tests.items() if questions}
    await _local(plan, settings, home, tokenizer, learnt, {"pool": pool, **tests}, engine, watch)
    about: dict[str, Any] = {
        "kind": "trained here" if settings.student else "folder",
        "name": settings.student or Path(settings.folder).name,
        "gold": len(gold),
        "rounds": settings.rounds,
        "parameters": arm.about_answers(home / POOL)["parameters"],
        "tokens": (files.read_json(home / "course.json") or {}).get("tokens", 0),
        "cpu_seconds": spent + _spent(home),
        "tests": {},
        "held_out": {},
    }
    for name in tests:
        answers = home / f"{name}-answers.parquet"
        about["tests"][name] = await graded(plan, engine, home / f"{name}.parquet", answers)
        about["held_out"][name] = arm.about_answers(answers)["held_out"]
    found = await graded(plan, engine, home / "pool.parquet", home / POOL)
    return Taken(pool, _by_question(found), about)


async def _local(
    plan: Plan,
    settings: Taught,
    folder: Path,
    tokenizer: Any,
    learnt: Sequence[Sequence[Message]],
    questions: dict[str, list[Posed]],
    engine: Local,
    watch: Watch,
) -> None:
    """Train a teacher in `folder` where it is to be trained, and let it answer the questions."""
    folder.mkdir(parents=True, exist_ok=True)
    model = "" if settings.student else str(Path(settings.folder).resolve())
    data = folder / "learnt.parquet"
    if settings.student:
        arm.write_examples(data, chat.encode(tokenizer, learnt, plan.how.context))
    own = arm.tokenizer_of(model) if model else tokenizer
    asks = []
    for name, posed in questions.items():
        path = write_questions(folder / f"{name}.parquet", posed, own)
        greedy = int(settings.greedy) if name == "pool" else 1
        samples = settings.samples - greedy if name == "pool" else 0
        where = {"questions": relpath(path, folder), "to": f"{name}-answers.parquet"}
        how = {"max_tokens": plan.how.max_tokens, "temperature": settings.temperature}
        asks.append({**where, **how, "greedy": greedy, "samples": samples})
    job = {
        "training": settings.train.model_dump(mode="json"),
        "seed": plan.seed,
        "size": settings.student,
        "folder": "",
        "lora": 0,
        "tokenizer": relpath(plan.home / "tokenizer", folder),
        "context": plan.how.context,
        "examples": relpath(data, folder) if settings.student else "",
        "logits": None,
        "model": model,
        "ask": asks,
    }
    write_job(folder, job)
    await plan.work(engine, folder, watch, f"teacher, {folder.name}")


def _spent(folder: Path) -> float:
    """CPU-seconds that a local teacher took to learn and to answer its training questions."""
    course = files.read_json(folder / "course.json") or {"cpu_seconds": 0.0}
    told = arm.about_answers(folder / POOL)
    return float(course["cpu_seconds"]) + float(told["cpu_seconds"])


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


def _pool(train: Sequence[Posed], after: int, settings: Taught) -> list[Posed]:
    pool = list(train[after : after + settings.questions])
    if not pool:
        raise UserError(
            f"no training question is left for the teacher: the run has {len(train)}, "
            f"{after} of them are gold",
            do="raise the run's count, or lower [distill.teacher] gold",
        )
    return pool


async def graded(plan: Plan, engine: Local, questions: Path, answers: Path) -> list[dict[str, Any]]:
    """Answers with their grades, through the world's `read` and `check`, in several workers."""
    count = pq.read_metadata(answers).num_rows
    size = max(500, -(-count // max(1, 2 * engine.workers)))
    jobs = []
    for begin in range(0, count, size):
        to = answers.with_name(f"{answers.stem}-graded-{begin:07d}-{size}.parquet")
        where = {"questions": str(questions), "answers": str(answers), "to": str(to)}
        world = {"spec": plan.spec, "config": plan.config}
        jobs.append({**world, **where, "begin": begin, "size": size})
    open_jobs = [job for job in jobs if not Path(job["to"]).exists()]
    await asyncio.gather(
        *(engine.call("stillroom.stages.grading:grade_file", job) for job in open_jobs)
    )
    return [row for job in jobs for row in files.read_parquet(Path(job["to"])).to_pylist()]


def _by_question(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row)
    return found


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    files.write_file(path, files.parquet_bytes(pa.Table.from_pylist(list(rows), ANSWER)))
