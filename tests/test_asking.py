"""The lessons recipe with a model behind a server, from the command line; and without a network."""

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from endpoint_server import Server

STILLROOM = [sys.executable, "-c", "from stillroom.cli import main; main()"]
MODEL = f"python:{Path(__file__).with_name('lesson_teacher.py')}:answer"


def stillroom(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*STILLROOM, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def asking(server: Server, out: Path, *more: str) -> list[str]:
    return ["run", "lessons", "--teacher", server.url, "--model", "m", "--count", "20",
            "--out", str(out), *more]  # fmt: skip


def test_a_question_comes_before_anything_is_asked(tmp_path: Path) -> None:
    with Server(latency_ms=1, mode=MODEL) as server:
        done = stillroom(*asking(server, tmp_path / "r"))
        assert server.stats()["requests"] == 0
    assert done.returncode == 2
    for words in ("72 times for 24 tasks", "tokens of prompts", "Money: unknown", "Time:", "Disk:",
                  "add --yes"):  # fmt: skip
        assert words in done.stderr


@pytest.mark.slow
def test_a_run_that_is_killed_asks_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(1)
    with Server(latency_ms=40, mode=MODEL) as server:
        whole = stillroom(*asking(server, tmp_path / "whole", "--yes"))
        assert whole.returncode == 0, whole.stderr
        server.control(reset=True)
        for _ in range(3):
            process = subprocess.Popen(
                [*STILLROOM, *asking(server, tmp_path / "r", "--yes")],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            time.sleep(chance.uniform(2, 5))
            process.kill()
            process.wait()
        done = stillroom(*asking(server, tmp_path / "r", "--yes"))
        assert done.returncode == 0, done.stderr
        answers = server.stats(full=True)["answers"].values()
    # In flight are three shards of eight at most, and the probe's own repeated question.
    assert sum(n - 1 for n in answers) <= 3 * 24 + 4
    roots = [json.loads(stillroom("show", tmp_path / one, "--json").stdout)["root"]
             for one in ("whole", "r")]  # fmt: skip
    assert roots[0] == roots[1]
    costs = json.loads(stillroom("show", tmp_path / "r", "--costs", "--json").stdout)
    assert costs["answers"] >= 60
    assert costs["prompt_tokens"] > 1000
    assert stillroom("verify", tmp_path / "r", "--replay", "3").returncode == 0
    again = stillroom(*asking(server, tmp_path / "r", "--yes"))  # the server is gone: nothing to do
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"faults": {"html": 1.0}}, "answers with an HTML page"),
        ({"model": "another"}, "is the model's name right"),
        ({"context": 5}, "over the context"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    with Server(latency_ms=1, **options) as server:
        done = stillroom(*asking(server, tmp_path / "r", "--yes"))
        assert server.url in done.stderr
    assert done.returncode in (2, 4)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_programs_need_no_network(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    flags = ["--net", "--map-root-user"]
    if not unshare or subprocess.run([unshare, *flags, "true"], capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    done = subprocess.run(
        [unshare, *flags, *STILLROOM, "run", "lessons", "--count", "64", "--out",
         str(tmp_path / "r")], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
