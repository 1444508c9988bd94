"""One training with one seed, in a worker process.

FOLDER/job.json says what to do (paths of our own files in it begin in FOLDER); FOLDER/model,
course.json and the answers come of it. What is done is not done again, and a training that was cut
off goes on from its checkpoint.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from stillroom import files
from stillroom.errors import UserError
from stillroom.students import checkpoints
from stillroom.students.student import Student

# A worker's bars would run into the lines of all others; and nothing is fetched from anywhere.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

PROGRESS = "progress.json"  # how far a training is; no more than a hint for who waits

Progress = Callable[[int, int, float], None]


def work(given: dict[str, Any]) -> None:
    """What the engine calls: train in given["folder"] where that is not done, answer questions."""
    folder = Path(given["folder"])
    job = files.read_json(folder / "job.json", "training", "seed")
    if job is None:
        raise UserError("no training is there", folder)
    told = 0.0

    def tell(step: int, steps: int, loss: float) -> None:
        nonlocal told
        if time.monotonic() - told > 1:
            told = time.monotonic()
            line = {"step": step, "steps": steps, "loss": loss}
            (folder / PROGRESS).write_bytes(orjson.dumps(line))

    if not job["model"] and files.read_json(folder / "course.json") is None:
        train(folder, job, tell)
    checkpoints.clear(folder)
    for old in folder.glob("trl*"):
        shutil.rmtree(old)
    for ask in job["ask"]:
        if not (folder / ask["to"]).exists():
            answer(folder, job, ask)
    (folder / PROGRESS).unlink(missing_ok=True)


def train(folder: Path, job: dict[str, Any], progress: Progress) -> None:
    """Train the job's student and save it."""
    from stillroom.students import training

    how = training.Training.model_validate(job["training"])
    if job["folder"]:
        student = Student.load(job["folder"], lora=job["lora"], seed=job["seed"])
    else:
        student = Student.new(
            job["size"], folder / job["tokenizer"], context=job["context"], seed=job["seed"]
        )
    course = training.Course()
    if job["examples"]:
        examples = read_examples(folder / job["examples"])
        learn = _on_policy if job.get("on_policy") else _texts
        course = learn(student, examples, how, folder, job, progress)
    for left in folder.glob(".model.*"):  # by a process that was killed
        shutil.rmtree(left)
    student.save(folder / "model")
    about = {"parameters": student.parameters, **asdict(course)}
    files.write_json(folder / "course.json", about)


def _texts(
    student: Any, examples: list[Any], how: Any, folder: Path, job: dict[str, Any], tell: Progress
) -> Any:
    """Learn the examples, by our own loop or by TRL's."""
    from stillroom.students import training

    if job.get("trainer") == "trl":
        from stillroom.students.trl_trainer import fit_sft

        return fit_sft(student, examples, how, seed=job["seed"], folder=folder, progress=tell)
    return training.fit(
        student.model,
        examples,
        how,
        seed=job["seed"],
        folder=folder,
        about={"job": {k: job[k] for k in ("size", "folder", "lora", "logits")}},
        width=job["context"],
        progress=tell,
        **_loss(folder, job, student),
    )


def _on_policy(
    student: Any, examples: list[Any], how: Any, folder: Path, job: dict[str, Any], tell: Progress
) -> Any:
    """Learn the examples for a share of the tokens, then from the teacher's view of own answers."""
    from stillroom.students.training import Course
    from stillroom.students.trl_course import newest
    from stillroom.students.trl_trainer import ON_POLICY, fit_on_policy, trl_beta

    settings, logits = job["on_policy"], job["on_policy"]["logits"]
    before, done = round(how.tokens * settings["warm"]), folder / ON_POLICY / "texts.json"
    first = Course(**(files.read_json(done) or {}))
    # What the texts have taught is in a checkpoint of what follows, or has to be learnt again.
    if before and not (first.steps and newest(folder / ON_POLICY)):
        texts = how.model_copy(update={"tokens": before})
        first = _texts(student, examples, texts, folder, job, tell)
        done.parent.mkdir(exist_ok=True)
        files.write_json(done, asdict(first))
    rest = max(1, how.tokens - first.tokens)
    then = fit_on_policy(
        student,
        str(folder / settings["teacher"]),
        list(dict.fromkeys(tuple(one.ids[: one.start]) for one in examples)),
        how.model_copy(update={"tokens": rest}),
        seed=job["seed"],
        folder=folder,
        beta=trl_beta(logits["kind"], logits["beta"]),
        temperature=logits["temperature"],
        max_tokens=settings["max_tokens"],
        progress=tell,
    )
    after = [(step + first.steps, tokens + first.tokens, loss) for step, tokens, loss in then.curve]
    return Course(
        [*first.curve, *after],
        first.steps + then.steps,
        first.tokens + then.tokens,
        first.learnt + then.learnt,
        first.cpu_seconds + then.cpu_seconds,
    )


def answer(folder: Path, job: dict[str, Any], ask: dict[str, Any]) -> None:
    """Let the trained student answer a file of questions, greedily and by samples."""
    import pyarrow as pa
    import torch

    from stillroom.students.chat import encode_prompts
    from stillroom.students.generation import generate
    from stillroom.students.likelihood import held_out

    torch.set_num_threads(job["training"]["threads"])
    student = Student.load(job["model"] or folder / "model")
    table = files.read_parquet(folder / ask["questions"])
    ids = table["id"].to_pylist()
    prompts = encode_prompts(student.tokenizer, table["prompt"].to_pylist())
    began, rows = time.process_time(), []
    temperatures = [0.0] * ask["greedy"] + [ask["temperature"]] * ask["samples"]
    for sample, temperature in enumerate(temperatures):
        said = generate(
            student.model,
            prompts,
            end=student.tokenizer.eos_token_id,
            most=ask["max_tokens"] or student.context,
            temperature=temperature,
            seed=1_000_003 * job["seed"] + sample,
        )
        texts = student.tokenizer.batch_decode([one.ids for one in said], skip_special_tokens=False)
        rows += [
            {"id": i, "sample": sample, "text": text, "ended": one.ended, "logprob": one.logprob,
             "prompt_tokens": len(prompt), "tokens": len(one.ids) + one.ended}
            for i, text, one, prompt in zip(ids, texts, said, prompts, strict=True)
        ]  # fmt: skip
    targets = encode_prompts(student.tokenizer, table["target"].to_pylist())
    about = {
        "cpu_seconds": time.process_time() - began,
        "parameters": student.parameters,
        "held_out": held_out(student.model, prompts, targets),
    }
    answers = pa.Table.from_pylist(rows).replace_schema_metadata({"about": json.dumps(about)})
    files.write_file(folder / ask["to"], files.parquet_bytes(answers))


def about_answers(path: Path) -> dict[str, Any]:
    """What stands beside a file of answers: CPU-seconds, parameters, held-out likelihood."""
    import pyarrow.parquet as pq

    told: dict[str, Any] = json.loads((pq.read_schema(path).metadata or {}).get(b"about", b"{}"))
    return told


def write_examples(path: Path, examples: list[Any]) -> None:
    import pyarrow as pa

    kind = pa.schema([("ids", pa.list_(pa.int32())), ("start", pa.int32())])
    table = pa.Table.from_pydict(
        {"ids": [one.ids for one in examples], "start": [one.start for one in examples]}, kind
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_file(path, files.parquet_bytes(table))


def read_examples(path: Path) -> list[Any]:
    from stillroom.students.chat import Example

    table = files.read_parquet(path)
    return [
        Example(*row)
        for row in zip(table["ids"].to_pylist(), table["start"].to_pylist(), strict=True)
    ]


def placed(logits: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A table of `logits` with paths that begin in `folder` as paths from here."""
    return logits | {key: str(folder / logits[key]) for key in ("teacher", "store", "examples")}


def _loss(folder: Path, job: dict[str, Any], student: Any) -> dict[str, Any]:
    """The keyword `loss` of fit, where it is not the text's alone."""
    if not job["logits"]:
        return {}
    from stillroom.students.imitation import imitation

    return {"loss": imitation(placed(job["logits"], folder), student)}
