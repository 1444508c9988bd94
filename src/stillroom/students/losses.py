"""What a student is taught by: cross-entropy and divergences from a teacher, as sums over tokens.

Every loss is a sum over the given positions, so the caller divides by the number of unmasked tokens
of the whole step: padding, and the way a step is split to accumulate gradients, change nothing.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import torch
from torch import Tensor

from stillroom.errors import UserError

Kind = Literal["forward", "reverse", "jsd"]
KINDS = ("forward", "reverse", "jsd")


@dataclass(frozen=True)
class Dense:
    """The teacher's full logits, [N, V], over the same token ids as the student's."""

    logits: Tensor


@dataclass(frozen=True)
class Sampled:
    """Tokens drawn with replacement from the teacher's distribution at temperature 1.

    ids: [N, K] integers; counts: [N, K], how often each was drawn, 0 where a row is padded.
    The empirical distribution is unbiased ("Sparse Logit Sampling", arXiv 2503.16870).
    """

    ids: Tensor
    counts: Tensor


@dataclass(frozen=True)
class Top:
    """A teacher's k likeliest tokens at temperature 1 and the mass of all others.

    ids: [N, K] integers, no id twice in a row; logp: [N, K] their log-probabilities, not
    renormalised, -inf where a row is padded; tail: [N] log of the remaining mass, or None when
    it isn't known.
    """

    ids: Tensor
    logp: Tensor
    tail: Tensor | None = None


Teacher = Dense | Sampled | Top


def divergence(
    student: Tensor,
    teacher: Teacher,
    kind: Kind = "forward",
    temperature: float = 1.0,
    beta: float = 0.5,
    chunk: int = 1024,
) -> Tensor:
    """How far a student's distributions are from a teacher's: nats times temperature squared.

    student: logits [N, V] at the unmasked positions; the result is a scalar, the sum over them.

    forward: KL(teacher || student). reverse: KL(student || teacher). jsd, generalised
    (arXiv 2306.13649): with M = beta * teacher + (1 - beta) * student,
    beta * KL(teacher || M) + (1 - beta) * KL(student || M); symmetric at beta 0.5.
    T² keeps gradients alike at all temperatures (Hinton et al. 2015, arXiv 1503.02531).

    Sampled gives the cross-entropy to the samples: its expectation is forward KL plus the
    teacher's entropy, with the same gradient. Top is compared over its k + 1 buckets; without a
    tail it is taken as all there is, which biases the student towards it.

    Bfloat16 and float16 are computed in float32. `chunk` positions are worked on at a time; kept
    for the backward pass is one gradient of the student's size. UserError where a teacher can't
    be compared so.
    """
    _refuse(student, teacher, kind, temperature, beta)
    total: Tensor = _Sum.apply(student, teacher, kind, temperature, beta, chunk)  # type: ignore[no-untyped-call]
    return total


def cross_entropy(student: Tensor, labels: Tensor, chunk: int = 1024) -> Tensor:
    """Minus the log-probability of the labels, in nats, summed over positions.

    student: logits [N, V] at the unmasked positions; labels: [N] token ids. UserError for a label
    that is no token: masked positions are to be left out, not marked.
    """
    ids = labels.reshape(-1, 1)
    return divergence(student, Sampled(ids, torch.ones_like(ids)), chunk=chunk)


def _refuse(student: Tensor, teacher: Teacher, kind: str, temperature: float, beta: float) -> None:
    if kind not in KINDS:
        raise UserError(f"no divergence is called {kind!r}", do=f"there are {', '.join(KINDS)}")
    if not (isfinite(temperature) and temperature > 0):
        raise UserError(f"a temperature of {temperature}", do="give a number above 0")
    if kind == "jsd" and not 0 < beta < 1:
        what = f"beta is {beta}: then the mixture is one side alone and every divergence is 0"
        raise UserError(what, do="give a number between 0 and 1, or use forward or reverse")
    if not isinstance(teacher, Dense) and temperature != 1:
        raise UserError(
            f"a sparse teacher at temperature {temperature}: what was kept of it holds at 1 alone",
            do="use temperature 1, or a teacher whose full logits are there",
        )
    if isinstance(teacher, Dense):
        _refuse_dense(student, teacher)
        return
    if teacher.ids.shape[0] != student.shape[0]:
        raise _uneven(student.shape[0], teacher.ids.shape[0])
    if (
        teacher.ids.numel()
        and not 0 <= int(teacher.ids.min()) <= int(teacher.ids.max()) < (student.shape[1])
    ):
        raise UserError(
            f"a token id outside the student's vocabulary of {student.shape[1]}",
            do="leave masked positions out; teacher and student must share a tokenizer",
        )
    if isinstance(teacher, Sampled):
        _refuse_sampled(teacher, kind)
    else:
        _refuse_top(teacher, kind)


def _refuse_dense(student: Tensor, teacher: Dense) -> None:
    ours, theirs = student.shape, teacher.logits.shape
    if ours[1:] != theirs[1:]:
        raise UserError(
            f"the student's logits are {ours[-1]} wide, the teacher's {theirs[-1]}",
            do="slice both to support.real_vocabulary(tokenizer) if they share a tokenizer",
        )
    if ours[0] != theirs[0]:
        raise _uneven(ours[0], theirs[0])


def _refuse_sampled(teacher: Sampled, kind: str) -> None:
    if kind != "forward":
        raise UserError(
            f"{kind} divergence from samples: it needs the teacher's probability of every token, "
            "and samples say nothing of those that weren't drawn",
            do="use forward with a sampled store, or a teacher whose full logits are there",
        )
    if bool((teacher.counts.sum(-1) <= 0).any()):
        raise UserError("a position without samples", do="give positions that the teacher scored")


def _refuse_top(teacher: Top, kind: str) -> None:
    if not bool((teacher.logp > -torch.inf).any(-1).all()):
        raise UserError(
            "a position without the teacher's tokens", do="give positions that the teacher scored"
        )
    if kind == "forward":
        return
    if teacher.tail is None or (kind == "reverse" and bool((teacher.tail == -torch.inf).any())):
        raise UserError(
            f"{kind} divergence from top-k without a tail: what the student moves out of the top k "
            "would cost nothing or infinitely much",
            do="give the log of the remaining mass as `tail` (support.top_support), or use forward",
        )


def _uneven(ours: int, theirs: int) -> UserError:
    what = f"logits at {ours} positions, but the teacher's at {theirs}"
    return UserError(what, do="give both at the same unmasked positions, in the same order")


class _Sum(torch.autograd.Function):
    """The sum, with the gradient worked out beside it, so that no chunk is kept or done twice."""

    @staticmethod
    def forward(
        ctx: Any,
        student: Tensor,
        teacher: Teacher,
        kind: Kind,
        temperature: float,
        beta: float,
        chunk: int,
    ) -> Tensor:
        gradient = torch.empty_like(student) if ctx.needs_input_grad[0] else None
        wide = torch.promote_types(student.dtype, torch.float32)
        sums = [torch.zeros((), dtype=wide, device=student.device)]
        for start in range(0, student.shape[0], chunk):
            part = slice(start, start + chunk)
            losses, slopes = _part(student[part].to(wide), teacher, part, kind, temperature, beta)
            sums.append(losses.sum())
            if gradient is not None:
                gradient[part] = slopes
        ctx.gradient = gradient
        return torch.stack(sums).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradient = ctx.gradient * upstream.to(ctx.gradient.dtype)
        return gradient, None, None, None, None, None


def _part(
    logits: Tensor, teacher: Teacher, part: slice, kind: Kind, temperature: float, beta: float
) -> tuple[Tensor, Tensor]:
    """Losses of some positions, and their gradients by the student's logits."""
    if isinstance(teacher, Dense):
        return _dense(logits, teacher.logits[part], kind, temperature, beta)
    if isinstance(teacher, Sampled):
        return _sampled(logits, teacher.ids[part], teacher.counts[part])
    tail = None if teacher.tail is None else teacher.tail[part]
    return _top(logits, teacher.ids[part], teacher.logp[part], tail, kind, beta)


def _dense(
    logits: Tensor, teacher: Tensor, kind: Kind, temperature: float, beta: float
) -> tuple[Tensor, Tensor]:
    s = _log_softmax(logits / temperature)
    t = _log_softmax(teacher.to(logits) / temperature)
    losses, gradient = _compare(s, t, kind, beta)
    return losses * temperature**2, gradient * temperature


def _sampled(logits: Tensor, ids: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    s, ids, counts = _log_softmax(logits), ids.to(logits.device, torch.int64), counts.to(logits)
    p = counts / counts.sum(-1, keepdim=True)
    losses = -_product(p, s.gather(-1, ids)).sum(-1)
    return losses, s.exp_().scatter_add_(-1, ids, -p)


def _top(
    logits: Tensor, ids: Tensor, logp: Tensor, tail: Tensor | None, kind: Kind, beta: float
) -> tuple[Tensor, Tensor]:
    s, ids, logp = _log_softmax(logits), ids.to(logits.device, torch.int64), logp.to(logits)
    given = logp > -torch.inf
    # A padded entry points to a token that is listed anyway: pointing to any other would take that
    # one out of the tail.
    ids = torch.where(given, ids, ids.gather(-1, given.int().argmax(-1, keepdim=True)))
    rest = s.scatter(-1, ids, -torch.inf)
    theirs = rest.logsumexp(-1, keepdim=True)
    ours = torch.full_like(theirs, -torch.inf) if tail is None else tail.to(logits)[:, None]
    ours = ours.masked_fill(theirs == -torch.inf, -torch.inf)  # the list holds the whole vocabulary
    buckets = s.gather(-1, ids).masked_fill(~given, -torch.inf)
    losses, slopes = _compare(
        torch.cat([buckets, theirs], -1), _log_softmax(torch.cat([logp, ours], -1)), kind, beta
    )
    inside = (rest - theirs).exp_().masked_fill_(rest == -torch.inf, 0)  # share of the tail
    return losses, (inside * slopes[:, -1:]).scatter_add_(-1, ids, slopes[:, :-1])


def _compare(s: Tensor, t: Tensor, kind: Kind, beta: float) -> tuple[Tensor, Tensor]:
    """Divergence of each row of log-probabilities, and its gradient by the student's logits."""
    q, p = s.exp(), t.exp()
    if kind == "forward":
        # - p + q sums to nothing but rounding, and takes out that of the two normalisers.
        return (_product(p, t - s) - p + q).sum(-1), q - p
    if kind == "reverse":
        each = _product(q, s - t)
        return (each - q + p).sum(-1), each - q * each.sum(-1, keepdim=True)
    # Both ratios to the mixture from one difference, without exp of anything above 0; equal
    # distributions give exactly 0.
    gap = t - s
    shared = (torch.where(gap > 0, 1 - beta, beta) * torch.expm1(-gap.abs())).log1p()
    student = -_product(q, gap.clamp(min=0) + shared)
    teacher = -_product(p, (-gap).clamp(min=0) + shared)
    losses = (beta * teacher + (1 - beta) * student).sum(-1)
    return losses, (1 - beta) * (student - q * student.sum(-1, keepdim=True))


def _log_softmax(logits: Tensor) -> Tensor:
    # torch.log_softmax adds one number after another in float32: at 128,000 tokens it is off by
    # 1e-5. And a normaliser is only as fine as it is small, so the largest logit goes first.
    shifted = logits - logits.amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def _product(p: Tensor, x: Tensor) -> Tensor:
    """p * x, and 0 where p is 0 even if x is infinite."""
    return (p * x).masked_fill_(p == 0, 0)
