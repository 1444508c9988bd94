"""`distill`: what is learnt from whom, resumed to the byte, refused in sentences, told in full."""

import functools
import json
import os
import re
import signal
import time
import zlib
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from echo import ECHO
from processes import end_of, fork
from transformers import AutoModelForCausalLM, AutoTokenizer

import stillroom
from stillroom import files, worlds
from stillroom.checker import Checker
from stillroom.dataset import rest
from stillroom.errors import Stopped
from stillroom.fold import Watch
from stillroom.stages.grading import grade
from stillroom.stages.questions import sets_of
from stillroom.students import training
from stillroom.students.student import Student

torch.set_num_threads(1)


def small(*more: str, tokens: int = 2000, arms: Sequence[str] = ()) -> list[str]:
    return [
        'distill.student="1x32"',
        'distill.tokenizer="bytes"',
        "distill.context=200",
        "distill.max_tokens=40",
        "distill.test=20",
        "distill.validation=20",
        "distill.train.batch=8",
        f"distill.train.tokens={tokens}",
        f"distill.arms={json.dumps(arms)}",
        *more,
    ]


@pytest.fixture(scope="module")
def drills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drills") / "run"
    settings = ('world.families=["cups"]', "world.sizes={cups = [1, 2, 3]}", "power.sample=0")
    stillroom.run("drills", out=folder, count=300, workers=0, settings=settings)
    return folder


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    home = tmp_path_factory.mktemp("echo")

    @functools.cache
    def run(how: str) -> Path:
        out, settings = home / f"run {how}", (f"world.how={how!r}", "power.sample=0")
        stillroom.run(ECHO, out=out, count=200, workers=0, settings=settings)
        return out

    return run


def distil(run: Path, settings: Sequence[str], **given: Any) -> Any:
    return stillroom.distill(run, settings=settings, **{"workers": 0, "trust_code": True, **given})


def model_bytes(home: Path) -> dict[str, str]:
    found = {str(p.relative_to(home)): files.sha256(p) for p in home.rglob("model.safetensors")}
    assert found
    return found


def untimed(value: Any) -> Any:
    """A report without the seconds that it took."""
    if isinstance(value, dict):
        return {k: untimed(v) for k, v in value.items() if "cpu_seconds" not in k}
    return [untimed(one) for one in value] if isinstance(value, list) else value


def learnt(home: Path, arm: str = "distilled") -> list[tuple[str, str]]:
    """(prompt, answer) of all that an arm learnt, as its tokens on disk say."""
    tokenizer = AutoTokenizer.from_pretrained(home / "tokenizer")
    rows = files.read_parquet(home / "data" / f"{arm}.parquet").to_pylist()
    return [
        (tokenizer.decode(row["ids"][: row["start"]]), tokenizer.decode(row["ids"][row["start"] :]))
        for row in rows
    ]


def test_a_distillation_tells_all_and_is_done_once(drills: Path, tmp_path: Path) -> None:
    arms = ("answer-only", "answer-only-examples", "untrained")
    more = ("distill.seeds=2", "distill.samples=2", "distill.rates=[0.0005, 0.003]")
    settings, lines = small(*more, tokens=8_000, arms=arms), []
    report = distil(drills, settings, out=tmp_path / "s", watch=Watch(say=lines.append))
    told = report.figures
    assert list(told["arms"]) == ["distilled", *arms]
    assert set(told["questions"]) == {"train", "test", "extrapolate"}
    assert told["root"] == files.read_json(drills / "make" / "manifest.json")["root"]
    teacher = told["teacher"]
    assert (teacher["kind"], teacher["refused"]) == ("records", {})
    assert teacher["accepted"] == teacher["questions"] == told["questions"]["train"] > 200
    assert told["contamination"]["exact"] == 0
    chosen = files.read_parquet(tmp_path / "s" / "questions" / "validation.parquet").num_rows
    held_out = chosen + told["questions"]["test"] + told["questions"]["extrapolate"]
    assert told["contamination"]["held_out"] == held_out
    for name, arm in told["arms"].items():
        for test in ("test", "extrapolate"):
            scored = arm["tests"][test]
            low, high = scored["interval"]
            assert 0 <= low <= scored["accuracy"] <= high <= 1
            assert scored["n"] == told["questions"][test]
            assert len(scored["seeds"]) == 2
            assert set(scored["pass"]) == {"1", "2"}
        if name != "untrained":
            assert set(arm["tried"]) == {"0.0005", "0.003"}
            assert arm["tried"][str(arm["rate"])] == max(arm["tried"].values())
            assert arm["curve"][-1][2] < arm["curve"][0][2]
    assert told["arms"]["distilled"]["tokens"] == pytest.approx(8_000, rel=0.02)
    assert told["arms"]["answer-only"]["tokens"] == pytest.approx(8_000, rel=0.02)
    assert told["arms"]["answer-only-examples"]["steps"] == pytest.approx(
        told["arms"]["distilled"]["steps"], rel=0.03
    )
    assert told["arms"]["untrained"]["steps"] == 0
    assert {(one["arm"], one["test"]) for one in told["against"]} == {
        (arm, test) for arm in arms for test in ("test", "extrapolate")
    }
    assert told["graded"]
    for one in told["graded"]:
        assert one["right"] == (one["text"].rpartition("</think>")[2] == one["answer"])
    assert str(tmp_path) not in json.dumps(told)
    shown = "\n".join(lines)
    assert re.search(r"<\|user\|>cups .*<\|assistant\|>«<think>.*</think>\d<\|end\|>»", shown)
    # The student, and its answers, as plain transformers has them.
    model = AutoModelForCausalLM.from_pretrained(report.model)
    tokenizer = AutoTokenizer.from_pretrained(report.model)
    one = told["graded"][0]
    asked = [{"role": "user", "content": one["question"]}]
    ids = tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    said = model.generate(**ids, max_new_tokens=40, do_sample=False)
    said = tokenizer.decode(said[0, ids["input_ids"].shape[1] :])
    assert said.removesuffix("<|end|>") == one["text"]

    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in files_in(tmp_path / "s")}
    again = distil(drills, settings, out=tmp_path / "s")
    assert again.figures == told
    assert before == {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in files_in(tmp_path / "s")}
    with pytest.raises(stillroom.UserError, match=r"distill\.keep was 'verified', now 'all'"):
        distil(drills, [*settings, "distill.keep=all"], out=tmp_path / "s")
    with pytest.raises(stillroom.UserError, match=r"teacher\.given was '', now 'mine'"):
        distil(drills, settings, out=tmp_path / "s", teacher=Speller())


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


TWO = small(tokens=8000, arms=["answer-only"])


@pytest.fixture(scope="module")
def undisturbed(drills: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two arms, by two workers."""
    return distil(drills, TWO, out=tmp_path_factory.mktemp("two") / "s", workers=2)


@pytest.mark.slow
def test_workers_change_no_byte(drills: Path, undisturbed: Any, tmp_path: Path) -> None:
    alone = distil(drills, TWO, out=tmp_path / "s", workers=1, trust_code=False)
    assert model_bytes(alone.folder) == model_bytes(undisturbed.folder)
    assert untimed(alone.figures) == untimed(undisturbed.figures)
    assert alone.figures["arms"]["distilled"]["cpu_seconds"] > 0


def test_killed_in_the_middle_it_comes_to_the_same_student(
    drills: Path, undisturbed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A checkpoint after every point of the curve, where usually half a minute passes.
    monkeypatch.setattr(training, "fit", functools.partial(training.fit, every=0.0))
    home, killed = tmp_path / "killed", 0
    moments: list[Callable[[], object]] = [
        lambda: (home / "data" / "distilled.parquet").exists(),
        lambda: list(home.glob("arms/distilled/*/*/checkpoint-*[1-9]")),
        lambda: any(int(p.name[11:]) > 30 for p in home.glob("arms/*/*/*/checkpoint-*")),
        lambda: list(home.glob("arms/distilled/*/*/course.json")),
        lambda: list(home.glob("arms/answer-only/*/*/checkpoint-*")),
    ]
    for moment in moments:
        child = fork(lambda: distil(drills, TWO, out=home))
        until = time.monotonic() + 30
        while not moment() and time.monotonic() < until:
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        killed += end_of(child) == -9
    assert killed == len(moments)
    assert not (home / "report.json").exists()
    # A run's folder may be moved; it goes on where it is.
    report = distil(drills, TWO, out=home.rename(tmp_path / "moved"))
    assert model_bytes(report.folder) == model_bytes(undisturbed.folder)
    assert untimed(report.figures) == untimed(undisturbed.figures)
    left = [p for p in (tmp_path / "moved" / "arms").rglob("*") if "checkpoint" in p.name]
    assert not left
    assert not list((tmp_path / "moved" / "arms").rglob(".model*"))


class Speller:
    """Answers Echo's questions, and drills never; 30 % wrong, some cut off."""

    model = "mine"

    def __init__(self, cut: bool = False, fail: int = 0) -> None:
        self.asked: list[str] = []
        self.cut, self.fail = cut, fail

    async def ask(self, messages: Sequence[dict[str, str]], **params: Any) -> Any:
        question = messages[-1]["content"]
        self.asked.append(question)
        if self.fail and len(self.asked) > self.fail:
            raise ConnectionError("gone")
        number = question.split()[1]
        if self.cut and int(number) % 3 == 0:
            return {"text": number, "finish": "length"}
        return "99999" if wrong(question) else number


def wrong(question: str) -> bool:
    return zlib.crc32(question.encode()) % 10 < 3


@pytest.mark.parametrize("keep", ["verified", "all"])
def test_wrong_answers_of_a_teacher_are_learnt_only_if_all_are_kept(
    keep: str, echo: Callable[[str], Path], tmp_path: Path
) -> None:
    teacher = Speller()
    report = distil(echo(""), small(f"distill.keep={keep}"), out=tmp_path / "s", teacher=teacher)
    told = report.figures["teacher"]
    questions = set(teacher.asked)
    assert len(questions) == told["questions"] == 160
    right = {question for question in questions if not wrong(question)}
    assert 0.6 < len(right) / len(questions) < 0.8
    assert told["accepted"] == len(right)
    assert told["refused"] == {"answer": told["answers"] - 4 * len(right)}
    pairs = dict(learnt(tmp_path / "s"))
    expected = {
        f"<|user|>{question}<|assistant|>": f"{question.split()[1]}<|end|>"
        if question in right
        else "99999<|end|>"
        for question in (right if keep == "verified" else questions)
    }
    assert pairs == expected


def test_answers_that_were_cut_off_are_never_learnt(
    echo: Callable[[str], Path], tmp_path: Path
) -> None:
    teacher = Speller(cut=True)
    report = distil(echo(""), small("distill.keep=all"), out=tmp_path / "s", teacher=teacher)
    numbers = {int(re.findall(r"say (\d+)", prompt)[0]) for prompt, _ in learnt(tmp_path / "s")}
    assert numbers
    assert not [n for n in numbers if n % 3 == 0]
    assert report.figures["teacher"]["refused"]["cut off"] == 4 * sum(
        int(q.split()[1]) % 3 == 0 for q in set(teacher.asked)
    )


def test_what_was_paid_stays_paid(echo: Callable[[str], Path], tmp_path: Path) -> None:
    first = Speller(fail=100)
    with pytest.raises(ConnectionError):
        distil(echo(""), small(), out=tmp_path / "s", teacher=first)
    assert len(first.asked) < 300, "nobody is asked any more"
    # A context that is too small shows once all is answered; mended, nothing is asked again.
    second = Speller()
    with pytest.raises(stillroom.UserError, match="takes 9 tokens, the student's context holds 8"):
        distil(echo(""), small("distill.context=8"), out=tmp_path / "s", teacher=second)
    assert 4 * 160 - 100 <= len(second.asked) < 4 * 160 - 40
    third = Speller()
    report = distil(echo(""), small(), out=tmp_path / "s", teacher=third)
    assert not third.asked
    assert report.figures["teacher"]["answers"] == 4 * 160


def test_a_teacher_that_is_trained_here(drills: Path, tmp_path: Path) -> None:
    teacher = (
        '{student = "1x32", gold = 100, samples = 2, questions = 60, '
        "train = {tokens = 4000, batch = 8}}"
    )
    arms = ["gold", "unverified"]
    lines = small(f"distill.teacher={teacher}", "distill.keep=all", arms=arms)
    told = distil(drills, lines, out=tmp_path / "s").figures
    assert told["teacher"]["gold"] == 100
    assert set(told["teacher"]["tests"]) == {"test", "extrapolate"}
    assert told["teacher"]["answers"] == 120
    assert told["teacher"]["parameters"] > 10_000
    pool = files.read_parquet(tmp_path / "s" / "teacher" / "pool.parquet")["prompt"].to_pylist()
    gold = learnt(tmp_path / "s", "gold")
    assert len(gold) == told["arms"]["gold"]["examples"] == 100
    assert not {prompt for prompt, _ in gold} & set(pool), "it is not asked what it was told"
    assert told["arms"]["unverified"]["examples"] > 0


@pytest.mark.parametrize("mode", ["sequence", "rationale"])
def test_rationale_asks_each_question_twice(mode: str, drills: Path, tmp_path: Path) -> None:
    told = distil(drills, small(f"distill.mode={mode}"), out=tmp_path / "s").figures
    pairs = learnt(tmp_path / "s")
    assert len(pairs) == told["arms"]["distilled"]["examples"]
    at_once = {p: a for p, a in pairs if p.startswith("<|system|>answer at once<|user|>")}
    reasoned = {p: a for p, a in pairs if p not in at_once}
    assert len(reasoned) == told["questions"]["train"]
    assert all(re.fullmatch(r"<think>.+</think>\d<\|end\|>", a) for a in reasoned.values())
    assert all(re.fullmatch(r"\d<\|end\|>", a) for a in at_once.values())
    if mode == "rationale":
        assert {p.removeprefix("<|system|>answer at once") for p in at_once} == set(reasoned)
        for prompt, answer in at_once.items():
            whole = reasoned[prompt.removeprefix("<|system|>answer at once")]
            assert whole.endswith(f"</think>{answer}")
    else:
        assert not at_once


def test_a_student_may_begin_with_a_model(drills: Path, tmp_path: Path) -> None:
    Student.new("2x32", "bytes", context=120, seed=7).save(tmp_path / "given")
    settings = small(f'distill.student="{tmp_path}/given"', "distill.lora=2", arms=["untrained"])
    report = distil(drills, settings, out=tmp_path / "s")
    assert report.figures["student"] == "given"
    home = tmp_path / "s" / "arms"
    given, same, changed = (
        AutoModelForCausalLM.from_pretrained(folder).state_dict()
        for folder in (
            tmp_path / "given",
            next(home.glob("untrained/*/*/model")),
            report.model,
        )
    )
    assert all(torch.equal(given[key], same[key]) for key in given)
    assert not all(torch.equal(given[key], changed[key]) for key in given)
    assert files.read_json(next(home.glob("distilled/*/*/job.json")))["context"] == 120


REFUSED: list[tuple[str, list[str], str]] = [
    ("", ['distill.student="/tmp"'], "no model is there"),
    ("", ['distill.student="/no/such/folder"'], "no student is called '/no/such/folder'"),
    ("", ['distill.teacher={folder = "/tmp"}'], "no model is there"),
    ("", ['distill.teacher={student = "vast"}'], "no student is called 'vast'"),
    ("", ["distill.lora=4"], "adapters are for a model that has learnt"),
    ("", ['distill.arms=["answer-only"]'], "no reasoning apart .* arm answer-only"),
    ("", ['distill.mode="rationale"'], "no reasoning apart .* mode rationale"),
    ("", ["world.tasks=3"], r"only keys of its \[distill\]"),
    ("training wrong", [], "no record of the split train"),
    ("repeats", [], "an evaluation question is in the training set"),
    ("repeats a refused one", ["distill.keep=all"], "an evaluation question is in the training"),
]


@pytest.mark.parametrize(("how", "more", "said"), REFUSED)
def test_what_can_not_be_distilled(
    how: str, more: list[str], said: str, echo: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(stillroom.UserError) as told:
        distil(echo(how), small(*more), out=tmp_path / "s")
    assert re.search(said, told.value.what)
    assert told.value.do
    assert not (tmp_path / "s" / "arms").exists()


def test_nobody_is_asked_for_a_student_that_can_not_be(
    echo: Callable[[str], Path], tmp_path: Path
) -> None:
    teacher = Speller()
    for line in ('distill.student="/tmp"', 'distill.student="vast"', "distill.lora=2"):
        with pytest.raises(stillroom.UserError):
            distil(echo(""), small(line), out=tmp_path / "s", teacher=teacher)
    assert not teacher.asked
    with pytest.raises(stillroom.UserError, match="is no teacher"):
        distil(echo(""), small(), out=tmp_path / "s", teacher=object())
    with pytest.raises(stillroom.UserError, match="--trust-code"):
        distil(echo(""), small(), out=tmp_path / "s", trust_code=False)


def test_what_a_server_will_be_asked_is_told_before(drills: Path, tmp_path: Path) -> None:
    told: list[Any] = []

    def no(estimate: Any) -> None:
        told.append(estimate)
        raise stillroom.UserError("not today")

    settings = (
        'distill.teacher.ask.url="http://127.0.0.1:9/v1"',
        'distill.teacher.ask.model="m"',
        "distill.teacher.ask.params.max_tokens=50",
        "distill.teacher.questions=20",
        "distill.teacher.samples=3",
    )
    with pytest.raises(stillroom.UserError, match="not today"):
        distil(drills, small(*settings), out=tmp_path / "s", watch=Watch(before=no))
    (one,) = told
    assert (one.tasks, one.calls, one.completion_tokens, one.recorded) == (20, 60, 3000, 0)


def test_a_loss_that_is_no_number_stops_all(echo: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="the loss is nan at step") as told:
        distil(echo(""), small("distill.train.learning_rate=1e30"), out=tmp_path / "s")
    assert "arms/distilled" in told.value.where
    assert not (tmp_path / "s" / "report.json").exists()


def test_refused_records_are_only_learnt_with_the_rest(
    echo: Callable[[str], Path], tmp_path: Path
) -> None:
    run = echo("repeats a refused one")
    assert [r.data["question"] for r in rest(run) if r.outcome == "refused"] == ["say 19"]
    distil(run, small(), out=tmp_path / "s")
    assert "<|user|>say 19<|assistant|>" not in dict(learnt(tmp_path / "s"))


def test_a_check_that_breaks_refuses_the_answer(
    echo: Callable[[str], Path], tmp_path: Path
) -> None:
    class Boom(Speller):
        async def ask(self, messages: Sequence[dict[str, str]], **params: Any) -> Any:
            said = await super().ask(messages)
            return "boom" if said == "99999" else said

    told = distil(echo(""), small(), out=tmp_path / "s", teacher=Boom()).figures["teacher"]
    assert list(told["refused"]) == ["exception"]
    assert "no text was expected here" in told["example"]["reason"]

    class Useless(Speller):
        async def ask(self, messages: Sequence[dict[str, str]], **params: Any) -> Any:
            return "boom"

    with pytest.raises(stillroom.UserError, match="none of the 160 training questions"):
        distil(echo(""), small(), out=tmp_path / "u", teacher=Useless())


def test_a_world_that_can_not_read(tmp_path: Path) -> None:
    deaf = ECHO.replace(":Echo", ":Deaf")
    stillroom.run(deaf, out=tmp_path, count=100, workers=0, settings=("power.sample=0",))
    with pytest.raises(stillroom.UserError, match=r"world deaf has no read\(\)"):
        distil(tmp_path, small())


def test_a_run_without_an_accepted_record(tmp_path: Path) -> None:
    settings = ("world.how='all wrong'", "power.sample=0")
    with pytest.raises(stillroom.UserError, match="nothing was kept"):
        stillroom.run(ECHO, out=tmp_path / "run", count=200, workers=0, settings=settings)
    for folder in ("run", "nothing"):
        with pytest.raises(stillroom.UserError, match="no finished run"):
            distil(tmp_path / folder, small())


def test_mistakes_in_the_recipe_are_told_at_once(echo: Callable[[str], Path]) -> None:
    lines = [
        "distill.studnet=tiny",
        "distill.seeds=0",
        'distill.arms=["golden"]',
        "distill.rates=[0.1, 0.1]",
        'distill.train.layout="stacked"',
        'distill.teacher.ask={url = "http://localhost/v1", model = "m", key = "sk-PLANTED"}',
    ]
    with pytest.raises(stillroom.UserError) as told:
        distil(echo(""), lines)
    what = told.value.what
    assert "6 mistakes in the recipe" in what
    for key in ("student", "seeds", "arms", "rates", "train.layout", "teacher.ask.key"):
        assert f"distill.{key}" in what.replace("studnet", "student")
    assert "did you mean 'student'" in what
    assert told.value.where == str(echo("") / "recipe.toml")
    assert "PLANTED" not in str(told.value)
    with pytest.raises(stillroom.UserError, match=r"arm 'gold' needs a teacher that is trained"):
        distil(echo(""), ['distill.arms=["gold"]'])


def test_the_questions_of_a_world(drills: Path) -> None:
    world = worlds.build(
        worlds.find("drills"), {"families": ["cups", "add"], "sizes": {"add": [1, 2, 3]}}
    )
    questions = stillroom.Questions(world)
    asked = list(islice(questions, 300))
    assert {q.tags["split"] for q in asked} == {"train"}
    hard = list(islice(questions.hard(), 300))
    for concept, least in (("cups", 4), ("add", 2)):
        assert {int(q.tags["difficulty"]) for q in asked if q.tags["concept"] == concept} >= {1}
        sizes = {int(q.tags["difficulty"]) for q in hard if q.tags["concept"] == concept}
        assert min(sizes) >= least
    with stillroom.Teacher(world) as teacher:
        for question in hard[:20]:
            text = teacher.generate(question)
            assert questions.verify(question, text)
            before, mark, answer = text.rpartition("</think>")
            assert questions.verify(question, answer), "an answer alone is one too"
            for other in (f"{before}{mark}{int(answer) + 1}", f"{before[:-1]}{mark}{answer}", "?"):
                assert not questions.verify(question, other)


def test_an_answer_has_two_grades(drills: Path) -> None:
    world = worlds.build(worlds.find("drills"), {"families": ["cups"]})
    checker, question = Checker(world, Path(), ""), next(iter(stillroom.Questions(world)))
    with stillroom.Teacher(world) as teacher:
        text = teacher.generate(question)
    before, mark, answer = text.rpartition("</think>")
    said = {
        text: (True, True),
        answer: (True, True),
        f"{before[:-1]}{mark}{answer}": (True, False),
        f"{before}{mark}{int(answer) + 1}": (False, False),
        f"{before}{answer}": (False, False),
    }
    for other, (right, whole) in said.items():
        found = grade(checker, question.task, other)
        assert (found.right, found.whole, not found.reason) == (right, whole, whole)
    assert not grade(checker, question.task, text, ended=False).right


def test_untagged_questions_are_split_as_the_records_are(tmp_path: Path) -> None:
    hello = Path(__file__).parents[1] / "examples" / "hello.py"
    world = worlds.build(worlds.find(str(hello)), {})
    stillroom.run(str(hello), out=tmp_path, count=200, workers=0, settings=("power.sample=0",))
    sets = sets_of(world, stillroom.open(tmp_path), [], 100, 100)
    asked = {q.task["sum"] for q in islice(stillroom.Questions(world), 150)}
    assert sets.test
    assert not asked & {one.task["sum"] for one in (*sets.test, *sets.validation)}
    assert len(asked & {one.task["sum"] for one in sets.train}) > 100
