"""The loss of mode `logits`: the teacher's probabilities, live or from its store."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stillroom.errors import UserError
from stillroom.students import losses
from stillroom.students.batches import Batch, Examples, collate, passes
from stillroom.students.fingerprint import agree, fingerprint, real_vocabulary
from stillroom.students.forward import learnt_logits, token_loss

ROWS = 64  # examples that a store is written from at a time


def imitation(how: dict[str, Any], student: Any) -> Callable[[Any, Batch], Any]:
    """The loss of `fit`, by a table [distill.logits] with the `teacher`'s folder in it.

    weight x divergence + (1 - weight) x cross-entropy of the text, summed over learnt tokens. With
    `samples` the teacher's support is read from the store that `write_support` has written.
    """
    if how["samples"]:
        support = _stored(Path(how["store"]), student)
    else:
        support = _live(how["teacher"], student)
    real, weight = real_vocabulary(student.tokenizer), how["weight"]

    def loss(logits: Any, batch: Batch) -> Any:
        teacher = support(batch)
        places = len(teacher.logits if isinstance(teacher, losses.Dense) else teacher.ids)
        if places != len(batch.labels):
            raise UserError(
                f"the teacher has probabilities for {places} of {len(batch.labels)} tokens",
                do="write the store anew: it belongs to other examples",
            )
        told = losses.divergence(
            logits[:, :real], teacher, how["kind"], how["temperature"], how["beta"]
        )
        return told if weight == 1 else weight * told + (1 - weight) * token_loss(logits, batch)

    return loss


def write_support(job: dict[str, Any]) -> dict[str, Any]:
    """What the engine calls: draw job["samples"] tokens at each learnt place, into job["store"]."""
    import torch

    from stillroom.students import store
    from stillroom.students.arm import read_examples
    from stillroom.students.student import Student
    from stillroom.students.support import sample_support

    path = Path(job["store"])
    teacher = Student.load(job["teacher"])
    real = real_vocabulary(teacher.tokenizer)
    about = fingerprint(teacher.tokenizer, real, teacher.tokenizer.eos_token_id)
    about |= {"kind": "sampled", "samples": job["samples"], "teacher": Path(job["teacher"]).name}
    if path.exists():
        with store.open_store(path, about) as known:
            return dict(known.about)
    data = Examples(read_examples(Path(job["examples"])))
    chance = torch.Generator().manual_seed(job["seed"])

    def answers() -> Iterator[store.Answer]:
        for rows in passes(data.lengths, ROWS, job["seed"], 0):
            batch = collate(data, rows, 0)
            with torch.inference_mode():
                logits = learnt_logits(teacher.model, batch, teacher.model.device)[:, :real]
            ids, counts = sample_support(logits.float().cpu(), job["samples"], chance)
            begin = 0
            for row in rows:
                end = begin + int(data.lengths[row] - data.starts[row])
                support = losses.Sampled(ids[begin:end], counts[begin:end])
                yield store.Answer(str(row), data.of(row), int(data.starts[row]), support)
                begin = end

    return store.write(path, answers(), about)


def _live(folder: str, student: Any) -> Callable[[Batch], losses.Dense]:
    import torch

    from stillroom.students.student import Student

    teacher = Student.load(folder)
    own = fingerprint(
        student.tokenizer, real_vocabulary(student.tokenizer), student.tokenizer.eos_token_id
    )
    real = real_vocabulary(teacher.tokenizer)
    agree(Path(folder), fingerprint(teacher.tokenizer, real, teacher.tokenizer.eos_token_id), own)

    def support(batch: Batch) -> losses.Dense:
        with torch.inference_mode():
            logits = learnt_logits(teacher.model, batch, teacher.model.device)[:, :real]
        return losses.Dense(logits.clone())

    return support


def _stored(path: Path, student: Any) -> Callable[[Batch], Any]:
    from stillroom.students import store

    own = fingerprint(
        student.tokenizer, real_vocabulary(student.tokenizer), student.tokenizer.eos_token_id
    )
    opened = store.open_store(path, own)

    def support(batch: Batch) -> Any:
        return opened.batch([str(one) for row in batch.rows for one in row]).teacher

    return support
