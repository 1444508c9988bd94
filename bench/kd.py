"""Figures of distillation from logits: losses against float64, samples against all, the store.

Parts and figures only; bench/distill.py runs them.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figures import Figure, apart

from stillroom.students.losses import KINDS, Dense, Sampled, Top, divergence
from stillroom.students.store import Answer, open_store, write
from stillroom.students.support import sample_support, top_support

TEMPERATURES = (0.5, 1.0, 4.0)
VOCABULARY = 128_000
PROMPT, ANSWER = 60, 200  # tokens
ANYONE = {"tokenizer": "none", "template": "none", "eos": 0, "vocabulary": VOCABULARY}


def loss_error() -> dict[str, float]:
    """Largest difference of a float32 loss to float64, in nats a token, relative above 1 nat."""
    torch.set_num_threads(1)
    worst, compared = 0.0, 0
    for width, positions in ((50, 256), (32_000, 16), (VOCABULARY, 8)):
        for scale in (0.3, 1.0, 4.0):
            student, teacher = (scale * _normal(seed, positions, width) for seed in (0, 1))
            for kind in KINDS:
                for temperature in TEMPERATURES:
                    got = float(divergence(student, Dense(teacher), kind, temperature))
                    true = _reference(student, teacher, kind, temperature)
                    worst = max(worst, abs(got - true) / max(positions, abs(true)))
                    compared += 1
    return {"worst": worst, "compared": compared}


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _reference(student: Any, teacher: Any, kind: str, temperature: float) -> float:
    s, t = (_log_softmax(x.double().numpy() / temperature) for x in (student, teacher))
    q, p = np.exp(s), np.exp(t)
    m = np.log((p + q) / 2)
    each = {
        "forward": lambda: p * (t - s),
        "reverse": lambda: q * (s - t),
        "jsd": lambda: (p * (t - m) + q * (s - m)) / 2,
    }[kind]()
    return float(each.sum() * temperature**2)


def _log_softmax(x: Any) -> Any:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def own_gradient() -> dict[str, float]:
    """Largest norm of a gradient from a teacher who is the student, over kinds, temperatures."""
    torch.set_num_threads(1)
    norms = []
    for kind in KINDS:
        for temperature in TEMPERATURES:
            student = (3 * _normal(2, 64, 32_000)).requires_grad_()
            divergence(student, Dense(student.detach().clone()), kind, temperature).backward()
            assert student.grad is not None
            norms.append(float(student.grad.norm()))
    return {"norm": max(norms), "compared": len(norms)}


def zipf(exponent: float, width: int) -> torch.Tensor:
    """Logits of a teacher whose token of rank r has probability in proportion to r^-exponent."""
    return -exponent * torch.arange(1, width + 1, dtype=torch.float64).log().float()


def sampled_gradient(visits: int, samples: int, width: int) -> dict[str, float]:
    """Cosine between the mean gradient from samples and the full one, for two students.

    The teacher is Zipf 1.3; the students are one that knows nothing, and one that is the teacher
    with noise of a nat on each logit, whose gradient is smaller and so harder to find. `renormed`
    is the cosine that the 12 likeliest tokens, renormalised, give the latter.
    """
    torch.set_num_threads(1)
    teacher = zipf(1.3, width)[None]
    generator = torch.Generator().manual_seed(0)
    students = {"fresh": 0.02 * _normal(3, 1, width), "near": teacher + _normal(4, 1, width)}
    means = {name: torch.zeros(1, width) for name in students}
    for start in range(0, visits, 250):
        count = min(250, visits - start)
        drawn = Sampled(*sample_support(teacher.expand(count, -1), samples, generator))
        for name, student in students.items():
            means[name] += _gradient(student, drawn, count)
    full = {name: _gradient(student, Dense(teacher), 1) for name, student in students.items()}
    top, ids = teacher.log_softmax(-1).topk(samples)
    renormed = _gradient(students["near"], Top(ids, top), 1)
    cosine = torch.nn.functional.cosine_similarity
    out = {name: float(cosine(means[name], full[name])) for name in students}
    return {**out, "renormed": float(cosine(renormed, full["near"]))}


def _gradient(student: torch.Tensor, teacher: Any, count: int) -> torch.Tensor:
    one = student.clone().requires_grad_()
    divergence(one.expand(count, -1), teacher).backward()
    assert one.grad is not None
    return one.grad


def tail_mass(visits: int, samples: int, width: int, rank: int) -> dict[str, float]:
    """Relative error of the mass beyond a rank, as the kept samples of all visits give it."""
    torch.set_num_threads(1)
    teacher, generator = zipf(1.3, width)[None], torch.Generator().manual_seed(1)
    beyond = 0
    for start in range(0, visits, 250):
        count = min(250, visits - start)
        ids, counts = sample_support(teacher.expand(count, -1), samples, generator)
        beyond += int(counts[ids >= rank].sum())
    p = teacher[0].double().softmax(-1)
    true = float(p[rank:].sum())
    top = torch.zeros_like(p)
    top[:rank] = p[:rank] / p[:rank].sum()
    return {
        "error": abs(beyond / (visits * samples) / true - 1),
        "renormed": abs(float(top[rank:].sum()) / true - 1),
        "true": true,
    }


def store(answers: int, kind: str, hard: bool) -> dict[str, float]:
    """Bytes an answer token, all columns, prompts and footer included; tokens a CPU-second.

    Positions are a mixture: half are sure (0.9 to 1 on one token), a quarter Zipf 1.3, a quarter
    Zipf 1.0; `hard`: all are Zipf 1.0. Which token has which rank is drawn anew at every position,
    so that nothing of one position helps to code the next.
    """
    torch.set_num_threads(1)
    rows, tokens = list(_answers(answers, kind, hard)), answers * ANSWER
    size = {"samples": 12} if kind == "sampled" else {"k": 20}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teacher.parquet"
        write(path, rows[:2], {**ANYONE, **size, "kind": kind, "teacher": "warm"})
        began = time.process_time()
        write(path, rows, {**ANYONE, **size, "kind": kind, "teacher": "bench"})
        writing = time.process_time() - began
        began = time.process_time()
        order = np.random.default_rng(0).permutation(answers)
        with open_store(path) as opened:
            for start in range(0, answers, 16):
                opened.batch([rows[n].id for n in order[start : start + 16]])
        reading = time.process_time() - began
        return {
            "bytes": path.stat().st_size / tokens,
            "tokens": tokens,
            "distinct": float(np.mean([np.mean(_sizes(one)) for one in rows])),
            "written": tokens / writing,
            "read": tokens / reading,
        }


def drawing(positions: int) -> dict[str, float]:
    """Positions a CPU-second that 12 samples are drawn for, and that multinomial draws them for."""
    torch.set_num_threads(1)
    logits, generator = 3 * _normal(5, positions, VOCABULARY), torch.Generator().manual_seed(0)
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: sample_support(logits, 12, generator),
        "multinomial": lambda: torch.multinomial(logits.softmax(-1), 12, True, generator=generator),
    }
    # The least of some: on a shared machine others can only add to it.
    return {name: positions / min(_cpu(way) for _ in range(5)) for name, way in ways.items()}


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _sizes(answer: Answer) -> Any:
    support = answer.support
    given = support.counts > 0 if isinstance(support, Sampled) else support.logp > -torch.inf
    return given.sum(-1).numpy()


def _answers(count: int, kind: str, hard: bool) -> Iterator[Answer]:
    draws, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    common = zipf(1.0, VOCABULARY).softmax(-1).double().numpy()
    words = np.cumsum(common / common.sum())
    for n in range(count):
        logits = _logits(ANSWER, draws, hard)
        # A bijection of the vocabulary for each position: the factor is prime to 128,000.
        factor = draws.integers(VOCABULARY // 10, size=(ANSWER, 1)) * 10 + draws.choice(
            [1, 3, 7, 9]
        )
        shift = draws.integers(VOCABULARY, size=(ANSWER, 1))
        support: Sampled | Top
        if kind == "sampled":
            ranks, counts = sample_support(logits, 12, generator)
            support = Sampled(
                (ranks * torch.tensor(factor) + torch.tensor(shift)) % VOCABULARY, counts
            )
        else:
            logp, ranks = logits.log_softmax(-1).topk(20)
            ids = (ranks * torch.tensor(factor) + torch.tensor(shift)) % VOCABULARY
            support = Top(*top_support(ids, logp))
        ids = np.minimum(np.searchsorted(words, draws.random(PROMPT + ANSWER)), VOCABULARY - 1)
        yield Answer(f"question-{n:06d}/0", ids.astype(np.uint32), PROMPT, support)


def _logits(positions: int, draws: np.random.Generator, hard: bool) -> torch.Tensor:
    """Logits by rank; exponents vary by a tenth from position to position."""
    exponents = np.where(draws.random(positions) < 0.5, 1.0, 1.3)
    if hard:
        exponents = np.ones(positions)
    exponents *= draws.uniform(0.9, 1.1, positions)
    logits = torch.tensor(exponents, dtype=torch.float32)[:, None] * zipf(1.0, VOCABULARY)
    if not hard:
        sure = torch.tensor(draws.random(positions) < 0.5)
        chance = torch.tensor(draws.uniform(0.9, 1.0, positions), dtype=torch.float32)
        rest = logits[:, 1:].logsumexp(-1)
        logits[sure, 0] = (rest + (chance / (1 - chance)).log())[sure]
    return logits


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "loss_error": loss_error,
    "own_gradient": own_gradient,
    "sampled_gradient": sampled_gradient,
    "tail_mass": tail_mass,
    "store": store,
    "drawing": drawing,
}


def measure(script: str, quick: bool) -> list[Figure]:
    """All figures; `script` is the bench whose command line knows PARTS."""
    error, own = apart(script, "loss_error"), apart(script, "own_gradient")
    visits, width, rank = 2000, 32_000, 128
    cosine = apart(script, "sampled_gradient", visits, 12, width)
    many = 4000 if quick else 60_000
    tail = apart(script, "tail_mass", many, 12, width, rank)
    count = 20 if quick else 160
    mixed, hard, top = (
        apart(script, "store", count, kind, hard)
        for kind, hard in (("sampled", False), ("sampled", True), ("top", False))
    )
    n, drawn_of = mixed["tokens"], 256
    drawn = apart(script, "drawing", drawn_of)
    return [
        Figure(
            "loss: largest difference to float64",
            error["worst"], "nats/token", "<= 1e-6", error["compared"],
        ),
        Figure(
            "teacher is the student: largest gradient", own["norm"], "", "<= 1e-7", own["compared"]
        ),
        Figure(
            "12 samples: mean gradient against full",
            min(cosine["fresh"], cosine["near"]), "cosine", ">= 0.99", visits, cosine["renormed"],
        ),
        Figure(
            f"12 samples: error of the mass beyond rank {rank}",
            100 * tail["error"], "%", "<= 1", many, 100 * tail["renormed"],
        ),
        Figure("store, 12 samples", mixed["bytes"], "bytes/token", "<= 40", n),
        Figure("store, 12 samples, flat teacher", hard["bytes"], "bytes/token", "<= 40", n),
        Figure("store, top 20", top["bytes"], "bytes/token", "<= 130", n),
        Figure("store: written", mixed["written"], "tokens/CPU-s", ">= 50000", n),
        Figure("store: written, top 20", top["written"], "tokens/CPU-s", ">= 50000", n),
        Figure("store: read in batches at random", mixed["read"], "tokens/CPU-s", "", n),
        Figure(
            f"12 samples of {VOCABULARY} logits",
            drawn["ours"], "tokens/CPU-s", "", drawn_of, drawn["multinomial"],
        ),
    ]  # fmt: skip
