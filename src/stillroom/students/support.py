"""What is kept of a teacher's distribution at a place: tokens drawn from it, or its likeliest."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from stillroom.errors import UserError

BLOCK = 256  # tokens whose probabilities are added up first when drawing


def sample_support(
    logits: Tensor, samples: int = 12, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Tokens drawn with replacement from softmax(logits): ids and counts, as in Sampled.

    logits: [N, V]; both results are [N, K] int64, K <= samples, ids ascending, padded with count 0.
    The same generator state gives the same draws. Unbiased: sums are in float64, since in float32 a
    vocabulary of 128,000 loses part of its tail.
    """
    if not 1 <= samples <= 255:
        raise UserError(f"{samples} samples a token", do="give a number from 1 to 255")
    device = generator.device if generator is not None else logits.device
    uniform = torch.rand(
        len(logits), samples, dtype=torch.float64, device=device, generator=generator
    ).to(logits.device)
    rows = max(1, 2**20 // logits.shape[1])  # what a cache holds
    drawn = [
        _draw(logits[at : at + rows], uniform[at : at + rows]) for at in range(0, len(logits), rows)
    ]
    return _merge(torch.cat(drawn) if drawn else uniform.long())


def _draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Inverse cumulative sums, over blocks of tokens first and then within the blocks drawn."""
    p = pad(logits.float().softmax(-1), (0, -logits.shape[1] % BLOCK))
    p = p.view(len(p), -1, BLOCK)
    sums = p.sum(-1).double().cumsum(-1)
    if not bool(sums[:, -1].isfinite().all()):
        raise UserError("the teacher's logits hold NaN", do="look at the teacher's precision")
    wanted = _below(uniform * sums[:, -1:], sums[:, -1:])
    block = torch.searchsorted(sums, wanted, right=True)
    before = pad(sums, (1, 0)).gather(1, block)
    share = (wanted - before) / (sums.gather(1, block) - before)
    inner = p.gather(1, block[..., None].expand(-1, -1, BLOCK)).double().cumsum(-1)
    within = _below(share[..., None] * inner[..., -1:], inner[..., -1:])
    return block * BLOCK + torch.searchsorted(inner, within, right=True)[..., 0]


def _below(wanted: Tensor, total: Tensor) -> Tensor:
    """Below the total even when rounded, so that no token of probability 0 at the end is drawn."""
    return torch.minimum(wanted, total.nextafter(torch.zeros_like(total)))


def _merge(drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Draws [N, S] as distinct ids and their counts."""
    drawn = drawn.sort(-1).values
    fresh = torch.ones_like(drawn)
    fresh[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
    place = fresh.cumsum(-1) - 1
    width = int(place.max()) + 1 if place.numel() else 0
    empty = torch.zeros(len(drawn), width, dtype=torch.int64, device=drawn.device)
    ids = empty.scatter(-1, place, drawn)
    return ids, empty.scatter_add(-1, place, torch.ones_like(drawn))


def top_support(ids: Tensor, logp: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A server's top-k with the mass that it leaves: ids, logp and tail, as in Top.

    ids, logp: [N, K]; the log-probabilities are true ones at temperature 1, not renormalised, -inf
    where a row is padded. A tail that rounding has eaten counts as 1e-7, for it is never 0.
    UserError when they add up to more than 1.
    """
    mass = logp.double().exp().sum(-1)
    if bool((mass > 1.001).any()):
        raise UserError(
            f"top-k probabilities that add up to {float(mass.max()):.4g}",
            do="give log-probabilities of one position a row, at temperature 1",
        )
    return ids, logp, (1 - mass).clamp(min=1e-7).log().to(logp.dtype)
