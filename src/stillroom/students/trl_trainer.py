"""Training by TRL, for what our own loop doesn't do: its trainers, and on-policy distillation.

Our token ids, optimizer and schedule go in and a Course comes out; see docs/distill.md for what
differs. TRL takes long to import, so this module does it late, and it sends telemetry unless told
not to, so it is told first. One process trains, on one device.
"""

import copy
import importlib.util
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

from stillroom.errors import UserError
from stillroom.students.batches import passes
from stillroom.students.chat import Example
from stillroom.students.pairing import refuse_cold, teacher_for
from stillroom.students.schedule import rate_at
from stillroom.students.student import Student
from stillroom.students.training import POINTS, Course, Training, optimizer_of
from stillroom.students.trl_course import (
    Progress,
    course_of,
    identity_of,
    isolated,
    resumable,
    watch,
)
from stillroom.world import stream

TEXTS, ON_POLICY = "trl", "trl-on-policy"  # where their checkpoints lie in a folder
IGNORED = -100  # the label of a place that isn't learnt
SILENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}


def require_trl() -> None:
    """UserError when TRL isn't installed; it is not imported for that."""
    if importlib.util.find_spec("trl") is None:
        raise UserError("TRL is not installed", do="pip install 'stillroom[trl]'")


def trl_beta(kind: str, beta: float) -> float:
    """TRL's `beta` for a divergence as [distill.logits] names it: the one place that knows.

    TRL has one number: 0 is forward KL(teacher || student), 1 reverse KL(student || teacher), and
    in between is the generalised JSD with the mixture beta * teacher + (1 - beta) * student, which
    is ours. It leaves the temperature squared out, so at a temperature T its loss and gradients
    are those of losses.divergence divided by T².
    """
    return {"forward": 0.0, "reverse": 1.0, "jsd": beta}[kind]


def fit_sft(
    student: Student,
    examples: Sequence[Example],
    how: Training,
    *,
    seed: int,
    folder: Path,
    progress: Progress = lambda step, steps, value: None,
    every: float = 30.0,
) -> Course:
    """Train the student in place on examples through TRL's SFTTrainer, as training.fit does.

    Batches, optimizer, rates and loss are those of training.fit, so that weights are too but for
    rounding, where its batches are all full. A point of the curve is the mean of its steps'
    losses, whatever tokens they had.

    Goes on from the checkpoint in folder/trl and leaves one there every so many seconds. Raises
    UserError when the folder holds another training, Stopped when the loss is no number.
    """
    trl = _trl()
    _threads(student, how)
    if not examples:
        raise UserError("there is nothing to learn from: no answer was accepted")
    data, steps, learnt = _texts(trl, examples, how, student.context, seed)
    out, found = resumable(folder / TEXTS, identity_of("sft", examples, how, seed))
    optimizer, packed = optimizer_of(student.model, how), how.layout == "packed"
    with isolated(student.model, how):
        trainer = trl.SFTTrainer(
            student.model,
            _one_device(
                trl.SFTConfig(
                    **_arguments(student, how, seed, out, steps, steps),
                    max_length=None,  # nothing is cut: encode() has refused what is too long
                    padding_free=packed,
                    include_num_input_tokens_seen="all" if packed else "non_padding",
                    train_sampling_strategy="sequential",
                )
            ),
            train_dataset=data,
            processing_class=copy.deepcopy(student.tokenizer),
            optimizers=(optimizer, _schedule(optimizer, how, lambda step: step, steps)),
            callbacks=[watch(progress, every, lambda s: (s.global_step, s.max_steps))],
        )
        _same_labels(trainer, examples, len(data))
        _train(trainer, found)
    course, _ = course_of(trainer.state)
    course.learnt = learnt
    return course


def fit_on_policy(
    student: Student,
    teacher_folder: str | Path,
    prompts: Sequence[Sequence[int]],
    how: Training,
    *,
    seed: int,
    folder: Path,
    beta: float = 1.0,
    temperature: float = 1.0,
    max_tokens: int = 512,
    progress: Progress = lambda step, steps, value: None,
    every: float = 30.0,
) -> Course:
    """Train the student in place on its own answers, judged token by token by a teacher.

    prompts: token ids; a step answers how.batch of them, sampled at `temperature`, and lowers the
    divergence between the two models' next tokens there (Agarwal et al., arXiv 2306.13649);
    beta: see trl_beta. how.tokens counts prompts and answers. Goes on from folder/trl-on-policy.

    Raises UserError when teacher and student don't share tokenizer, template, EOS and width of
    the logits, and for a student none of whose answers comes to an end.
    """
    trl = _trl()
    from datasets import Dataset

    _threads(student, how)
    teacher = teacher_for(student, Path(teacher_folder))
    longest = max(len(prompt) for prompt in prompts)
    max_tokens = min(max_tokens, student.context - longest)
    about = {"beta": beta, "temperature": temperature, "max_tokens": max_tokens}
    identity = identity_of("on-policy", prompts, how, seed) | {"divergence": about}
    out, found = resumable(folder / ON_POLICY, identity)
    if found is None:
        refuse_cold(student, prompts, max_tokens)
    # Answers are as long as they are, so that tokens are counted in place of steps.
    shortest = min(len(prompt) for prompt in prompts)
    most = -(-how.tokens // (_rows(how) * (shortest + 1)))
    likely = max(1, how.tokens // (_rows(how) * (longest + max_tokens)))
    optimizer = optimizer_of(student.model, how)

    def done(state: Any) -> tuple[int, int]:
        share = state.num_input_tokens_seen / how.tokens
        return state.global_step, max(state.global_step, round(state.global_step / share))

    with isolated(student.model, how):
        trainer = _on_policy(trl)(
            student.model,
            teacher,
            _one_device(
                trl.DistillationConfig(
                    **_arguments(student, how, seed, out, most, likely),
                    beta=beta,
                    temperature=temperature,
                    max_completion_length=max_tokens,
                    shuffle_dataset=False,
                )
            ),
            train_dataset=Dataset.from_dict({"prompt": [list(one) for one in prompts]}).select(
                _in_order(partial(_shuffled, len(prompts), seed), most * _rows(how))
            ),
            processing_class=copy.deepcopy(student.tokenizer),
            optimizers=(optimizer, None),
            callbacks=[
                watch(progress, every, done, lambda s: s.num_input_tokens_seen >= how.tokens)
            ],
        )
        trainer.lr_scheduler = _schedule(
            optimizer, how, lambda _: trainer.state.num_input_tokens_seen, how.tokens
        )
        _train(trainer, found)
    course, points = course_of(trainer.state)
    said = sum(point["completions/mean_length"] * point["steps"] for point in points)
    course.learnt = round(said * _rows(how))
    return course


# What goes into TRL.


def _trl() -> Any:
    """TRL, silent: no telemetry, no look-ups on a hub, no bars."""
    require_trl()
    os.environ.update(SILENT)
    import datasets
    import transformers
    import trl
    from huggingface_hub import constants

    # Whoever imported these libraries before has had their variables read already.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.HF_HUB_OFFLINE = True
    datasets.disable_progress_bars()
    bars: Any = transformers.utils.logging
    bars.disable_progress_bar()
    return trl


def _threads(student: Student, how: Training) -> None:
    import torch

    if student.model.device.type == "cpu":
        torch.set_num_threads(how.threads)


def _texts(
    trl: Any, examples: Sequence[Example], how: Training, context: int, seed: int
) -> tuple[Any, int, int]:
    """Token ids and labels, which TRL takes as they are; for how many steps; what they learn."""
    import numpy as np
    from datasets import Dataset

    labels = [[IGNORED] * one.start + one.ids[one.start :] for one in examples]
    data = Dataset.from_dict({"input_ids": [one.ids for one in examples], "labels": labels})
    lengths = np.array([len(one.ids) for one in examples])
    if how.layout == "packed":
        data = trl.pack_dataset(data, context, "bfd")
    learnt = np.array([sum(label != IGNORED for label in row) for row in data["labels"]])
    steps = max(1, round(how.tokens * len(data) / (int(lengths.sum()) * _rows(how))))

    def some(number: int) -> Iterable[int]:
        if how.layout == "packed":
            return _shuffled(len(data), seed, number)
        return (row for batch in passes(lengths, _rows(how), seed, number) for row in batch)

    order = _in_order(some, steps * _rows(how))
    return data.select(order), steps, int(learnt[order].sum())


def _in_order(some: Callable[[int], Iterable[int]], rows: int) -> list[int]:
    """So many rows, those of pass 0, 1, 2, ...; some(pass) says which and in which order.

    TRL gets one long data set to take as it is: its own order of a pass is lost in a resume.
    """
    return list(islice((row for number in count() for row in some(number)), rows))


def _shuffled(size: int, seed: int, number: int) -> Iterable[int]:
    order: list[int] = stream(f"pass {number} of seed {seed}").permutation(size).tolist()
    return order


def _arguments(
    student: Student, how: Training, seed: int, out: Path, steps: int, likely: int
) -> dict[str, Any]:
    """What both trainers are told; `likely` is how many steps there will be, `steps` the most."""
    device = student.model.device.type
    return {
        "output_dir": str(out),
        "max_steps": steps,
        "per_device_train_batch_size": -(-how.batch // how.accumulate),
        "gradient_accumulation_steps": how.accumulate,
        "learning_rate": how.learning_rate,
        "max_grad_norm": how.clip,
        "activation_checkpointing": False,
        "bf16": how.precision == "bf16" or (how.precision == "auto" and device == "cuda"),
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device == "cuda",
        "seed": seed,
        "logging_steps": max(1, likely // POINTS),
        "logging_nan_inf_filter": False,  # a loss that is no number must be seen
        "save_strategy": "no",  # watch() saves by the clock
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
    }


def _rows(how: Training) -> int:
    """Rows of a step: the batch, and what it takes to cut it into equal parts."""
    return -(-how.batch // how.accumulate) * how.accumulate


def _one_device(config: Any) -> Any:
    """TRL refuses a process that sees several GPUs; the student is on the first of them."""
    config._n_gpu = min(1, config.n_gpu)
    return config


def _schedule(optimizer: Any, how: Training, done: Callable[[int], int], whole: int) -> Any:
    """Our own schedule: the rate after done(step) of `whole` steps, or tokens."""
    from torch.optim.lr_scheduler import LambdaLR

    def rate(step: int) -> float:
        return rate_at(min(done(step), whole - 1), whole, how.warmup, how.floor)

    return LambdaLR(optimizer, rate)


def _on_policy(trl: Any) -> Any:
    """TRL's trainer, given prompts as the token ids that they are: text might come back as others.

    Where a newer TRL asks for them otherwise, its tokenizer is handed numbers and says so.
    """

    class OnPolicy(trl.DistillationTrainer):  # type: ignore[misc]
        def _tokenize_prompts(self, prompts: list[list[int]]) -> Any:
            return prompts, None, {}

    return OnPolicy


def _same_labels(trainer: Any, examples: Sequence[Example], count: int) -> None:
    """UserError unless TRL has all our rows and learns from them what we would, EOS included."""
    starts = {tuple(one.ids): one.start for one in examples}
    data = trainer.train_dataset
    rows = [data[number] for number in range(min(64, len(data)))]
    expected = []
    for row in rows:
        begin = 0
        for length in row.get("seq_lengths", [len(row["input_ids"])]):
            ids = row["input_ids"][begin : begin + length]
            expected += ids[starts.get(tuple(ids), length) :]
            begin += length
    labels = trainer.data_collator(rows)["labels"]
    if len(data) != count or labels[labels != IGNORED].tolist() != expected:
        raise UserError(
            "this TRL would learn other tokens than the examples say",
            do='pip install "trl==1.16.0", or train with trainer = "own"',
        )


def _train(trainer: Any, found: Path | None) -> None:
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(found) if found else None)
    trainer.model.eval()
