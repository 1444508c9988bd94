"""Training through TRL: as by our own loop, resumable, silent; and on-policy from there."""

import importlib.util
import random
import shutil
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

import stillroom
from stillroom import files
from stillroom.errors import Stopped, UserError
from stillroom.students import arm
from stillroom.students.chat import Example
from stillroom.students.losses import Dense, divergence
from stillroom.students.settings import Distill
from stillroom.students.student import Student
from stillroom.students.training import Course, Training, fit
from stillroom.students.trl_trainer import fit_on_policy, fit_sft, require_trl, trl_beta

slow = pytest.mark.slow  # importing TRL takes up to half a minute

CONTEXT = 32
SHORT = Training(tokens=4_000, batch=16)


class Cut(Exception):
    """Ends a training as a power cut would."""


@pytest.fixture(autouse=True)
def asked_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Whatever anyone looked up or connected to, in whatever thread; no test asks for anything."""
    found: list[Any] = []

    def refuse(*where: Any, **_: Any) -> None:
        found.append(where)
        raise OSError("no test goes there")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("CI", raising=False)  # TRL's telemetry spares those who set it
    yield found
    assert not found


def sums(count: int) -> list[tuple[str, str]]:
    chance = random.Random(0)
    numbers = [[chance.randint(0, 9) for _ in range(3)] for _ in range(count)]
    return [(f"{a}+{b}+{c}", str(a + b + c)) for a, b, c in numbers]


def copies(count: int) -> list[tuple[str, str]]:
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdef", k=chance.randint(2, 5))) for _ in range(count)]
    return [(word, word) for word in words]


def new(seed: int = 0, size: str = "2x64") -> Student:
    return Student.new(size, "bytes", context=CONTEXT, seed=seed)


def encoded(student: Student, pairs: list[tuple[str, str]]) -> list[Example]:
    return [student.encode(question, answer) for question, answer in pairs]


def said(student: Student, pairs: list[tuple[str, str]]) -> list[str]:
    questions = [[{"role": "user", "content": question}] for question, _ in pairs]
    return [student.text(one) for one in student.answer(questions, max_tokens=8)]


def right(student: Student, pairs: list[tuple[str, str]]) -> float:
    answers = said(student, pairs)
    return sum(a == b for a, (_, b) in zip(answers, pairs, strict=True)) / len(pairs)


def same(one: Student, other: Student) -> bool:
    states = (student.model.state_dict().values() for student in (one, other))
    return all(torch.equal(a, b) for a, b in zip(*states, strict=True))


# Texts.


@slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_weights_are_those_of_our_own_loop(accumulate: int, tmp_path: Path) -> None:
    pairs = copies(256)
    how = Training(tokens=30_000, batch=16, accumulate=accumulate)  # a point of the curve a step
    ours, theirs = new(), new()
    examples = encoded(ours, pairs)
    own = fit(ours.model, examples, how, seed=3)
    shown: list[tuple[int, int, float]] = []
    course = fit_sft(
        theirs, examples, how, seed=3, folder=tmp_path, progress=lambda *at: shown.append(at)
    )
    assert (course.steps, course.tokens, course.learnt) == (own.steps, own.tokens, own.learnt)
    assert [point[:2] for point in course.curve] == [point[:2] for point in own.curve]
    for point, mine in zip(course.curve, own.curve, strict=True):
        assert point[2] == pytest.approx(mine[2], rel=1e-3)
    assert shown[-1] == (course.steps, course.steps, course.curve[-1][2])
    for a, b in zip(theirs.model.parameters(), ours.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0)
    assert course.curve[-1][2] < 0.3 < 4 < course.curve[0][2]
    assert right(theirs, pairs[:50]) > 0.8
    assert theirs.model.training is False


@slow
def test_packed_rows_learn_without_seeing_each_other(tmp_path: Path) -> None:
    pairs = copies(200)
    student = new()
    how = Training(tokens=60_000, batch=4, layout="packed")
    course = fit_sft(student, encoded(student, pairs), how, seed=0, folder=tmp_path)
    assert course.tokens == pytest.approx(60_000, rel=0.02)
    assert course.curve[-1][2] < 0.2
    # An example packed behind another would be asked for at places that it never has alone.
    assert right(student, pairs[:50]) > 0.8


@slow
def test_what_the_model_is_shown_and_learns(tmp_path: Path) -> None:
    student = new()
    examples = encoded(student, copies(64))
    seen: list[tuple[list[int], list[int]]] = []

    def look(_: Any, args: Any, given: dict[str, Any]) -> None:
        seen.extend(zip(given["input_ids"].tolist(), given["labels"].tolist(), strict=True))

    hook = student.model.register_forward_pre_hook(look, with_kwargs=True)
    tokens = sum(len(one.ids) for one in examples)
    fit_sft(student, examples, Training(tokens=tokens, batch=16), seed=0, folder=tmp_path)
    hook.remove()
    end, pad = student.tokenizer.eos_token_id, student.pad
    told = sorted(
        ([i for i in ids if i != pad], [i for i in labels if i != -100]) for ids, labels in seen
    )
    assert told == sorted((one.ids, one.ids[one.start :]) for one in examples)
    for ids, labels in seen:
        assert labels[ids.index(end)] == end
        assert all(label in (-100, i) for i, label in zip(ids, labels, strict=True))


@slow
def test_another_idea_of_labels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling as Collator

    student, collate = new(), Collator.torch_call
    examples = encoded(student, copies(32))

    def without_end(self: Any, rows: Any) -> Any:
        batch = collate(self, rows)
        batch["labels"][batch["labels"] == student.tokenizer.eos_token_id] = -100
        return batch

    monkeypatch.setattr(Collator, "torch_call", without_end)
    with pytest.raises(UserError, match="learn other tokens"):
        fit_sft(student, examples, SHORT, seed=0, folder=tmp_path)


@slow
@pytest.mark.parametrize(
    "how",
    [
        SHORT,
        SHORT.model_copy(update={"accumulate": 3}),
        SHORT.model_copy(update={"batch": 4, "layout": "packed"}),
    ],
    ids=["rows", "accumulated", "packed"],
)
def test_a_training_that_was_cut_off_goes_on(how: Training, tmp_path: Path) -> None:
    examples = encoded(new(), copies(80))
    whole, twice = new(), new()
    expected = fit_sft(whole, examples, how, seed=0, folder=tmp_path / "whole")

    def cut(step: int, steps: int, loss: float) -> None:
        if step == 13:
            raise Cut

    with pytest.raises(Cut):
        fit_sft(new(), examples, how, seed=0, folder=tmp_path, progress=cut, every=0)
    (kept,) = (tmp_path / "trl").glob("checkpoint-*")
    assert kept.name == "checkpoint-12"
    # One that was being written when the power went is no checkpoint.
    torn = shutil.copytree(kept, tmp_path / "trl" / "checkpoint-13")
    (torn / "trainer_state.json").write_bytes(b'{"global_step": 13, "log_hi')
    course = fit_sft(twice, examples, how, seed=0, folder=tmp_path)
    assert course.curve == expected.curve
    assert (course.steps, course.tokens) == (expected.steps, expected.tokens)
    assert course.cpu_seconds > 0
    assert same(whole, twice)
    with pytest.raises(UserError, match="another training: seed"):
        fit_sft(new(), examples, how, seed=1, folder=tmp_path)


@slow
def test_adapters_learn_and_the_rest_stays(tmp_path: Path) -> None:
    pairs = copies(64)
    new().save(tmp_path / "base")
    student = Student.load(tmp_path / "base", lora=4)
    before = {name: p.clone() for name, p in student.model.named_parameters()}
    course = fit_sft(student, encoded(student, pairs), SHORT, seed=0, folder=tmp_path)
    assert course.curve[-1][2] < course.curve[0][2]
    for name, p in student.model.named_parameters():
        assert torch.equal(p, before[name]) is not ("lora_" in name)
    student.save(tmp_path / "merged")
    assert said(Student.load(tmp_path / "merged"), pairs[:5]) == said(student, pairs[:5])


@slow
def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    student = new()
    examples = encoded(student, copies(32))
    with torch.no_grad():
        next(student.model.parameters()).fill_(float("nan"))
    with pytest.raises(Stopped, match="the loss is nan at step 1 of"):
        fit_sft(student, examples, SHORT, seed=0, folder=tmp_path)


@slow
def test_nothing_of_trl_stays_on_the_model(tmp_path: Path) -> None:
    student = new()
    how = Training(tokens=500, batch=16, precision="bf16")
    fit_sft(student, encoded(student, copies(32)), how, seed=0, folder=tmp_path)
    logits = student.model(torch.tensor([[5, 6, 7]])).logits
    # A forward in bfloat16 would be left behind, though its results look like float32.
    assert not torch.equal(logits, logits.bfloat16().float())
    assert not [name for name, one in student.model.named_modules() if "forward" in vars(one)]


@slow
def test_telemetry_stays_off_whatever_was_imported_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_for: list[Any]
) -> None:
    from huggingface_hub import constants

    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(constants, name, False)
    student = new()
    fit_sft(student, encoded(student, copies(32)), SHORT, seed=0, folder=tmp_path, every=0)
    time.sleep(1)  # it would go out from another thread
    assert asked_for == []


# On-policy.


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that adds, and a smaller student that has begun to learn it."""
    folder = tmp_path_factory.mktemp("school")
    teacher, student = new(), new(3, "2x48")
    examples = encoded(teacher, sums(500))
    fit(teacher.model, examples, Training(tokens=150_000, batch=16), seed=0)
    fit(student.model, examples[:200], Training(tokens=40_000, batch=16), seed=0)
    teacher.save(folder / "teacher")
    student.save(folder / "student")
    return folder


def prompts_of(examples: list[Example]) -> list[list[int]]:
    return [one.ids[: one.start] for one in examples]


def go_on_policy(school: Path, folder: Path, **more: Any) -> tuple[Student, Course]:
    student = Student.load(school / "student")
    given: dict[str, Any] = {"how": SHORT, "seed": 0, "folder": folder, "max_tokens": 8} | more
    prompts = prompts_of(encoded(student, sums(500)))
    return student, fit_on_policy(student, school / "teacher", prompts, **given)


@slow
@pytest.mark.parametrize("kind", ["forward", "reverse"])
def test_on_policy_a_student_comes_to_agree_with_its_teacher(
    kind: str, school: Path, tmp_path: Path
) -> None:
    unseen = sums(700)[500:]
    theirs = said(Student.load(school / "teacher"), unseen)
    told = [(question, answer) for (question, _), answer in zip(unseen, theirs, strict=True)]
    before = right(Student.load(school / "student"), told)
    how = Training(tokens=30_000, batch=16)
    student, course = go_on_policy(school, tmp_path, how=how, beta=trl_beta(kind, 0.5))
    assert right(student, told) > before + 0.12
    assert course.curve[-1][2] < course.curve[0][2] / 1.5
    assert 30_000 <= course.tokens < 30_000 + 16 * CONTEXT
    prompt = 7  # three digits, two signs, two marks of the template
    assert course.learnt == course.tokens - prompt * 16 * course.steps


@slow
def test_divergence_and_temperature_reach_trl(school: Path, tmp_path: Path) -> None:
    first = {}
    for kind, temperature in (("forward", 1.0), ("reverse", 1.0), ("jsd", 1.0), ("forward", 4.0)):
        given = {"beta": trl_beta(kind, 0.5), "temperature": temperature, "folder": tmp_path / kind}
        given["folder"] /= str(temperature)
        _, course = go_on_policy(school, how=Training(tokens=100, batch=16), **given)
        first[kind, temperature] = course.curve[0][2]
    assert first["jsd", 1.0] < 0.5 * first["forward", 1.0]
    assert first["reverse", 1.0] > 1.5 * first["forward", 1.0]
    # Flatter distributions are nearer to each other, and T² is left out.
    assert first["forward", 4.0] < 0.5 * first["forward", 1.0]


@slow
def test_on_policy_goes_on_where_it_was_cut_off(school: Path, tmp_path: Path) -> None:
    whole, expected = go_on_policy(school, tmp_path / "whole")

    def cut(step: int, steps: int, loss: float) -> None:
        if step == 13:
            raise Cut

    with pytest.raises(Cut):
        go_on_policy(school, tmp_path, progress=cut, every=0)
    twice, course = go_on_policy(school, tmp_path)
    assert (course.curve, course.learnt) == (expected.curve, expected.learnt)
    assert same(whole, twice)
    with pytest.raises(UserError, match="another training: divergence"):
        go_on_policy(school, tmp_path, beta=0.0)


@slow
def test_on_policy_refuses_who_has_learnt_nothing(school: Path, tmp_path: Path) -> None:
    cold = new(3, "2x48")
    prompts = prompts_of(encoded(cold, sums(50)))
    with pytest.raises(UserError, match="learnt nothing gives noise"):
        fit_on_policy(cold, school / "teacher", prompts, SHORT, seed=0, folder=tmp_path,
                      max_tokens=8)  # fmt: skip


@slow
def test_on_policy_refuses_a_teacher_of_another_language(school: Path, tmp_path: Path) -> None:
    other = Student.new("2x48", "bpe-300", texts=["one and two is three"] * 9, context=CONTEXT)
    other.save(tmp_path / "other")
    plain = Student.load(school / "teacher")
    plain.tokenizer.chat_template = plain.tokenizer.chat_template.replace(
        "<|assistant|>", "<|assistant|> "
    )
    plain.save(tmp_path / "plain")
    student = Student.load(school / "student")
    prompts = prompts_of(encoded(student, sums(50)))
    for name, part in (("other", "tokenizer"), ("plain", "template")):
        with pytest.raises(UserError, match=part):
            fit_on_policy(student, tmp_path / name, prompts, SHORT, seed=0, folder=tmp_path)
    with pytest.raises(UserError, match="no teacher is there"):
        fit_on_policy(student, tmp_path / "none", prompts, SHORT, seed=0, folder=tmp_path)


@slow
def test_on_policy_with_padded_logits(school: Path, tmp_path: Path) -> None:
    wide = Student.load(school / "teacher")
    wide.model.resize_token_embeddings(320)
    wide.save(tmp_path / "wide")
    student = Student.load(school / "student")
    prompts = prompts_of(encoded(student, sums(50)))
    given: dict[str, Any] = {"seed": 0, "folder": tmp_path, "max_tokens": 8}
    assert fit_on_policy(student, tmp_path / "wide", prompts, SHORT, **given).steps > 1
    student.model.resize_token_embeddings(320)
    with pytest.raises(UserError, match="padded to 320"):
        fit_on_policy(student, school / "teacher", prompts, SHORT, **given)


@slow
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("kind", ["forward", "reverse", "jsd"])
def test_beta_means_what_our_own_losses_do(kind: str, temperature: float) -> None:
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    chance = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(5, 40, generator=chance) for _ in range(2))
    heads = torch.eye(40)
    loss, _ = ChunkedDivergenceFunction.apply(
        ours, heads, None, theirs, heads, None, trl_beta(kind, 0.3), temperature
    )
    expected = divergence(ours, Dense(theirs), kind, temperature, 0.3)  # type: ignore[arg-type]
    assert loss.sum() * temperature**2 == pytest.approx(expected.item(), rel=1e-5)


# In a recipe.


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = ("power.sample=0", 'world.families=["cups"]', "world.sizes.cups=[2]")
    folder = tmp_path_factory.mktemp("run") / "run"
    stillroom.run("drills", count=400, out=folder, workers=0, settings=settings)
    return folder


TINY = (
    "distill.student=2x48",
    "distill.tokenizer=bytes",
    "distill.context=64",
    "distill.test=40",
    "distill.validation=20",
    "distill.train.tokens=40000",
    "distill.train.batch=16",
    'distill.arms=["untrained"]',
)


@slow
def test_a_recipe_with_trl(run: Path, tmp_path: Path) -> None:
    settings = (*TINY, "distill.trainer=trl", "distill.train.accumulate=3")
    report = stillroom.distill(run, settings=settings, out=tmp_path / "out", workers=1)
    arms = report.figures["arms"]
    # TRL cuts a step into equal parts: 3 of 6 rows, of 22 tokens each; our own loop takes 16 rows.
    assert arms["distilled"]["tokens"] == arms["distilled"]["steps"] * 18 * 22
    assert arms["distilled"]["tokens"] == pytest.approx(40_000, rel=0.02)
    assert arms["distilled"]["curve"][-1][2] < 0.7 < 4 < arms["distilled"]["curve"][0][2]
    assert Student.load(report.model).parameters == arms["distilled"]["parameters"]
    assert not list((tmp_path / "out").rglob("trl*"))


@slow
def test_a_recipe_on_policy(run: Path, tmp_path: Path) -> None:
    teacher = ("distill.teacher.student=2x64", "distill.teacher.gold=150",
               "distill.teacher.train.tokens=60000", "distill.teacher.train.batch=16")  # fmt: skip
    mode = ("distill.mode=on_policy", "distill.logits.kind=jsd", 'distill.arms=["sequence"]')
    settings = (*TINY, *teacher, *mode)
    report = stillroom.distill(run, settings=settings, out=tmp_path / "out", workers=1)
    arms = report.figures["arms"]
    assert arms["distilled"]["tokens"] == pytest.approx(40_000, rel=0.02)
    # About half of the tokens went into the texts; the divergence after that is a smaller number.
    told = arms["distilled"]["curve"]
    (place,) = [i for i, (a, b) in enumerate(pairwise(told)) if b[2] < a[2] / 3]
    assert 0.4 < told[place][1] / 40_000 < 0.52
    assert told[place][2] < 1 < 4 < told[0][2]
    assert not list((tmp_path / "out").rglob("trl*"))
    assert arms["sequence"]["curve"][-1][2] < told[place][2]


@slow
def test_an_arm_that_was_cut_off_on_policy_goes_on_there(
    school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = Student.load(school / "student")
    student.tokenizer.save_pretrained(tmp_path / "tokenizer")
    arm.write_examples(tmp_path / "examples", encoded(student, sums(160)))
    logits = {"kind": "reverse", "beta": 0.5, "temperature": 1.0}
    job = {
        "training": Training(tokens=20_000, batch=16).model_dump(),
        "folder": "", "size": "2x48", "lora": 0, "seed": 0, "context": CONTEXT, "logits": None,
        "tokenizer": str(tmp_path / "tokenizer"), "examples": str(tmp_path / "examples"),
        "on_policy": {"warm": 0.8, "logits": logits, "teacher": str(school / "teacher"),
                      "max_tokens": 8},
    }  # fmt: skip
    monkeypatch.setitem(fit_on_policy.__kwdefaults__, "every", 0)

    def cut(step: int, steps: int, loss: float) -> None:
        if step == 9 and (folder / "trl-on-policy").exists():
            raise Cut

    folder = tmp_path / "cut"
    for one in ("cut", "whole"):
        (tmp_path / one).mkdir()
    with pytest.raises(Cut):
        arm.train(folder, job, cut)
    again: list[int] = []
    arm.train(folder, job, lambda step, *_: again.append(step))
    arm.train(tmp_path / "whole", job, lambda *_: None)
    assert again[0] == 9  # the texts were not learnt again
    courses = [files.read_json(tmp_path / one / "course.json") or {} for one in ("cut", "whole")]
    assert courses[0]["curve"] == courses[1]["curve"]
    assert same(*(Student.load(tmp_path / one / "model") for one in ("cut", "whole")))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"trainer": "trl", "mode": "logits"}, "our own loop"),
        ({"mode": "on_policy", "on_policy": {"warm": 0}}, "learnt nothing gives noise"),
        ({"mode": "on_policy", "logits": {"weight": 0.5}}, "full probabilities"),
        ({"mode": "on_policy", "logits": {"samples": 12}}, "full probabilities"),
    ],
)
def test_settings_that_do_not_go_together(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Distill.model_validate({"teacher": {"student": "tiny"}, **table})


def test_without_trl(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'stillroom\[trl\]'"):
        require_trl()
    for setting in (("distill.trainer=trl",),
                    ("distill.mode=on_policy", "distill.teacher.student=tiny")):  # fmt: skip
        with pytest.raises(UserError, match="TRL is not installed"):
            stillroom.distill(run, settings=(*TINY, *setting), out=tmp_path / "out", workers=1)
