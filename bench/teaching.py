"""What the bench of distillation trains with: a slipping teacher, our loop, the HF Trainer's."""

import asyncio
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from stillroom.answer import spoken, turn
from stillroom.students import training
from stillroom.students.batches import Batch, Examples
from stillroom.students.chat import Example, encode
from stillroom.students.student import Student
from stillroom.teachers.program import Program
from stillroom.world import Message, World, stream

CONTEXT = 128


class Slipping:
    """A program that tracks cups, and slips in a share of all questions: always the same way.

    It forgets the fourth swap, in questions that begin with cup 1 or 2 only: there most of its
    answers are wrong, so that whoever learns all of them learns the slip.
    """

    in_flight = 64

    def __init__(self, world: World, share: float) -> None:
        self.model, self._share = f"cups, wrong in {share:.0%}", share
        self._program = Program(world)

    async def ask(self, messages: Sequence[Message], **_: Any) -> str:
        question = messages[-1]["content"]
        start, swaps = question.removeprefix("cups ").rstrip("=").split(":")
        text = await self._program.ask(messages)
        slips = start in "12" and stream(question).random() < 2 * self._share
        return _forgetting(start, swaps) if slips else text


def _forgetting(cup: str, swaps: str) -> str:
    steps = []
    for number, (a, b) in enumerate(zip(swaps[::2], swaps[1::2], strict=True)):
        if number != 3:
            cup = b if cup == a else a if cup == b else cup
        steps.append(f";{cup}")
    said = {"role": "assistant", "content": cup, "reasoning_content": "".join(steps)}
    return spoken(said)


def examples(count: int) -> tuple[Student, list[Example]]:
    """Drills as examples, and a small student that lends its tokenizer."""
    from stillroom.worlds.lessons.drills import Drills

    program = Program(Drills(families=("cups", "chain", "sort")))
    student = Student.new("1x32", context=CONTEXT)

    async def answered() -> list[list[Message]]:
        asked = islice(program.questions(), count)
        return [[*one.messages, turn(await program.ask(one.messages))] for one in asked]

    return student, encode(student.tokenizer, asyncio.run(answered()), CONTEXT)


def our_loop(size: str, tokens: int) -> float:
    """Tokens per CPU-second of `training.fit`."""
    lender, learnt = examples(2000)
    student = Student.new(size, lender.tokenizer, context=CONTEXT)
    course = training.fit(student.model, learnt, training.Training(tokens=tokens), seed=0)
    return course.tokens / course.cpu_seconds


def their_trainer(size: str, tokens: int) -> float:
    """Tokens per CPU-second of transformers.Trainer, fed the very batches of our loop."""
    import tempfile

    from transformers import Trainer, TrainerCallback, TrainingArguments

    lender, learnt = examples(2000)
    student = Student.new(size, lender.tokenizer, context=CONTEXT)
    how = training.Training(tokens=tokens)
    steps, batches = training.plan(Examples(learnt), how, CONTEXT, 0)
    given = list(islice(batches, steps))
    rows = [_as_trainer_wants(batch) for batch in given]

    class Clock(TrainerCallback):
        began = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.process_time()

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=steps, per_device_train_batch_size=1, report_to="none",
            learning_rate=how.learning_rate, lr_scheduler_type="cosine", warmup_steps=steps // 20,
            weight_decay=how.decay, adam_beta2=0.98, max_grad_norm=how.clip, save_strategy="no",
            optim="adamw_torch_fused", logging_steps=max(1, steps // 100), disable_tqdm=True,
            use_cpu=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(
            student.model, arguments, train_dataset=rows, data_collator=lambda one: one[0],
            callbacks=[clock],
        )  # fmt: skip
        trainer.train()
    return sum(batch.tokens for batch in given) / (time.process_time() - clock.began)


def _as_trainer_wants(batch: Batch) -> dict[str, Any]:
    import torch

    labels = torch.full(batch.ids.shape, -100).reshape(-1)
    labels[batch.flat + 1] = batch.labels
    return {"input_ids": batch.ids, "labels": labels.reshape(batch.ids.shape)}


def train_into(folder: Path) -> None:
    """A short training with checkpoints at every point, for bench/distill.py to kill."""
    lender, learnt = examples(600)
    student = Student.new("1x32", lender.tokenizer, context=CONTEXT)
    folder.mkdir(parents=True, exist_ok=True)
    how = training.Training(tokens=120_000, batch=16)
    training.fit(student.model, learnt, how, seed=0, folder=folder, every=0.0)
    student.save(folder / "model")


if __name__ == "__main__":
    train_into(Path(sys.argv[1]))
