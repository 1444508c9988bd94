"""The neural student: a Llama of 80,000 parameters on items of six tokens.

A base student is trained once on other slices: it knows the format and the rules, and nothing of
the slices that count. Every generation starts from it, never from the student before.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from stillroom.collapse.lab.rules import LENGTH, OTHERS, SYMBOLS, Rules
from stillroom.collapse.lab.students import Array
from stillroom.collapse.simulate import Decoding
from stillroom.students.batches import Examples, collate
from stillroom.students.chat import Example
from stillroom.students.forward import learnt_logits
from stillroom.students.generation import generate
from stillroom.students.shapes import Shape, new_model
from stillroom.students.training import Training, fit


class _Narrow(Shape):
    """Four heads of 12: with two of 24 the rules carry over to fewer questions."""

    @property
    def heads(self) -> int:
        return 4


SHAPE = _Narrow(2, 48, 128)
RATE = 4e-3
BATCH = 128
BASE_ITEMS = 20_000
BEGIN, EQUALS, END, DIGIT = 0, 1, 2, 3
SLICE = DIGIT + SYMBOLS  # the token of slice 0
ROWS = 512  # items that are scored at a time


class _Words:
    """As much of a tokenizer as a new model asks for."""

    pad_token_id = END
    eos_token_id = END

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


class Neural:
    """A student with its weights; `learn` makes it another one."""

    def __init__(self, data: Rules, model: Any) -> None:
        self._data, self._model = data, model

    def sample(self, count: int, how: Decoding, rng: np.random.Generator) -> list[str]:
        said = self._said([[BEGIN]] * count, LENGTH, how, rng)
        return [_item(ids, self._data.slices) for ids in said]

    def answer(self, questions: Sequence[str], rng: np.random.Generator | None) -> list[str]:
        prompts = [_ids(question) for question in questions]
        how = Decoding() if rng is not None else Decoding(temperature=0.0)
        said = self._said(prompts, 2, how, rng)
        return ["".join(map(_digit, ids)) for ids in said]

    def nats(self) -> Array:
        data = self._data
        slices = np.repeat(np.arange(data.slices), data.scored.shape[1])
        items = Examples(_examples(data.solved(slices, data.scored.ravel())))
        nats = []
        with torch.inference_mode():
            for begin in range(0, len(items), ROWS):
                batch = collate(items, range(begin, min(begin + ROWS, len(items))), END)
                logits = learnt_logits(self._model, batch, self._model.device).float()
                each = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none")
                nats.append(each.double().reshape(-1, LENGTH).sum(1).numpy())
        found: Array = np.concatenate(nats).reshape(data.scored.shape).mean(1)
        return found

    def _said(
        self,
        prompts: list[list[int]],
        most: int,
        how: Decoding,
        rng: np.random.Generator | None,
    ) -> list[list[int]]:
        torch.set_num_threads(1)
        seed = int(rng.integers(2**31)) if rng is not None else 0
        said = generate(
            self._model,
            prompts,
            end=END,
            most=most,
            temperature=how.temperature,
            top_p=how.top_p,
            seed=seed,
            batch=ROWS,
        )
        return [one.ids for one in said]


def first(data: Rules, steps: int, rng: np.random.Generator, file: Path) -> None:
    """Train a base student, and leave its weights in a file."""
    words = _Words(SLICE + data.slices + OTHERS)
    model = new_model(SHAPE, words, LENGTH + 1, int(rng.integers(2**31)))
    _train(model, data.base(BASE_ITEMS, rng), steps, int(rng.integers(2**31)))
    _save(model, file)


def learn(
    data: Rules, base: Path, corpus: Sequence[str], steps: int, rng: np.random.Generator
) -> Neural:
    """A student that goes on from the base for so many steps, however large the corpus is."""
    student = load(data, base)
    _train(student._model, corpus, steps, int(rng.integers(2**31)))
    return student


def load(data: Rules, file: Path) -> Neural:
    model = new_model(SHAPE, _Words(SLICE + data.slices + OTHERS), LENGTH + 1, 0)
    model.load_state_dict(load_file(file), strict=False)  # the head is the embedding
    model.tie_weights()
    return Neural(data, model.eval())


def save(student: Neural, file: Path) -> None:
    _save(student._model, file)


def _save(model: Any, file: Path) -> None:
    weights = {name: w for name, w in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, file)


def _train(model: Any, corpus: Sequence[str], steps: int, seed: int) -> None:
    examples = _examples(corpus)
    once = -(-len(examples) // BATCH)
    # Training counts tokens; so many of them are just these steps.
    tokens = max(1, round(steps * (LENGTH + 1) * len(examples) / once))
    how = Training(tokens=tokens, learning_rate=RATE, batch=BATCH, warmup=0.1)
    course = fit(model, examples, how, seed=seed)
    assert course.steps == steps


def _examples(items: Sequence[str]) -> list[Example]:
    return [Example(_ids(item), 1) for item in items]


def _ids(item: str) -> list[int]:
    """The tokens of an item, or of the question that it begins with."""
    symbols = [DIGIT + int(one) for one in (*item[4:6], *item[7:])]
    return [BEGIN, SLICE + int(item[:3]), *symbols[:2], EQUALS, *symbols[2:]]


def _digit(token: int) -> str:
    return str(token - DIGIT) if DIGIT <= token < SLICE else "?"


def _item(ids: list[int], slices: int) -> str:
    """The item that tokens are, or nothing where they are none (of these slices)."""
    if len(ids) != LENGTH or not SLICE <= ids[0] < SLICE + slices or ids[3] != EQUALS:
        return ""
    a, b, c, d = (_digit(ids[place]) for place in (1, 2, 4, 5))
    text = f"{ids[0] - SLICE:03d}:{a}{b}={c}{d}"
    return "" if "?" in text else text
