"""The trainings of a distillation: each arm with each seed, all treated alike."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path
from typing import Any

from stillroom import files
from stillroom.engines.local import Local
from stillroom.fold import Watch
from stillroom.stages import views
from stillroom.stages.distilling import Plan, write_job, write_questions
from stillroom.stages.questions import Sets
from stillroom.stages.taken import Taken, graded
from stillroom.students import arm as arm_
from stillroom.students import chat
from stillroom.students.chat import Example
from stillroom.students.preflight import preflight
from stillroom.students.shapes import is_folder

TESTS = ("test", "extrapolate")
SLACK = 16  # tokens that an answer may be longer than the longest that was learnt


@dataclass
class Arm:
    """A trained arm: one folder a seed, what it cost, and its graded answers by test."""

    name: str
    examples: int
    rate: float
    folders: list[Path] = field(default_factory=list)
    courses: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, list[list[dict[str, Any]]]] = field(default_factory=dict)
    """{test: for each seed the graded answers}."""
    held_out: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    """{test: for each seed the likelihood of the records' own answers}."""
    most: int = 0
    """Tokens of an answer at most."""
    tried: dict[str, float] = field(default_factory=dict)
    """{learning rate: share right of the validation questions}."""


@dataclass(frozen=True)
class Ready:
    """What all trainings of a distillation share."""

    plan: Plan
    learnt: dict[str, list[Example]]
    """{arm: its examples}."""
    asks: dict[str, Path]
    """{validation, test, extrapolate: the file of questions}."""
    most: int
    engine: Local
    watch: Watch


async def train_all(
    plan: Plan, sets: Sets, taken: Taken, tokenizer: Any, engine: Local, watch: Watch
) -> dict[str, Arm]:
    """Write what each arm learns, look at it once before anything is trained, then train."""
    names = ["distilled", *plan.how.arms]
    learnt = {name: _examples(plan, name, sets, taken, tokenizer) for name in names}
    first = views.chats("distilled", plan.how, sets, taken)[0]
    for line in preflight(tokenizer, learnt["distilled"], first):
        watch.say(line)
    most = plan.how.max_tokens or SLACK + max(
        len(one.ids) - one.start for examples in learnt.values() for one in examples
    )
    asks = {}
    for name in ("validation", "test", "extrapolate"):
        questions = getattr(sets, name)
        if questions:
            path = plan.home / "questions" / f"{name}.parquet"
            asks[name] = write_questions(path, questions, tokenizer)
    if plan.how.mode == "logits" and plan.how.logits.samples:
        watch.say("drawing from the teacher's probabilities")
        job = arm_.placed(_support(plan, plan.home), plan.home)
        await engine.call("stillroom.students.imitation:write_support", job)
    ready = Ready(plan, learnt, asks, most, engine, watch)
    done = await asyncio.gather(*(_arm(ready, name) for name in names))
    return {arm.name: arm for arm in done}


def _examples(plan: Plan, name: str, sets: Sets, taken: Taken, tokenizer: Any) -> list[Example]:
    """An arm's examples as token ids, and on disk for the workers."""
    chats = views.chats(name, plan.how, sets, taken)
    examples = chat.encode(tokenizer, chats, plan.how.context)
    if examples:
        arm_.write_examples(plan.home / "data" / f"{name}.parquet", examples)
    return examples


async def _arm(ready: Ready, name: str) -> Arm:
    """Choose the learning rate on the validation split, then train and judge every seed."""
    plan, asks = ready.plan, ready.asks
    rates = plan.how.rates if ready.learnt[name] else ()
    arm = Arm(name, len(ready.learnt[name]), rates[0] if rates else plan.how.train.learning_rate)
    if len(rates) > 1:
        shares = await asyncio.gather(*(_share(ready, name, rate) for rate in rates))
        arm.tried = {str(rate): share for rate, share in zip(rates, shares, strict=True)}
        arm.rate = max(zip(shares, rates, strict=True), key=lambda one: (one[0], -one[1]))[1]
    tests = [test for test in TESTS if test in asks]
    tuned = {"validation": asks["validation"]} if len(rates) > 1 else {}
    arm.folders = [_folder(plan, name, arm.rate, seed) for seed in range(plan.how.seeds)]
    arm.most = ready.most
    judged = {test: asks[test] for test in tests}

    async def train(seed: int, folder: Path) -> None:
        asked = judged if seed else {**tuned, **judged}
        await _run(ready, folder, name, arm.rate, seed, asked)

    await asyncio.gather(*(train(seed, folder) for seed, folder in enumerate(arm.folders)))
    for folder in arm.folders:
        arm.courses.append(files.read_json(folder / "course.json") or {})
        for test in tests:
            found = await graded(plan, ready.engine, asks[test], folder / f"{test}.parquet")
            arm.answers.setdefault(test, []).append(found)
            beside = arm_.about_answers(folder / f"{test}.parquet")["held_out"]
            arm.held_out.setdefault(test, []).append(beside)
    return arm


async def _share(ready: Ready, name: str, rate: float) -> float:
    """The share of validation questions that the first seed gets right at this rate."""
    folder = _folder(ready.plan, name, rate, 0)
    asked = {"validation": ready.asks["validation"]}
    known = files.read_json(folder / "job.json")
    if known is None or len(known["ask"]) < 2:  # else it was chosen, and judged since
        await _run(ready, folder, name, rate, 0, asked)
    answers = folder / "validation.parquet"
    found = await graded(ready.plan, ready.engine, asked["validation"], answers)
    greedy = [bool(row["right"]) for row in found if row["sample"] == 0]
    return sum(greedy) / len(greedy)


async def _run(
    ready: Ready, folder: Path, name: str, rate: float, seed: int, asks: dict[str, Path]
) -> None:
    """Have a worker train one arm with one seed, and answer the questions of `asks`."""
    plan, how, examples = ready.plan, ready.plan.how, ready.learnt[name]
    tokens = how.train.tokens
    if name == "answer-only-examples":
        tokens = round(tokens * _mean(examples) / _mean(ready.learnt["distilled"]))
    training = how.train.model_copy(update={"learning_rate": rate, "tokens": tokens})
    from_folder = is_folder(how.student)
    logits = None
    if how.mode == "logits" and name == "distilled":
        logits = {**how.logits.model_dump(mode="json"), **_support(plan, folder)}
    on_policy = None
    if how.mode == "on_policy" and name == "distilled":
        on_policy = {
            **how.on_policy.model_dump(mode="json"),
            "logits": how.logits.model_dump(mode="json"),
            "teacher": _teacher_model(plan, folder),
            "max_tokens": ready.most,
        }
    data = plan.home / "data" / f"{name}.parquet"
    asking = [
        {
            "questions": relpath(path, folder),
            "to": f"{test}.parquet",
            "greedy": 1,
            "samples": 0 if test == "validation" else how.samples,
            "temperature": 1.0,
            "max_tokens": ready.most,
        }
        for test, path in asks.items()
    ]
    job = {
        "training": training.model_dump(mode="json"),
        "seed": seed,
        "size": "" if from_folder else how.student,
        "folder": str(Path(how.student).resolve()) if from_folder else "",
        "lora": how.lora,
        "tokenizer": relpath(plan.home / "tokenizer", folder),
        "context": how.context,
        "examples": relpath(data, folder) if examples else "",
        "logits": logits,
        "trainer": how.trainer,
        "on_policy": on_policy,
        "model": "",
        "ask": asking,
    }
    write_job(folder, job)
    await plan.work(ready.engine, folder, ready.watch, f"{name}, seed {seed}")


def _support(plan: Plan, folder: Path) -> dict[str, Any]:
    """Where, from `folder`, the teacher's probabilities come from, and what some are kept in."""
    return {
        "teacher": _teacher_model(plan, folder),
        "store": relpath(plan.home / "teacher" / "support.parquet", folder),
        "examples": relpath(plan.home / "data" / "distilled.parquet", folder),
        "samples": plan.how.logits.samples,
        "seed": plan.seed,
    }


def _teacher_model(plan: Plan, folder: Path) -> str:
    assert plan.how.teacher is not None
    if plan.how.teacher.student:
        return relpath(plan.home / "teacher" / "model", folder)
    return str(Path(plan.how.teacher.folder).resolve())


def _folder(plan: Plan, name: str, rate: float, seed: int) -> Path:
    return plan.home / "arms" / name / f"rate-{rate}" / f"seed-{seed}"


def _mean(examples: Sequence[Example]) -> float:
    return sum(len(one.ids) for one in examples) / max(1, len(examples))
