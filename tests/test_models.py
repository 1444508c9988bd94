"""Teachers on this machine: a model in a folder, a real server over it, a world's own program."""

import asyncio
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tiny_model import build
from worlds import Asked

import stillroom
from stillroom.errors import UserError
from stillroom.teachers import open_teacher
from stillroom.teachers.endpoint import Endpoint
from stillroom.teachers.local import Local
from stillroom.teachers.probe import probe
from stillroom.teachers.program import Program
from stillroom.teachers.settings import Settings
from stillroom.worlds.lessons import Lessons

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("model") / "tiny")


def test_a_model_in_a_folder_answers_and_scores(folder: Path) -> None:
    teacher = open_teacher(Settings(folder=str(folder), params={"max_tokens": 12}))
    assert isinstance(teacher, Local)

    async def ask() -> list[dict[str, object]]:
        prompts = [f"{n} {n + 1} {n + 2}" for n in (3, 20, 41)]
        asking = (teacher.ask([{"role": "user", "content": prompt}]) for prompt in prompts)
        return list(await asyncio.gather(*asking))

    answers = asyncio.run(ask())
    assert [answer["text"] for answer in answers] == ["6 7 8", "23 24 25", "44 45 46"]
    assert answers[0]["finish"] == "stop"
    assert answers[0]["completion_tokens"] == 6
    known = teacher.score(list(range(6, 12)))
    assert len(known) == 5
    assert all(one <= 0 and math.isfinite(one) for one in known)


def test_its_run_is_kept_in_the_ledger(folder: Path, tmp_path: Path) -> None:
    settings = [f'teacher.folder="{folder}"', "teacher.params.max_tokens=4", "power.sample=0"]
    run = stillroom.run(Asked(), count=10, out=tmp_path / "r", workers=0, settings=settings)
    assert run.counts["dataset"] == 10
    assert stillroom.verify(run.folder, trust_code=True, replay=3).ok
    record = next(iter(run.dataset))
    assert record.origin.depth is None
    assert "tiny" in record.origin.maker


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model is there"):
        open_teacher(Settings(folder=str(tmp_path)))


def test_a_program_teaches_its_own_world() -> None:
    world = Lessons(concepts=("adding_fractions",))
    program = Program(world, seed=3)
    question = next(islice(program.questions(), 4, None))
    text = asyncio.run(program.ask(question.messages))
    data = world.read(question.task, text)
    verdict = world.check(question.task, data, stillroom.Context("a"))
    assert verdict.ok
    assert asyncio.run(Program(world, seed=3).ask(question.messages)) == text
    with pytest.raises(UserError, match="has no record for"):
        asyncio.run(program.ask([{"role": "user", "content": "What is love?"}]))


def test_the_readable_way() -> None:
    world = Lessons(concepts=("cups",))
    teacher = stillroom.Teacher(world)
    question = next(teacher.questions())
    with teacher:
        text = teacher.generate(question, reasoning=True)
        with pytest.raises(UserError, match="always tells its steps"):
            teacher.generate(question, reasoning=False)
    assert world.check(question.task, world.read(question.task, text), stillroom.Context("a")).ok


def test_the_readable_way_with_a_folder_and_a_ledger(folder: Path, tmp_path: Path) -> None:
    with stillroom.Teacher(str(folder), ledger=tmp_path / "l.sqlite", max_tokens=8) as teacher:
        said = teacher.generate("5 6 7")
        assert teacher.generate("5 6 7") == said
        assert len(teacher.score([5, 6, 7])) == 2
    assert stillroom.Teacher(str(folder), ledger=tmp_path / "l.sqlite", max_tokens=8).generate(
        "5 6 7"
    ) == said  # fmt: skip


@pytest.fixture
def served(folder: Path, tmp_path: Path) -> Iterator[str]:
    """`transformers serve` over the tiny model."""
    pytest.importorskip("fastapi")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder),
               "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    with (tmp_path / "serve.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
        try:
            deadline = time.monotonic() + 120
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                    break
                except OSError:
                    assert process.poll() is None, (tmp_path / "serve.log").read_text()[-2000:]
                    assert time.monotonic() < deadline
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait()


@pytest.mark.slow
def test_a_real_server(folder: Path, served: str, tmp_path: Path) -> None:
    """It takes n, logprobs and response_format without a word, and honours none of them."""

    async def probed() -> dict[str, bool | None]:
        endpoint = Endpoint(Settings(url=served, model=str(folder)))
        try:
            return await probe(endpoint)
        finally:
            await endpoint.close()

    found = asyncio.run(probed())
    assert {found[name] for name in ("n", "logprobs", "response_format")} == {False}, found
    settings = [f'teacher.url="{served}"', f'teacher.model="{folder}"',
                "teacher.params.max_tokens=8", "teacher.in_flight=8", "power.sample=0"]  # fmt: skip
    run = stillroom.run(Asked(), count=40, out=tmp_path / "r", workers=2, settings=settings)
    assert run.counts["dataset"] == 40
    assert all(record.usage.completion_tokens > 0 for record in run.dataset)
    table = [f'teacher.ledger="{tmp_path}/r/ledger.sqlite"', f'teacher.model="{folder}"']
    again = stillroom.run(
        Asked(), count=40, out=tmp_path / "again", workers=0,
        settings=[*table, "teacher.params.max_tokens=8", "power.sample=0"],
    )  # fmt: skip
    assert again.root == run.root


@pytest.mark.slow
def test_the_lessons_recipe_on_a_real_server(folder: Path, served: str, tmp_path: Path) -> None:
    """Killed and gone on with; a model this small writes no lesson, and none of it is kept."""
    command = [str(Path(sys.executable).with_name("stillroom")), "run", "lessons", "--teacher",
               served, "--model", str(folder), "--count", "2", "--yes",
               "--out", str(tmp_path / "r"), "--set", "teacher.params.max_tokens=8",
               "--set", "teacher.in_flight=8",
               "--set", "world.passes=['draft']"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(12)
    process.kill()
    process.communicate()
    before = asked_so_far(tmp_path / "r")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(12)
    process.kill()
    process.communicate()
    assert asked_so_far(tmp_path / "r") > before > 0


def asked_so_far(run: Path) -> int:
    from stillroom.ledger import recorded

    return sum(one.answers for one in recorded(run / "ledger.sqlite"))
