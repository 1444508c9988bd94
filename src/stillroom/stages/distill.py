"""Distillation: a teacher's answers, verified, become a small model that is judged beside others.

The order is: questions -> contamination -> teacher -> verify -> what each arm learns -> preflight
-> trainings (in workers, resumable) -> answers, graded -> report. See stages/distilling.py for
what lies where.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stillroom import dataset, files, worlds
from stillroom.answer import spoken
from stillroom.engines.local import Local
from stillroom.errors import UserError
from stillroom.fold import Watch
from stillroom.ledger import named
from stillroom.stages import scores
from stillroom.stages.arms import Arm, train_all
from stillroom.stages.card import write_card
from stillroom.stages.contamination import contamination, refuse
from stillroom.stages.distilling import Plan, settle
from stillroom.stages.finished import finished_run
from stillroom.stages.possible import possible
from stillroom.stages.questions import Sets, sets_of
from stillroom.stages.teaching import teach
from stillroom.store import Run
from stillroom.students.chat import prompt
from stillroom.students.lm_eval import export_task
from stillroom.students.settings import Distill
from stillroom.students.shapes import is_folder
from stillroom.students.trl_trainer import require_trl
from stillroom.world import Teacher


@dataclass(frozen=True)
class Report:
    """A finished distillation: its folder, and all of RUN/student/report.json."""

    folder: Path
    figures: dict[str, Any] = field(repr=False)

    @property
    def model(self) -> Path:
        """The student, a Hugging Face folder."""
        return self.folder / "model"


def distill(
    run: str | Path,
    *,
    settings: Sequence[str] = (),
    out: str | Path | None = None,
    workers: int | None = None,
    teacher: Teacher | None = None,
    trust_code: bool = False,
    watch: Watch | None = None,
) -> Report:
    """Distil a finished run into a small model, or go on with that; done already: nothing is done.

    run       its folder; the table [distill] of its recipe says how
    settings  "distill.student=small": any key of that table
    out       RUN/student by default
    workers   processes that train at the same time; 0 stays in this one. Never changes the result
    teacher   what answers the training questions, in place of [distill.teacher]: an object with
              `model` and `async def ask(messages)`

    Raises UserError where the data, the recipe or the teacher do not fit together.
    """
    watch = watch or Watch()
    if teacher is not None:
        named(teacher)
    opened = finished_run(run, "distill", settings, "distill.student=small")
    folder, about, settled = opened.folder, opened.about, opened.recipe
    spec = worlds.recorded(about, folder)
    if not (spec.ours or trust_code):
        raise UserError(
            "distilling runs the world's own code, which is not Stillroom's",
            spec.file or spec.module,
            "read it, then add --trust-code",
        )
    world = worlds.build(spec, about["parts"]["config"])
    count = settled.make.workers if workers is None else workers
    if spec.here and count:
        watch.say("the world is defined in __main__: everything is done in this process")
        count = 0
    home = Path(out) if out is not None else folder / "student"
    how = possible(settled.distill or Distill(), world, teacher)
    if how.trainer == "trl" or how.mode == "on_policy":
        require_trl()
    plan = Plan(world, spec.json(), about["parts"]["config"], settled.seed, how, home)
    with Run(folder):
        return asyncio.run(_distill(plan, folder, opened.root, count, teacher, watch))


async def _distill(
    plan: Plan, folder: Path, root: str, workers: int, teacher: Teacher | None, watch: Watch
) -> Report:
    given = teacher.model if teacher is not None else ""
    settle(plan.home, {"run": {"root": root}, "distill": plan.how.model_dump(mode="json"),
                       "teacher": {"given": given}})  # fmt: skip
    if (done := finished(plan.home)) is not None:
        return done
    sets = sets_of(
        plan.world, dataset.open(folder), dataset.rest(folder), plan.how.validation, plan.how.test
    )
    _enough(sets, plan.how)
    learnt = [*sets.train, *(sets.refused if plan.how.keep == "all" else ())]
    held_out = [*sets.validation, *sets.test, *sets.extrapolate]
    overlap = contamination(_texts(learnt), _texts(held_out))
    refuse(overlap)
    tokenizer = _tokenizer(plan, sets)
    async with Local(workers) as engine:
        taken = await teach(plan, sets, tokenizer, engine, teacher, watch)
        trained = await train_all(plan, sets, taken, tokenizer, engine, watch)
    figures = scores.report(plan, sets, taken, trained, root, overlap)
    write_card(plan, sets, tokenizer, figures, trained["distilled"])
    _tasks(plan, sets, tokenizer, trained["distilled"], watch)
    _point(plan.home / "model", trained["distilled"])
    files.write_json(plan.home / "report.json", figures)
    done = finished(plan.home)
    assert done is not None
    return done


def finished(home: Path) -> Report | None:
    """The report as it was written, where there is one."""
    known = files.read_json(home / "report.json")
    return None if known is None else Report(home, known)


def _enough(sets: Sets, how: Distill) -> None:
    """There must be something to learn from, and something to judge by."""
    missing = [
        name
        for name, there in (
            ("train", sets.train),
            ("test", sets.test),
            ("validation", sets.validation or len(how.rates) < 2),
        )
        if not there
    ]
    if missing:
        raise UserError(
            f"the run has no record of the split {', '.join(missing)}",
            do="raise its count (`stillroom run` goes on where it is), or see why all were refused",
        )
    if len(sets.train[0].chat) < 2:
        raise UserError(
            "the world shows no chat, so there is no question to ask",
            do="distil a world whose show() gives messages",
        )


def _texts(questions: Sequence[Any]) -> list[tuple[str, str]]:
    return [(one.id, "\n".join(m["content"] for m in one.messages)) for one in questions]


def _tokenizer(plan: Plan, sets: Sets) -> Any:
    """The students' tokenizer, kept in the folder: a model's own, bytes, or learnt here."""
    from stillroom.students.student import tokenizer_from

    folder = plan.home / "tokenizer"
    if folder.exists():
        return tokenizer_from(str(folder))
    given = plan.how.student if is_folder(plan.how.student) else plan.how.tokenizer
    texts = (
        text
        for one in sets.train[:5000]
        for text in (*(m["content"] for m in one.messages), spoken(one.chat[-1]))
    )
    tokenizer = tokenizer_from(given, texts)
    part = plan.home / ".tokenizer.part"
    tokenizer.save_pretrained(part)
    part.rename(folder)
    return tokenizer


def _tasks(plan: Plan, sets: Sets, tokenizer: Any, arm: Arm, watch: Watch) -> None:
    """A task for lm-eval beside each distilled model, for a foreign tool to score it by."""
    name = re.sub(r"\W+", "_", type(plan.world).name, flags=re.ASCII)
    questions = [
        (one.id, prompt(tokenizer, one.messages), one.answer, one.concept) for one in sets.test
    ]
    for folder in arm.folders:
        try:
            export_task(folder / "model", name, questions, max_tokens=arm.most)
        except UserError as wrong:
            watch.say(f"no task for lm-eval: {wrong.what}")
            return


def _point(link: Path, arm: Arm) -> None:
    """RUN/student/model: the distilled student of the first seed."""
    link.unlink(missing_ok=True)
    link.symlink_to((arm.folders[0] / "model").relative_to(link.parent), target_is_directory=True)
