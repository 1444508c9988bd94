"""A student's questions as a task of lm-eval, so that a foreign tool can score it again.

    FOLDER/lm_eval/NAME.yaml  NAME.jsonl  README.md

FOLDER is the student's own, as Hugging Face lays it out; it can be moved. Prompts are written out
as the chat template renders them, so lm-eval applies none. It reads what a student writes without
special tokens: a mark that parts reasoning from answer must not be one.
"""

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stillroom.errors import UserError
from stillroom.files import read_json, write_file

VERSION = "0.4.13"
BATCH = 32

# What lm-eval's reader of JSON (pyarrow's) takes for points in time, where all values are such.
_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T].*)?", re.DOTALL)


class Question(NamedTuple):
    """A question as the student sees it: `prompt` is rendered, `answer` what is to come."""

    id: str
    prompt: str
    answer: str
    group: str = ""


def export_task(
    folder: Path,
    name: str,
    questions: Iterable[tuple[str, str, str, str]],
    stop: Sequence[str] = (),
    max_tokens: int = 256,
    answer_marker: str = "</think>",
) -> Path:
    """Write `questions` (id, prompt, answer, group) as a task of lm-eval; returns its YAML file.

    The task asks greedily for `max_tokens` tokens at most, ends a text at the student's end token
    and at any text of `stop`, takes what follows the last `answer_marker` (all, where there is
    none), and compares it with the answer letter by letter, white space around both aside.
    UserError where lm-eval would not read what the student wrote, or would cut a prompt.
    """
    if not re.fullmatch(r"\w+", name, re.ASCII):
        raise UserError(f"no name for a task of lm-eval: {name!r}", do="use letters, digits and _")
    asked = [Question(*one) for one in questions]
    _same_text(asked, folder)
    _same_tokens(folder, [one.prompt for one in asked], [answer_marker, *stop], max_tokens)
    target = folder / "lm_eval"
    target.mkdir(exist_ok=True)
    rows = [one._asdict() | {"answer": one.answer.strip()} for one in asked]
    write_file(target / f"{name}.jsonl", b"".join(orjson.dumps(row) + b"\n" for row in rows))
    task = target / f"{name}.yaml"
    write_file(task, _yaml(name, stop, max_tokens, answer_marker).encode())
    names = sorted(path.stem for path in target.glob("*.yaml"))
    write_file(target / "README.md", _readme(names).encode())
    return task


def command(names: Sequence[str], program: str = "lm_eval") -> list[str]:
    """The command line that scores a student with lm-eval; it's to be run in the student's folder.

    lm-eval finds a task's questions from where it is started, hence the folder. Without
    add_bos_token=False a tokenizer may put a token of its own before the prompt.
    """
    return [
        program, "run",
        "--model", "hf",
        "--model_args", "pretrained=.,add_bos_token=False",
        "--tasks", ",".join(names),
        "--include_path", "lm_eval",
        "--batch_size", str(BATCH),
    ]  # fmt: skip


def _same_text(asked: list[Question], folder: Path) -> None:
    if not asked:
        raise UserError("no question to export", folder)
    for part in ("prompt", "answer"):
        if all(_DATE.fullmatch(getattr(one, part).strip()) for one in asked):
            raise UserError(
                f"each {part} is a date: lm-eval would read points in time, and write them its way",
                folder,
                "ask for something beside the date",
            )


def _same_tokens(folder: Path, prompts: list[str], marks: list[str], max_tokens: int) -> None:
    """UserError where lm-eval would not see the student's tokens as they are."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    for mark in {*marks} - {tokenizer.eos_token}:
        ids = tokenizer.encode(mark, add_special_tokens=False)
        if mark in tokenizer.decode(ids) and mark not in tokenizer.decode(
            ids, skip_special_tokens=True
        ):
            raise UserError(
                f"{mark} is a special token: lm-eval leaves it out of what the student wrote",
                folder / "tokenizer.json",
                f"add it by add_tokens([AddedToken({mark!r}, special=False, normalized=False)])",
            )
    config = read_json(folder / "config.json") or {}
    ends = (read_json(folder / "generation_config.json") or config).get("eos_token_id")
    if tokenizer.eos_token_id not in (ends if isinstance(ends, list) else [ends]):
        raise UserError(
            f"the model does not end at its tokenizer's {tokenizer.eos_token}",
            folder / "generation_config.json",
            f"set eos_token_id to {tokenizer.eos_token_id}",
        )
    longest = max(map(len, tokenizer(prompts, add_special_tokens=False)["input_ids"]))
    room = config.get("max_position_embeddings")
    if room is not None and longest + max_tokens > room:
        raise UserError(
            f"a prompt of {longest} tokens and an answer of {max_tokens} don't fit into {room}: "
            "lm-eval would cut the prompt",
            folder / "config.json",
            "ask shorter questions, or for shorter answers",
        )


def _yaml(name: str, stop: Sequence[str], max_tokens: int, answer_marker: str) -> str:
    marked = f"(?:.*{re.escape(answer_marker)})?" if answer_marker else ""
    task: dict[str, Any] = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"lm_eval/{name}.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "doc_to_target": "answer",
        "target_delimiter": "",
        "generation_kwargs": {"until": [*stop], "do_sample": False, "max_gen_toks": max_tokens},
        "filter_list": [
            {
                "name": "answer",
                "filter": [
                    {"function": "regex", "regex_pattern": rf"(?s)\A{marked}(.*)\Z"},
                    {"function": "take_first"},
                ],
            }
        ],
        "metric_list": [
            {
                "metric": "exact_match",
                "aggregation": "mean",
                "higher_is_better": True,
                "ignore_case": False,
                "ignore_punctuation": False,
            }
        ],
        "metadata": {"version": 1},
    }
    # JSON is YAML; a line each shows what there is.
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in task.items())
    return "\n".join(lines) + "\n"


def _readme(names: list[str]) -> str:
    return f"""# The student's questions as tasks of lm-eval

`NAME.jsonl` holds the prompts as the student's own chat template renders them, and the answers;
`NAME.yaml` says how lm-eval asks and compares. With lm-eval {VERSION}, in the student's folder (the
one that holds `config.json`, wherever it has been moved to):

```
{shlex.join(command(names))}
```

The figure is `exact_match` under the filter `answer`: what follows the last end of reasoning,
letter by letter. Give no `--apply_chat_template`: the prompts are rendered already. Add
`--log_samples --output_path results` to see each answer; `group` in the samples is the question's.
"""
