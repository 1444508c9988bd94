"""Students: tokenizers, chats, batches, training that resumes to the bit, generation, folders."""

import functools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import end_of, fork
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from stillroom.errors import Stopped, UserError
from stillroom.students import chat
from stillroom.students.batches import Examples, collate, pack, packed, passes
from stillroom.students.chat import Example
from stillroom.students.forward import learnt_logits, token_loss
from stillroom.students.shapes import PRESETS, is_folder, shape_of
from stillroom.students.student import Student
from stillroom.students.training import Course, Training, fit, update
from stillroom.students.vocabulary import train_tokenizer

torch.set_num_threads(1)
BYTES = train_tokenizer()
TEXTS = ["The answer is 1234 and 1234.", "so the answer of 1234 * 5678 is the answer"] * 20
BPE = train_tokenizer(TEXTS, 275)
FAST = Training(learning_rate=3e-3, batch=4)


def changed(**changes: Any) -> Training:
    return FAST.model_copy(update=changes)


def gpt2(dropout: float = 0.0) -> Any:
    torch.manual_seed(1)
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 96}
    drops = {"resid_pdrop": dropout, "embd_pdrop": dropout, "attn_pdrop": dropout}
    ids = {"vocab_size": len(BYTES), "eos_token_id": BYTES.eos_token_id, "bos_token_id": None}
    return GPT2LMHeadModel(GPT2Config(**shape, **drops, **ids)).eval()


def qwen2() -> Any:
    torch.manual_seed(2)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 96}
    # Embeddings are often longer than the vocabulary.
    ids = {"vocab_size": 320, "eos_token_id": BYTES.eos_token_id, "bos_token_id": None}
    return Qwen2ForCausalLM(Qwen2Config(**shape, **heads, **ids)).eval()


def llama() -> Any:
    return Student.new("2x64", BYTES, context=96).model


MODELS: dict[str, Callable[[], Any]] = {"llama": llama, "gpt2": gpt2, "qwen2": qwen2}


def logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(torch.tensor([list(ids)])).logits
    return found


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def counting(many: int = 40) -> list[Example]:
    """ "ab3" -> "xxx": answers, and questions, of different lengths."""
    chats = [
        [
            {"role": "user", "content": f"{'abcdef'[: n // 5 % 6]}{n % 5 + 1}"},
            {"role": "assistant", "content": "x" * (n % 5 + 1)},
        ]
        for n in range(many)
    ]
    return chat.encode(BYTES, chats, 96)


# Models and folders.


def test_a_saved_student_is_a_plain_transformers_folder(tmp_path: Path) -> None:
    student = Student.new("2x64", "bytes", context=64, seed=3)
    student.save(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    ids = tokenizer("What is 17 + 4?")["input_ids"]
    assert torch.equal(logits(model, ids), logits(student.model, ids))
    asked = [{"role": "user", "content": "What?"}]
    assert tokenizer.apply_chat_template(
        asked, tokenize=False, add_generation_prompt=True
    ) == chat.prompt(student.tokenizer, asked)
    assert same(weights(Student.load(tmp_path / "model").model), weights(student.model))
    for text in ("a  b, 12\n", " <think>é</think>don't<|end|>"):
        assert tokenizer(text)["input_ids"] == student.tokenizer(text)["input_ids"]


@pytest.mark.parametrize("name", ["gpt2", "qwen2"])
def test_other_models_are_loaded_and_saved_back(name: str, tmp_path: Path) -> None:
    model, ids = MODELS[name](), BYTES("What is 17 + 4?")["input_ids"]
    model.save_pretrained(tmp_path / "given")
    BYTES.save_pretrained(tmp_path / "given")
    student = Student.load(tmp_path / "given")
    assert torch.equal(logits(student.model, ids), logits(model, ids))
    assert student.context == 96
    before = weights(student.model)
    student.train_step("What?", "that")
    assert not same(before, weights(student.model))
    student.save(tmp_path / "back")
    back = AutoModelForCausalLM.from_pretrained(tmp_path / "back")
    assert torch.equal(logits(back, ids), logits(student.model, ids))


def test_save_replaces_a_model_and_nothing_else(tmp_path: Path) -> None:
    student = Student.new("1x32", "bytes")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="something else"):
        student.save(tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").exists()
    student.save(tmp_path / "model")
    (tmp_path / "model" / "left-over.safetensors").touch()
    student.save(tmp_path / "model")
    assert not (tmp_path / "model" / "left-over.safetensors").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"home", "model"}


def test_a_folder_without_a_whole_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model is there"):
        Student.load(tmp_path)
    model = tmp_path / "model"
    Student.new("2x32", "bytes").save(model)
    kept = load_file(model / "model.safetensors")
    save_file(
        {k: v for k, v in kept.items() if "layers.1" not in k},
        model / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(UserError, match=r"no weights for .*layers\.1"):
        Student.load(model)
    (model / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="can't be loaded"):
        Student.load(model)
    Student.new("1x32", "bytes").save(tmp_path / "other")
    BPE.save_pretrained(tmp_path / "other")
    with pytest.raises(UserError, match="has 275 tokens, the model knows 263"):
        Student.load(tmp_path / "other")


def test_sizes_and_first_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"tiny": 0.25e6, "small": 4e6, "base": 30e6}
    for name, count in wanted.items():
        assert Student.new(name).parameters == pytest.approx(count, rel=0.05)
    for size, width in (("tiny", 96), ("3x128", 128)):
        assert shape_of(size).width == width
        matrices = [p for p in Student.new(size).model.parameters() if p.dim() > 1]
        for matrix in matrices:
            assert float(matrix.detach().std()) == pytest.approx(0.8 / width**0.5, rel=0.04)
            assert abs(float(matrix.detach().mean())) < 0.01
    torch.manual_seed(9)
    before = torch.get_rng_state()
    one, same_seed = (weights(Student.new("1x32", seed=4).model) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state()), "the caller's own chance is left alone"
    assert same(one, same_seed)
    assert not same(one, weights(Student.new("1x32", seed=5).model))
    for wrong in ("huge", "2x63", "0x64", "2x", "x64"):
        with pytest.raises(UserError, match="no student is called"):
            shape_of(wrong)
    monkeypatch.chdir(tmp_path)
    for name in (*PRESETS, "2x64", "mine"):
        (tmp_path / name).mkdir()
        assert is_folder(name) == (name == "mine"), "a size is one, whatever lies around"


def test_adapters_learn_alone_and_are_saved_merged(tmp_path: Path) -> None:
    qwen2().save_pretrained(tmp_path / "base")
    BYTES.save_pretrained(tmp_path / "base")
    student = Student.load(tmp_path / "base", lora=4)
    before = weights(student.model)
    for _ in range(5):
        student.train_step("What?", "that")
    learnt = {k for k, v in weights(student.model).items() if not torch.equal(v, before[k])}
    assert learnt
    assert all("lora_" in name for name in learnt)
    student.save(tmp_path / "merged")
    ids = BYTES("What?")["input_ids"]
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    torch.testing.assert_close(logits(merged, ids), logits(student.model, ids), atol=1e-5, rtol=0)
    assert (logits(merged, ids) - logits(plain, ids)).abs().max() > 1e-3
    assert {k for k, _ in student.model.named_parameters()} == before.keys(), "saving leaves it"


# Tokenizers and chats.


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back(text: str) -> None:
    for tokenizer in (BYTES, BPE):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_digits_stand_alone_and_words_do_not() -> None:
    assert len(BPE) == 275
    for number in ("1234", " 5678", "1234 * 5678"):
        ids = BPE(number)["input_ids"]
        assert len(ids) == len(number)
    assert len(BPE("the answer")["input_ids"]) <= 4
    assert BYTES.pad_token_id != BYTES.eos_token_id
    marked = BPE("<think>1</think>2<|end|>")["input_ids"]
    assert len(marked) == 5
    assert BPE.decode(marked, skip_special_tokens=False) == "<think>1</think>2<|end|>"


ASKED = [{"role": "system", "content": "be short"}, {"role": "user", "content": "2 + 3?"}]
THOUGHT = {"role": "assistant", "content": "5", "reasoning_content": "two, three"}
DEAF = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}"
    "{% if m.role == 'assistant' %}<|end|>{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
FORGETFUL = (
    "{% for m in messages %}{% if m.role != 'assistant' %}{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}go{% else %}went{{ messages[-1].content }}{% endif %}"
)


def templated(template: str | None) -> Any:
    tokenizer = train_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("template", ["own", DEAF, None])
@pytest.mark.parametrize("said", [THOUGHT, {"role": "assistant", "content": "5"}])
def test_an_answer_and_its_end_are_learnt_and_no_prompt(
    template: str | None, said: dict[str, str]
) -> None:
    tokenizer = BYTES if template == "own" else templated(template)
    (example,) = chat.encode(tokenizer, [[*ASKED, said]], 96)
    (shown,) = chat.encode_prompts(tokenizer, [chat.prompt(tokenizer, ASKED)])
    assert example.ids[: example.start] == shown
    assert "5" not in tokenizer.decode(shown)
    answer = "<think>two, three</think>5" if "reasoning_content" in said else "5"
    # DEAF knows no reasoning; it is learnt all the same. What follows EOS is not.
    assert tokenizer.decode(example.ids[example.start :]) == f"{answer}<|end|>"
    batch = collate(Examples([example, Example([1, 2, 3], 2)]), [1, 0], 0)
    assert batch.labels.tolist() == [3, *example.ids[example.start :]]
    # Each label is the token after its place.
    assert batch.ids.flatten()[batch.flat + 1].tolist() == batch.labels.tolist()
    assert int(batch.flat[1]) == len(example.ids) + example.start - 1


def test_chats_that_can_not_be_learnt_are_refused() -> None:
    with pytest.raises(UserError, match=r"writes a prompt differently.*'go' becomes 'went"):
        chat.encode(templated(FORGETFUL), [[*ASKED, THOUGHT]], 96)
    with pytest.raises(
        UserError, match=r"takes 31 tokens, the student's context holds 20: '2 \+ 3"
    ):
        chat.encode(BYTES, [[*ASKED, THOUGHT], [*ASKED, THOUGHT]], 20)
    with pytest.raises(UserError, match="nothing stands before"):
        chat.encode(templated(None), [[THOUGHT]], 96)


# Batches and the loss.


def test_every_example_once_a_pass_in_an_order_of_the_seed() -> None:
    lengths = Examples(counting(101)).lengths
    for number in range(3):
        rows = passes(lengths, 8, 0, number)
        assert sorted(row for batch in rows for row in batch) == list(range(101))
        assert max(map(len, rows)) == 8
        assert rows == passes(lengths, 8, 0, number)
        fitted = packed(lengths, 4, 40, 0, number)
        assert sorted(one for b in fitted for row in b for one in row) == list(range(101))
        assert max(sum(lengths[row]) for b in fitted for row in b) <= 40
        assert fitted == packed(lengths, 4, 40, 0, number)
    assert passes(lengths, 8, 0, 0) != passes(lengths, 8, 0, 1)
    assert passes(lengths, 8, 0, 0) != passes(lengths, 8, 1, 0)
    assert packed(lengths, 4, 40, 0, 0) != packed(lengths, 4, 40, 1, 0)


@pytest.mark.parametrize("name", MODELS)
def test_neither_padding_nor_packing_changes_a_loss(name: str) -> None:
    examples, model = counting(9), MODELS[name]()
    data, alone, theirs = Examples(examples), [], 0.0
    with torch.inference_mode():
        for row, example in enumerate(examples):
            alone.append(learnt_logits(model, collate(data, [row], 0), model.device))
            labels = torch.tensor([[-100] * example.start + example.ids[example.start :]])
            theirs += len(alone[-1]) * float(model(torch.tensor([example.ids]), labels=labels).loss)
        together = collate(data, range(9), 7)
        beside = pack(data, [[0, 1, 2, 3], [4, 5, 6], [7, 8]], 7)
        for batch in (together, beside):
            found = learnt_logits(model, batch, model.device)
            torch.testing.assert_close(found, torch.cat(alone), atol=1e-5, rtol=0)
            assert float(token_loss(found, batch)) == pytest.approx(theirs, rel=1e-5)
            assert [one for row in batch.rows for one in row] == list(range(9))


@pytest.mark.parametrize("layout", ["rows", "packed"])
@pytest.mark.parametrize("name", MODELS)
def test_accumulation_changes_no_gradient(name: str, layout: str) -> None:
    data, start = Examples(counting(7)), MODELS[name]()
    batch = collate(data, range(7), 0)
    if layout == "packed":
        batch = pack(data, [[0], [1, 2], [3], [4, 5, 6]], 0)
    begun, steps = weights(start), []
    seen: list[list[int]] = []
    for parts in (1, 2, 3, 9):
        model = MODELS[name]()
        model.load_state_dict(start.state_dict())
        # One step of plain descent at rate 1: what the weights lose is the gradient.
        plain = torch.optim.SGD(model.parameters(), lr=1.0)

        def loss(logits: Any, part: Any) -> Any:
            rows = [one for row in part.rows for one in row]
            seen.append(rows)
            assert (
                len(logits)
                == len(part.labels)
                == sum(data.lengths[row] - data.starts[row] for row in rows)
            )
            return token_loss(logits, part)

        how = changed(accumulate=parts, clip=1e9)
        value = update(model, plain, batch, how, loss)
        steps.append((value, {k: begun[k] - v for k, v in weights(model).items()}))
    assert sorted([*seen[1], *seen[2]]) == list(range(7))
    for value, gradient in steps[1:]:
        assert value == pytest.approx(steps[0][0], rel=1e-5)
        for key, wanted in steps[0][1].items():
            torch.testing.assert_close(gradient[key], wanted, atol=1e-5, rtol=0)


def test_tokens_are_what_was_asked_for_even_of_few_examples() -> None:
    examples = counting(5)
    for layout, tolerance in (("rows", 0.1), ("packed", 0.25)):
        how = changed(tokens=1200, layout=layout)
        course = fit(llama(), examples, how, seed=0, width=40)
        assert course.tokens == pytest.approx(1200, rel=tolerance)
    with pytest.raises(UserError, match="nothing to learn from"):
        fit(llama(), [], FAST, seed=0)


# Training that resumes.


def steps(many: int, examples: Sequence[Example], **changes: Any) -> Training:
    """A training of so many steps."""
    each = sum(len(one.ids) for one in examples) / -(-len(examples) // FAST.batch)
    return changed(tokens=round(many * each), **changes)


def trained(folder: Path | None, model: Any, many: int = 60, **options: Any) -> Course:
    examples = counting()
    how = steps(many, examples, **options.pop("how", {}))
    course = fit(model, examples, how, seed=1, folder=folder, every=0.0, **options)
    assert course.steps == many
    return course


@pytest.fixture(scope="module")
def straight() -> tuple[dict[str, torch.Tensor], Course]:
    model = llama()
    course = trained(None, model)
    assert course.curve[-1][2] < 0.5 * course.curve[0][2]
    return weights(model), course


def test_killed_at_any_moment_it_comes_to_the_same_weights(
    straight: tuple[dict[str, torch.Tensor], Course], tmp_path: Path
) -> None:
    final, chance = tmp_path / "final.safetensors", random.Random(time.time())
    folder, kills, code = tmp_path / "training", 0, -1
    folder.mkdir()

    def work(last: int, touched: int) -> None:
        def progress(step: int, of: int, loss: float) -> None:
            if step == last:
                os.kill(os.getpid(), signal.SIGKILL)

        def watch(event: str, _: object) -> None:
            nonlocal touched
            if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
                touched -= 1
                if touched == 0:  # in the middle of writing a checkpoint
                    os.kill(os.getpid(), signal.SIGKILL)

        model = llama()
        sys.addaudithook(watch)
        trained(folder, model, progress=progress)
        save_file(weights(model), final)

    for how in ("step", "file", "file", "time", "step", "file", "file", "time", "file", ""):
        begun = [path.name for path in folder.glob("checkpoint-*")]
        done = max((int(name[11:]) for name in begun), default=0)
        last = done + chance.randint(1, 7) if how == "step" else 0
        touched = chance.randint(1, 60) if how == "file" else -1
        child = fork(functools.partial(work, last, touched))
        if how == "time":
            time.sleep(chance.uniform(0.02, 0.15))
            os.kill(child, signal.SIGKILL)
        code = end_of(child)
        kills += code == -signal.SIGKILL
    assert code == 0
    assert kills >= 6
    assert same(load_file(final), straight[0])
    assert not list(folder.glob(".checkpoint*")), "what was half written is gone"
    again = llama()
    course = trained(folder, again)
    assert course.curve == straight[1].curve
    assert (course.tokens, course.learnt) == (straight[1].tokens, straight[1].learnt)


class Interrupted(Exception):
    pass


def interrupted(at: int) -> Callable[[int, int, float], None]:
    def progress(step: int, of: int, loss: float) -> None:
        if step == at:
            raise Interrupted

    return progress


@pytest.mark.parametrize("layout", ["rows", "packed"])
def test_dropout_too_is_the_same_after_a_pause(layout: Any, tmp_path: Path) -> None:
    how, examples = changed(tokens=900, layout=layout, accumulate=2), counting()
    results = []
    for at in (0, 3, 5):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        torch.manual_seed(at)  # the caller's chance decides nothing
        model = gpt2(dropout=0.2)
        if at:
            with pytest.raises(Interrupted):
                fit(model, examples, how, seed=2, width=48, folder=folder, every=0.0,
                    progress=interrupted(at))  # fmt: skip
            model = gpt2(dropout=0.2)
        torch.manual_seed(at)
        fit(model, examples, how, seed=2, width=48, folder=folder, every=0.0)
        results.append(weights(model))
    assert same(results[0], results[1])
    assert same(results[0], results[2])
    without = gpt2()
    fit(without, examples, how, seed=2, width=48)
    assert not same(results[0], weights(without)), "there was dropout"


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A folder with a checkpoint at step 9."""
    with pytest.raises(Interrupted):
        trained(tmp_path, llama(), progress=interrupted(10))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000009"]
    return tmp_path


def test_a_checkpoint_of_another_training_is_refused(begun: Path) -> None:
    examples = counting()
    how = steps(60, examples)
    others: dict[str, dict[str, Any]] = {
        "training": {"how": how.model_copy(update={"decay": 0.1}), "seed": 1},
        "seed": {"how": how, "seed": 2},
        "examples": {"how": how, "seed": 1, "examples": [*examples[1:], examples[0]]},
    }
    for name, other in others.items():
        shown = other.pop("examples", examples)
        with pytest.raises(UserError, match=f"another training: {name} "):
            fit(llama(), shown, folder=begun, **other)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-50] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink])
@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "course.json"])
def test_a_damaged_checkpoint_is_named(
    name: str, damage: Callable[[Path], object], begun: Path
) -> None:
    damage(begun / "checkpoint-00000009" / name)
    with pytest.raises(UserError) as told:
        trained(begun, llama())
    assert str(begun / "checkpoint-00000009") in told.value.where
    assert "damaged" in told.value.what or "not JSON" in told.value.what


def test_a_loss_that_is_no_number_stops_and_leaves_the_last_good_checkpoint(begun: Path) -> None:
    good = (begun / "checkpoint-00000009" / "weights.safetensors").read_bytes()

    def poisoned(logits: Any, batch: Any) -> Any:
        return token_loss(logits, batch) * float("nan")

    with pytest.raises(Stopped, match="loss is nan at step 10 of 60"):
        trained(begun, llama(), loss=poisoned)
    assert (begun / "checkpoint-00000009" / "weights.safetensors").read_bytes() == good
    trained(begun, llama())  # it goes on from there

    model = llama()
    with torch.no_grad():
        model.lm_head.weight[3, 3] = float("inf")
    with pytest.raises(Stopped, match="loss is nan at step 1 of 60"):
        trained(None, model)
    with pytest.raises(Stopped, match="lower the learning rate"):
        trained(None, llama(), how={"learning_rate": 1e30})


def test_a_gradient_that_is_no_number_is_never_stepped_along(tmp_path: Path) -> None:
    def steep(logits: Any, batch: Any) -> Any:
        return token_loss(logits, batch) + (0 * logits).abs().sqrt().sum()  # d sqrt(0) = inf

    model = llama()
    before = weights(model)
    with pytest.raises(Stopped, match="at step 1 of 60"):
        trained(tmp_path, model, loss=steep)
    assert same(before, weights(model))
    assert not list(tmp_path.iterdir())


def test_out_of_memory_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def allocate(logits: Any, batch: Any) -> Any:
        return torch.empty(1 << 55)

    with pytest.raises(UserError, match=r"out of memory with 4 rows of \d+ tokens"):
        trained(None, llama(), loss=allocate)

    def full(*_: object, **__: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    model = llama()
    monkeypatch.setattr(model.lm_head, "forward", full)
    with pytest.raises(UserError, match="out of memory") as told:
        trained(None, model)
    assert "accumulate" in told.value.do

    def ours(logits: Any, batch: Any) -> Any:
        raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        trained(None, llama(), loss=ours)


# Answers.


@pytest.fixture(scope="module")
def counter() -> Student:
    """A student that has half learnt to count, so that its answers end here and there."""
    student = Student.new("2x64", BYTES, context=96)
    trained(None, student.model, 80)
    return student


QUESTIONS = [f"{'abcdefgh'[:n]}{d}" for n in (0, 3, 8) for d in range(6)] + ["7" * 80]


def test_greedy_answers_are_those_of_transformers(counter: Student) -> None:
    prompts = [
        counter.tokenizer(chat.prompt(counter.tokenizer, [{"role": "user", "content": q}]))[
            "input_ids"
        ]
        for q in QUESTIONS
    ]
    said = counter.answer([[{"role": "user", "content": q}] for q in QUESTIONS], max_tokens=5)
    end = counter.tokenizer.eos_token_id
    lengths = set()
    for prompt, one in zip(prompts, said, strict=True):
        out = counter.model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=5, eos_token_id=end,
            pad_token_id=counter.pad, attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        )  # fmt: skip
        wanted = out[0, len(prompt) :].tolist()
        assert one.ids + [end] * one.ended == wanted
        lengths.add((len(one.ids), one.ended))
    assert len(lengths) > 2
    assert {ended for _, ended in lengths} == {True, False}


@pytest.mark.parametrize("temperature", [0.0, 1.3])
def test_the_probability_of_an_answer_is_that_of_its_tokens(
    counter: Student, temperature: float
) -> None:
    asked = [[{"role": "user", "content": q}] for q in QUESTIONS]
    for question, one in zip(
        asked, counter.answer(asked, temperature=temperature, max_tokens=6), strict=True
    ):
        prompt = counter.tokenizer(chat.prompt(counter.tokenizer, question))["input_ids"]
        ids = one.ids + [counter.tokenizer.eos_token_id] * one.ended
        scored = counter.score([*prompt, *ids])[len(prompt) - 1 :]
        assert one.logprob == pytest.approx(sum(scored), abs=1e-4)


def test_samples_are_decided_by_the_seed(counter: Student) -> None:
    def said(seed: int) -> list[str]:
        torch.manual_seed(time.time_ns() % 1000)
        asked = [[{"role": "user", "content": q}] for q in QUESTIONS]
        found = counter.answer(asked, temperature=1.5, seed=seed, max_tokens=8)
        return [counter.text(one) for one in found]

    assert said(1) == said(1)
    assert said(1) != said(2)
    long = counter.answer([[{"role": "user", "content": "7" * 95}]])
    assert (long[0].ids, long[0].ended) == ([], False), "no room for an answer"


def test_a_student_learns_step_by_step() -> None:
    student = Student.new("1x32", "bytes", context=64, rate=1e-2)
    losses = [student.train_step(input="What is 2 + 3?", target="5") for _ in range(40)]
    assert losses[-1] < 0.2 * losses[0]
    assert student.generate("What is 2 + 3?", max_tokens=4) == "5"
    assert not student.model.training
    with torch.no_grad():
        student.model.lm_head.weight[3, 3] = float("nan")
    with pytest.raises(Stopped, match="rate"):
        student.train_step("What is 2 + 3?", "5")


def test_import_brings_no_torch() -> None:
    modules = "stillroom, stillroom.students.settings, stillroom.stages.distill"
    code = f"import {modules}, sys; print('torch' in sys.modules, 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "False"], done.stderr
