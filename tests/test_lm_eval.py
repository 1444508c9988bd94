"""A student's questions as a task of lm-eval: what is written, and what is refused because lm-eval
would read it otherwise. That lm-eval scores as we do is shown in test_judges.py."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tiny_model import word_tokenizer

from stillroom.errors import UserError
from stillroom.students.lm_eval import command, export_task

pytest.importorskip("transformers")
yaml = pytest.importorskip("yaml")

ROWS = [
    ("one", "<|user|>1 2<|assistant|>", " [2, 1]\n", "easy"),
    ("two", "<|user|>3 4?<|assistant|>", "[4, 3]", "hard"),
]
CONFIG = {"eos_token_id": 1, "max_position_embeddings": 32}


def student(folder: Path, special: tuple[str, ...] = (), **config: Any) -> Path:
    """A student's folder but for its weights, which are not looked at."""
    from transformers import AddedToken

    tokenizer = word_tokenizer([*map(str, range(10)), *" ?[],\n"])
    marks = ("<|user|>", "<|assistant|>", "<think>", "</think>")
    tokenizer.add_tokens([AddedToken(mark, special=mark in special) for mark in marks])
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **CONFIG, **config}))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return student(tmp_path / "student", special=("<|user|>", "<|assistant|>"))


def test_the_task_is_what_lm_eval_reads(folder: Path) -> None:
    path = export_task(folder, "swap", ROWS, stop=["\n\n", '"é🙂\\'], max_tokens=16)
    assert path == folder / "lm_eval" / "swap.yaml"
    task = yaml.safe_load(path.read_text())
    data = folder / task["dataset_kwargs"]["data_files"][task["test_split"]]
    assert not Path(task["dataset_kwargs"]["data_files"]["test"]).is_absolute()
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    assert [row[task["doc_to_text"]] for row in rows] == [row[1] for row in ROWS]
    assert [row[task["doc_to_target"]] for row in rows] == ["[2, 1]", "[4, 3]"]
    assert [(row["id"], row["group"]) for row in rows] == [("one", "easy"), ("two", "hard")]
    wanted = {"until": ["\n\n", '"é🙂\\'], "do_sample": False, "max_gen_toks": 16}
    assert task["generation_kwargs"] == wanted
    assert (task["output_type"], task["num_fewshot"]) == ("generate_until", 0)
    metric = task["metric_list"][0]
    assert (metric["metric"], metric["ignore_case"], metric["ignore_punctuation"]) == (
        "exact_match",
        False,
        False,
    )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>2, so 1</think>\n[2, 1]", "[2, 1]"),
        ("[2, 1]", "[2, 1]"),
        ("a</think>b\n</think>\nA. b!\nc\n", "A. b!\nc"),
        ("<think>never ends\n", "<think>never ends"),
        ("a</think>", ""),
        ("", ""),
    ],
)
def test_the_filter_takes_what_follows_the_last_mark(folder: Path, text: str, answer: str) -> None:
    task = yaml.safe_load(export_task(folder, "swap", ROWS, max_tokens=16).read_text())
    pattern, first = task["filter_list"][0]["filter"]
    assert (pattern["function"], first) == ("regex", {"function": "take_first"})
    # As lm-eval's filter does: the first of all matches, stripped.
    assert re.compile(pattern["regex_pattern"]).findall(text)[0].strip() == answer


def test_the_mark_is_no_pattern(folder: Path) -> None:
    task = export_task(folder, "swap", ROWS, max_tokens=16, answer_marker="(.+)=")
    pattern = yaml.safe_load(task.read_text())["filter_list"][0]["filter"][0]["regex_pattern"]
    assert re.findall(pattern, "1=2(.+)=3")[0] == "3"
    assert re.findall(pattern, "1=2")[0] == "1=2"
    task = export_task(folder, "swap", ROWS, max_tokens=16, answer_marker="")
    pattern = yaml.safe_load(task.read_text())["filter_list"][0]["filter"][0]["regex_pattern"]
    assert re.findall(pattern, "a</think>b")[0] == "a</think>b"


def test_the_readme_has_the_command_for_all_tasks_there(folder: Path) -> None:
    export_task(folder, "swap", ROWS, max_tokens=16)
    export_task(folder, "again", ROWS, max_tokens=16)
    told = (folder / "lm_eval" / "README.md").read_text()
    line = " ".join(command(["again", "swap"]))
    assert f"\n{line}\n" in told
    assert "--tasks again,swap --include_path lm_eval" in line
    assert "pretrained=.,add_bos_token=False" in line
    assert str(folder) not in told  # the folder can be moved


def test_marks_that_lm_eval_would_leave_out_are_refused(tmp_path: Path) -> None:
    folder = student(tmp_path / "a", special=("</think>",))
    with pytest.raises(UserError, match="</think> is a special token") as told:
        export_task(folder, "swap", ROWS, max_tokens=16)
    assert "special=False" in told.value.do
    assert not (folder / "lm_eval").exists()
    export_task(folder, "swap", ROWS, max_tokens=16, answer_marker="", stop=["<end>"])
    folder = student(tmp_path / "b", special=("<|user|>",))
    with pytest.raises(UserError, match=r"<\|user\|> is a special token"):
        export_task(folder, "swap", ROWS, max_tokens=16, stop=["<|user|>"])


def test_a_prompt_that_lm_eval_would_cut_is_refused(folder: Path) -> None:
    tokens = 6  # the longer of the two: mark, number, blank, number, mark, mark
    export_task(folder, "swap", ROWS, max_tokens=32 - tokens)
    with pytest.raises(UserError, match=f"a prompt of {tokens} tokens"):
        export_task(folder, "swap", ROWS, max_tokens=33 - tokens)


def test_a_model_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not end at its tokenizer's <end>") as told:
        export_task(student(tmp_path / "a", eos_token_id=None), "swap", ROWS, max_tokens=16)
    assert told.value.do == "set eos_token_id to 1"
    folder = student(tmp_path / "b", eos_token_id=7)
    with pytest.raises(UserError, match="does not end"):
        export_task(folder, "swap", ROWS, max_tokens=16)
    (folder / "generation_config.json").write_text('{"eos_token_id": [5, 1]}')
    export_task(folder, "swap", ROWS, max_tokens=16)


def test_names_dates_and_nothing_are_refused(folder: Path) -> None:
    for name in ("a,b", "", "a/b", "a*", "é"):
        with pytest.raises(UserError, match="no name"):
            export_task(folder, name, ROWS, max_tokens=16)
    with pytest.raises(UserError, match="no question"):
        export_task(folder, "swap", [], max_tokens=16)
    dates = [("a", "1", "2024-01-02", ""), ("b", "2", "2024-01-03 10:00", "")]
    with pytest.raises(UserError, match="each answer is a date"):
        export_task(folder, "swap", dates, max_tokens=16)
    export_task(folder, "swap", [*dates, ROWS[0]], max_tokens=16)
