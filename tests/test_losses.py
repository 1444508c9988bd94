"""Distillation losses against numpy in float64, and what they refuse."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stillroom.errors import UserError  # noqa: E402
from stillroom.students.losses import (  # noqa: E402
    KINDS,
    Dense,
    Kind,
    Sampled,
    Top,
    cross_entropy,
    divergence,
)
from stillroom.students.support import sample_support, top_support  # noqa: E402

torch.set_num_threads(1)
TEMPERATURES = (0.5, 1.0, 4.0)


def logits(seed: int, positions: int = 12, width: int = 40, scale: float = 3.0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(positions, width, generator=generator, dtype=torch.float64) * scale


def probabilities(values: Any) -> Any:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def distance(p: Any, q: Any, kind: str, beta: float = 0.5) -> float:
    """Sum over rows of the divergence between teacher p and student q, from the definitions."""

    def kl(a: Any, b: Any) -> float:
        some = a > 0
        return float(np.sum(a[some] * np.log(a[some] / b[some])))

    mixture = beta * p + (1 - beta) * q
    return {
        "forward": lambda: kl(p, q),
        "reverse": lambda: kl(q, p),
        "jsd": lambda: beta * kl(p, mixture) + (1 - beta) * kl(q, mixture),
    }[kind]()


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "scale"), [(40, 3.0), (3000, 1.0), (40, 20.0)])
def test_full_logits_agree_with_the_reference(
    kind: Kind, temperature: float, width: int, scale: float
) -> None:
    student, teacher = logits(1, width=width, scale=scale), logits(2, width=width, scale=scale)
    student, teacher = student.float(), teacher.float()
    for beta in (0.5, 0.1):
        p, q = (probabilities(x.double().numpy() / temperature) for x in (teacher, student))
        expected = temperature**2 * distance(p, q, kind, beta) / len(student)
        got = float(divergence(student, Dense(teacher), kind, temperature, beta)) / len(student)
        assert got == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_large_vocabularies_lose_nothing_in_float32(kind: Kind) -> None:
    student, teacher = (logits(n, 4, 128_000, 4.0).float() for n in (1, 2))
    p, q = (probabilities(x.double().numpy()) for x in (teacher, student))
    got = float(divergence(student, Dense(teacher), kind))
    assert got == pytest.approx(distance(p, q, kind), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_low_precision_is_computed_in_float32(kind: Kind) -> None:
    student, teacher = (logits(n).bfloat16() for n in (1, 2))
    p, q = (probabilities(x.double().numpy()) for x in (teacher, student))
    student.requires_grad_()
    loss = divergence(student, Dense(teacher), kind)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(distance(p, q, kind), rel=1e-6)
    loss.backward()
    assert student.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_from_a_teacher_who_is_the_student(kind: Kind, temperature: float) -> None:
    student = logits(3, width=500).float().requires_grad_()
    loss = divergence(student, Dense(student.detach().clone()), kind, temperature)
    loss.backward()
    assert abs(loss.item()) <= 1e-6
    assert float(student.grad.norm()) <= 1e-7
    # Nor from what a top-k teacher with a tail tells.
    again = student.detach().clone().requires_grad_()
    if temperature == 1:
        top = Top(*top_support(*again.detach().log_softmax(-1).topk(20)[::-1]))
        divergence(again, top, kind).backward()
        assert float(again.grad.norm()) <= 1e-5


def teachers() -> dict[str, Any]:
    full = logits(5, 6, 9, 1.0)
    logp, ids = full.log_softmax(-1).topk(4)
    padded = logp.clone()
    padded[2, 3] = padded[4, 1:] = -torch.inf
    ids[4, 1:] = 0
    tail = (1 - padded.exp().sum(-1)).log()
    counts = torch.tensor([[1, 2, 0, 3], [4, 1, 1, 0], [6, 0, 0, 0]] * 2)
    return {
        "dense": Dense(full),
        "sampled": Sampled(ids, counts),
        "top": Top(ids, padded, tail),
        "top alone": Top(ids, padded),
    }


@pytest.mark.parametrize(
    ("name", "kind", "temperature"),
    [("dense", kind, t) for kind in KINDS for t in TEMPERATURES]
    + [("top", kind, 1.0) for kind in KINDS]
    + [("sampled", "forward", 1.0), ("top alone", "forward", 1.0)],
)
def test_gradients_are_those_of_finite_differences(
    name: str, kind: Kind, temperature: float
) -> None:
    student, teacher = logits(4, 6, 9, 1.0).requires_grad_(), teachers()[name]

    def loss(values: Any) -> Any:
        return divergence(values, teacher, kind, temperature, beta=0.3, chunk=4)

    assert torch.autograd.gradcheck(loss, (student,))


@pytest.mark.parametrize("kind", KINDS)
def test_top_k_is_compared_over_its_buckets(kind: Kind) -> None:
    student, teacher = logits(4, 6, 9, 1.0), teachers()["top"]
    q, p, ids = probabilities(student.numpy()), teacher.logp.exp().numpy(), teacher.ids.numpy()
    total = 0.0
    for row in range(len(q)):
        named = p[row] > 0
        ours = q[row][ids[row][named]]
        theirs = p[row][named]
        total += distance(
            np.append(theirs, 1 - theirs.sum()), np.append(ours, 1 - ours.sum()), kind
        )
    assert float(divergence(student, teacher, kind)) == pytest.approx(total, rel=1e-9)


def test_a_top_k_of_the_whole_vocabulary_is_the_full_teacher() -> None:
    student, teacher = logits(1), logits(2)
    logp, ids = teacher.log_softmax(-1).topk(40)
    for kind in ("forward", "jsd", "reverse"):
        got = float(divergence(student, Top(*top_support(ids, logp)), kind))
        assert got == pytest.approx(float(divergence(student, Dense(teacher), kind)), rel=1e-6)


def test_samples_give_cross_entropy_without_bias() -> None:
    teacher, student = logits(6, 1, 50, 2.0), logits(7, 1, 50, 1.0).requires_grad_()
    divergence(student, Dense(teacher)).backward()
    full = student.grad.clone()
    visits = 20_000
    ids, counts = sample_support(teacher.expand(visits, -1), 12, torch.Generator().manual_seed(0))
    student.grad = None
    loss = divergence(student.expand(visits, -1), Sampled(ids, counts)) / visits
    loss.backward()
    p, q = probabilities(teacher.numpy()), probabilities(student.detach().numpy())
    assert loss.item() == pytest.approx(float(-(p * np.log(q)).sum()), abs=0.02)
    assert float((student.grad - full).norm()) < 0.005 * float(full.norm()) + 0.003


def test_labels() -> None:
    student, labels = logits(1).requires_grad_(), torch.arange(12) * 3
    loss = cross_entropy(student, labels)
    q = probabilities(student.detach().numpy())
    assert loss.item() == pytest.approx(-np.log(q[np.arange(12), labels.numpy()]).sum())
    loss.backward()
    one = np.eye(40)[labels.numpy()]
    np.testing.assert_allclose(student.grad.numpy(), q - one, atol=1e-12)


@pytest.mark.parametrize("name", ["dense", "sampled", "top"])
def test_padding_and_the_split_of_a_step_change_nothing(name: str) -> None:
    """One step of 6 tokens: at once, in 3 uneven parts, and cut out of padded sequences."""
    teacher, whole = teachers()[name], logits(4, 6, 9, 1.0).float()

    def rows(part: slice) -> Any:
        return type(teacher)(*(value[part] for value in vars(teacher).values()))

    def gradient(parts: list[slice], chunk: int) -> tuple[float, Any]:
        student, total = whole.clone().requires_grad_(), 0.0
        for part in parts:
            loss = divergence(student[part], rows(part), chunk=chunk) / 6
            loss.backward()
            total += loss.item()
        return total, student.grad

    loss, full = gradient([slice(0, 6)], 1024)
    for parts in ([slice(0, 1), slice(1, 4), slice(4, 6)], [slice(0, 5), slice(5, 6)]):
        split_loss, split = gradient(parts, 2)
        assert split_loss == pytest.approx(loss, abs=1e-6)
        assert torch.allclose(split, full, atol=1e-7)
    for width in (3, 7):
        padded = torch.full((3, width, 9), 77.0)
        mask = torch.zeros(3, width, dtype=torch.bool)
        padded[:, :2], mask[:, :2] = whole.reshape(3, 2, 9), True
        padded.requires_grad_()
        again = divergence(padded[mask], teacher) / mask.sum()
        again.backward()
        assert again.item() == pytest.approx(loss, abs=1e-6)
        assert torch.allclose(padded.grad[mask], full, atol=1e-7)
        assert not padded.grad[~mask].any()


def test_no_positions_no_loss() -> None:
    student = torch.zeros(0, 9, requires_grad=True)
    loss = divergence(student, Dense(torch.zeros(0, 9)))
    loss.backward()
    assert loss.item() == 0


def test_infinite_logits_of_a_teacher_are_probabilities_of_0() -> None:
    student, teacher = logits(1), logits(2)
    teacher[:, :5] = -torch.inf
    p, q = (probabilities(x.numpy()) for x in (teacher, student))
    for kind in ("forward", "jsd"):
        student.requires_grad_().grad = None
        loss = divergence(student, Dense(teacher), kind)
        loss.backward()
        assert loss.item() == pytest.approx(distance(p, q, kind))
        assert student.grad.isfinite().all()


ALONE = Top(torch.zeros(6, 1, dtype=torch.int64), torch.full((6, 1), -0.5))
EMPTY = Sampled(torch.zeros(6, 2, dtype=torch.int64), torch.zeros(6, 2))


@pytest.mark.parametrize(
    ("teacher", "settings", "words"),
    [
        ("sampled", {"kind": "reverse"}, "reverse divergence from samples"),
        ("sampled", {"kind": "jsd"}, "jsd divergence from samples"),
        ("top alone", {"kind": "reverse"}, "reverse divergence from top-k without a tail"),
        ("top alone", {"kind": "jsd"}, "jsd divergence from top-k without a tail"),
        ("sampled", {"temperature": 2.0}, "a sparse teacher at temperature 2.0"),
        ("top", {"temperature": 0.5}, "a sparse teacher at temperature 0.5"),
        ("dense", {"temperature": 0.0}, "a temperature of 0.0"),
        ("dense", {"kind": "jsd", "beta": 1.0}, "beta is 1.0"),
        ("dense", {"kind": "backward"}, "no divergence is called 'backward'"),
        (Dense(torch.zeros(6, 8)), {}, "9 wide, the teacher's 8"),
        (Dense(torch.zeros(5, 9)), {}, "6 positions, but the teacher's at 5"),
        (Top(ALONE.ids[:5], ALONE.logp[:5]), {}, "6 positions, but the teacher's at 5"),
        (Sampled(ALONE.ids + 9, torch.ones(6, 1)), {}, "a token id outside .* of 9"),
        (EMPTY, {}, "a position without samples"),
        (Top(ALONE.ids, ALONE.logp - torch.inf), {}, "a position without the teacher's tokens"),
        (Top(*vars(ALONE).values()), {"kind": "reverse"}, "without a tail"),
        (Top(ALONE.ids, ALONE.logp, ALONE.logp[:, 0] - torch.inf), {"kind": "reverse"}, "a tail"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    teacher: Any, settings: dict[str, Any], words: str
) -> None:
    teacher = teachers()[teacher] if isinstance(teacher, str) else teacher
    with pytest.raises(UserError, match=words) as refused:
        divergence(logits(4, 6, 9, 1.0), teacher, **settings)
    assert refused.value.do


def test_masked_labels_are_refused() -> None:
    with pytest.raises(UserError, match="outside the student's vocabulary"):
        cross_entropy(logits(1), torch.full((12,), -100))
