"""Foreign judges: what lm-eval makes of a student is what we make of it.

Wants STILLROOM_JUDGES, the folder of the judges' virtual environments (docs/judges.md).
"""

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tiny_model import small_llama, step, word_tokenizer

from stillroom.students.lm_eval import command, export_task

pytestmark = pytest.mark.judge
pytest.importorskip("transformers")

NUMBERS, QUESTIONS, MAX_TOKENS = 40, 500, 16
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def lm_eval() -> str:
    folder = os.environ.get("STILLROOM_JUDGES")
    if not folder:
        pytest.skip("STILLROOM_JUDGES names no folder with the judges' environments")
    program = Path(folder) / "lmeval" / "bin" / "lm_eval"
    if not program.exists():
        pytest.skip(f"no lm-eval there: {program}")
    return str(program.absolute())


def question(rng: random.Random) -> tuple[str, str, str]:
    """Prompt, what is to be written, and its answer: swap two numbers, aloud or at once."""
    a, b = rng.randrange(NUMBERS), rng.randrange(NUMBERS)
    answer = f"[{b}, {a}]"
    if rng.random() < 0.5:
        return f"<|user|>{a} {b}<|assistant|>", f"<think>{a} {b}</think>\n{answer}", answer
    return f"<|user|>{a} {b}?<|assistant|>", answer, answer


def written(model: Any, tokenizer: Any, prompts: list[str]) -> list[str]:
    """What the model writes by its likeliest token, prompt after prompt, without any padding."""
    texts = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
        found = model.generate(ids, max_new_tokens=MAX_TOKENS, do_sample=False)[0, ids.shape[1] :]
        texts.append(tokenizer.decode(found).split(tokenizer.eos_token)[0])
    return texts


def final(text: str) -> str:
    return text.rpartition("</think>")[2].strip()


def half_trained() -> tuple[Any, Any]:
    """A model that has learnt some of the task: trained until it gets a good third right."""
    import torch
    from transformers import AddedToken

    tokenizer = word_tokenizer([*map(str, range(NUMBERS)), *" ?[],\n"])
    special = [AddedToken(mark, special=True) for mark in ("<|user|>", "<|assistant|>")]
    thought = [AddedToken(mark, special=False) for mark in ("<think>", "</think>")]
    tokenizer.add_tokens([*special, *thought])
    model = small_llama(len(tokenizer), spread=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    rng = random.Random(0)
    trial = [question(random.Random(f"trial {n}")) for n in range(60)]
    for number in range(400):
        texts = ["".join(question(rng)[:2]) + tokenizer.eos_token for _ in range(32)]
        step(model, tokenizer, optimizer, texts)
        if number > 30 and number % 3 == 0:
            model.eval()
            answers = map(final, written(model, tokenizer, [prompt for prompt, _, _ in trial]))
            right = sum(a == b for a, (_, _, b) in zip(answers, trial, strict=True))
            model.train()
            if right >= 24:
                break
    return model.eval(), tokenizer


def test_lm_eval_scores_a_student_as_we_do(lm_eval: str, tmp_path: Path) -> None:
    model, tokenizer = half_trained()
    made, folder = tmp_path / "made", tmp_path / "moved"
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    rng = random.Random("held out")
    asked = [question(rng) for _ in range(QUESTIONS)]
    rows = [(f"q{n}", prompt, answer, "swap") for n, (prompt, _, answer) in enumerate(asked)]
    export_task(made, "swap", rows, max_tokens=MAX_TOKENS)
    made.rename(folder)

    texts = written(model, tokenizer, [prompt for prompt, _, _ in asked])
    ours = [final(text) == answer for text, (_, _, answer) in zip(texts, asked, strict=True)]
    assert 0.2 < sum(ours) / QUESTIONS < 0.95
    assert any("</think>" in text for text in texts)
    assert any("</think>" not in text for text in texts)

    line = [*command(["swap"], lm_eval), "--device", "cpu", "--log_samples", "--output_path", "out"]
    environment = {**os.environ, **OFFLINE, "HF_HOME": str(tmp_path / "cache")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(next((folder / "out").rglob("results_*.json")).read_text())
    theirs = results["results"]["swap"]["exact_match,answer"]
    assert abs(theirs - sum(ours) / QUESTIONS) <= 0.005

    samples = next((folder / "out").rglob("samples_swap_*.jsonl")).read_text().splitlines()
    judged = {one["doc"]["id"]: one for one in map(json.loads, samples)}
    assert len(judged) == QUESTIONS
    apart = 0
    for (name, prompt, answer, group), text in zip(rows, texts, strict=True):
        one = judged[name]
        assert one["arguments"]["gen_args_0"]["arg_0"] == prompt
        assert (one["target"], one["doc"]["group"]) == (answer, group)
        apart += one["filtered_resps"] != [final(text)]
    assert apart <= 0.005 * QUESTIONS
