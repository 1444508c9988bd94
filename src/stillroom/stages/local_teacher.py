"""A model on this machine teaches: one that is there, or one that is trained here first."""

from collections.abc import Sequence
from os.path import relpath
from pathlib import Path
from typing import Any

from stillroom import files
from stillroom.answer import turn
from stillroom.engines.local import Local
from stillroom.fold import Watch
from stillroom.stages.distilling import Plan, write_job, write_questions
from stillroom.stages.questions import Posed, Sets
from stillroom.stages.taken import Taken, by_question, graded, pool_of
from stillroom.students import arm, chat
from stillroom.students.settings import Taught
from stillroom.world import Message

POOL = "pool-answers.parquet"


async def model_teaches(
    plan: Plan, settings: Taught, sets: Sets, tokenizer: Any, engine: Local, watch: Watch
) -> Taken:
    """A local model teaches; one that is trained here learns from the gold records first.

    In each of the `rounds` it then answers the training questions, and is trained anew on gold and
    those of its own answers that passed the check (Zelikman et al., STaR, 2022).
    """
    home = plan.home / "teacher"
    gold = [list(one.chat) for one in sets.train[: settings.gold]] if settings.student else []
    pool = pool_of(sets.train, len(gold), settings)
    watch.say(f"the teacher: {settings.student or settings.folder}")
    learnt, spent = gold, 0.0
    for number in range(settings.rounds):
        folder = home / f"round-{number}"
        await _local(plan, settings, folder, tokenizer, learnt, {"pool": pool}, engine, watch)
        found = await graded(plan, engine, folder / "pool.parquet", folder / POOL)
        own = Taken(pool, by_question(found))
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
    return Taken(pool, by_question(found), about)


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
    from stillroom.students.student import tokenizer_from

    folder.mkdir(parents=True, exist_ok=True)
    model = "" if settings.student else str(Path(settings.folder).resolve())
    data = folder / "learnt.parquet"
    if settings.student:
        arm.write_examples(data, chat.encode(tokenizer, learnt, plan.how.context))
    own = tokenizer_from(model) if model else tokenizer
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
