"""The verb `make` of the world `written`: a task -> prompts -> a model's text -> data."""

import asyncio
from collections.abc import Sequence
from typing import Any

from stillroom.errors import UserError
from stillroom.world import Context, Data, Draft, Message, Task, Verdict
from stillroom.worlds.lessons import curriculum, making
from stillroom.worlds.lessons.symbols import AUDIENCES
from stillroom.worlds.lessons.written import form, judging, reversal
from stillroom.worlds.lessons.written.asking import best_of_passes, chat, prompt
from stillroom.worlds.lessons.written.documents import Document, Extract, extract_of

VOTERS = 5


async def make(
    task: Task, ctx: Context, documents: Sequence[Document], passes: Sequence[str]
) -> list[Draft | Data]:
    """One record; `documents` are the user's, of which one extract seeds the lesson."""
    if ctx.teacher is None:
        raise UserError(
            "lessons by a model need a model to ask",
            do="add --teacher URL --model NAME, or a table [teacher] to the recipe",
        )
    if task.get("function"):
        return [await _reversed(task, ctx)]
    extract = extract_of(documents, ctx.rng)
    first = _first(task, ctx, extract)
    audience = AUDIENCES[task["audience"]]

    def judge(text: str) -> Verdict:
        # A topic's votes are taken once, for the version that is kept.
        verdict = judging.judge(task, blank(task, text)).verdict
        if task.get("concept"):
            return verdict
        rest = tuple(c for c in verdict.checks if c.name not in ("votes", judging.UNVERIFIED))
        return Verdict(rest, verdict.score)

    best = await best_of_passes(ctx.teacher, first, audience, passes, judge)
    data = blank(task, best.text) | {"version": best.version}
    if not task.get("concept"):
        questions = [one["question"] for one in data["exercises"]]
        found = await asyncio.gather(*(_vote(ctx, question) for question in questions))
        votes = dict(zip(questions, found, strict=True))
        for one in data["exercises"]:
            one["votes"] = votes[one["question"]]
    judged = await asyncio.to_thread(judging.judge, task, data)
    data |= {"standing": judged.standing, "sandbox": judged.sandbox}
    if extract is None:
        return [data]
    data["source"] = extract.place
    return [Draft(data, source=f"{extract.name} ({extract.date})")]


def blank(task: Task, text: str) -> Data:
    """Data of a text, as far as the text itself says them; what it lacks is empty."""
    concept = task.get("concept", "")
    subject = curriculum.entry(concept).subject if concept else ""
    try:
        said: dict[str, Any] = judging.parts_of(form.take_apart(text))
    except ValueError:
        said = {"title": "", "example": None, "exercises": []}
    said["exercises"] = [{**one, "votes": []} for one in said["exercises"]]
    planned = {name: task.get(name, "") for name in judging.PLANNED if name != "level"}
    return {
        **planned,
        "level": task.get("level", 0),
        "subject": subject,
        "text": text,
        **said,
        "code": None,
        "source": None,
        "standing": judging.UNVERIFIED,
        "version": "given",
        "sandbox": "",
    }


def _first(task: Task, ctx: Context, extract: Extract | None) -> list[Message]:
    """The prompt of the draft."""
    words = {"style": task["style"], "audience": AUDIENCES[task["audience"]]}
    words["extract"] = (
        prompt("extract", document=extract.name, date=extract.date, text=extract.text)
        if extract
        else ""
    )
    if task.get("topic"):
        return chat(prompt("topic", topic=task["topic"], title=task["topic"], **words))
    lesson = making.make(task, ctx.rng)
    exercises = [
        f"{n}. {' '.join(one['question'].split())}" for n, one in enumerate(lesson["exercises"], 1)
    ]
    return chat(
        prompt(
            "lesson",
            level=str(task["level"]),
            topic=task["concept"].replace("_", " "),
            title=lesson["title"],
            locale=task["locale"],
            example=lesson["worked"]["question"],
            example_answer=lesson["worked"]["answer"],
            exercises="\n".join(exercises),
            **words,
        )
    )


async def _vote(ctx: Context, question: str) -> list[str]:
    """What several samples answer to a question alone."""
    assert ctx.teacher is not None
    asked = chat(prompt("vote", question=question), system=False)
    said = await asyncio.gather(*(ctx.teacher.ask(asked) for _ in range(VOTERS)))
    return [one.text.strip()[:200] for one in said]


async def _reversed(task: Task, ctx: Context) -> Data:
    assert ctx.teacher is not None
    one = await reversal.reverse(ctx.teacher, task["function"], task["source"])
    data = blank(task, judging.written_out(one)) | {"code": one._asdict(), "version": "draft"}
    data |= {"title": "", "example": None, "exercises": []}
    judged = await asyncio.to_thread(judging.judge, task, data)
    return data | {"standing": judged.standing, "sandbox": judged.sandbox}


async def votes_fault(data: Data, teacher: Any) -> str:
    """ "" or which votes are not the recorded answers of the model; `teacher` knows those alone."""
    for n, one in enumerate(data["exercises"], 1):
        asked = chat(prompt("vote", question=one["question"]), system=False)
        try:
            said = [(await teacher.ask(asked)).text.strip()[:200] for _ in range(VOTERS)]
        except LookupError as unknown:
            return f"exercise {n}: {unknown}"
        if said != one["votes"]:
            return f"exercise {n}: the ledger has {said}"[:200]
    return ""
