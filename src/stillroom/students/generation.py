"""Free generation in batches: greedy or sampled, with the probability of what was said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

BATCH = 512  # prompts that are answered together


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its token ids without EOS, its log-probability, and whether it came to an end."""

    ids: list[int]
    logprob: float
    ended: bool


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    end: int,
    most: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    batch: int = BATCH,
) -> list[Said]:
    """One answer to each prompt (token ids), in their order, of at most `most` tokens.

    Prompts of equal length are answered together, so no row is padded and no mask is needed.
    Temperature 0 is greedy; sampling is decided by `seed`, from the likeliest tokens alone that
    together have a probability of `top_p` (Holtzman et al., ICLR 2020).
    """
    import torch

    answers: list[Said | None] = [None] * len(prompts)
    chance = torch.Generator(device=model.device).manual_seed(seed)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for rows in _alike(prompts, batch):
            shown = torch.tensor([list(prompts[row]) for row in rows], device=model.device)
            said = _continue(model, shown, end, most, temperature, top_p, chance)
            for row, answer in zip(rows, said, strict=True):
                answers[row] = answer
    model.train(was_training)
    return [answer for answer in answers if answer is not None]


def _alike(prompts: Sequence[Sequence[int]], batch: int) -> Iterator[list[int]]:
    """Rows of equal length, `batch` at a time."""
    by_length: dict[int, list[int]] = {}
    for row, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(row)
    for _, rows in sorted(by_length.items()):
        for begin in range(0, len(rows), batch):
            yield rows[begin : begin + batch]


def _continue(
    model: Any, shown: Any, end: int, most: int, temperature: float, top_p: float, chance: Any
) -> list[Said]:
    """Rows that have ended are taken out of the batch once they are a quarter of it."""
    import torch

    count, most = len(shown), min(most, model.config.max_position_embeddings - shown.shape[1])
    tokens = torch.full((count, max(0, most)), end, device=shown.device)
    logprob = torch.zeros(count, device=shown.device)
    rows = torch.arange(count, device=shown.device)
    alive = torch.ones(count, dtype=torch.bool, device=shown.device)
    given, cache = shown, None
    for place in range(most):
        out = model(given, cache=cache, use_cache=True, logits_to_keep=1)
        logits, cache = out.logits[:, -1].float(), out.cache
        if temperature > 0:
            odds = _likeliest((logits / temperature).softmax(-1), top_p)
            chosen = torch.multinomial(odds, 1, generator=chance)[:, 0]
        else:
            chosen = logits.argmax(-1)
        gained = logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0]
        tokens[rows[alive], place] = chosen[alive]
        logprob[rows[alive]] += gained[alive]
        alive = alive & (chosen != end)
        left = int(alive.sum())
        if not left:
            break
        if left < 0.75 * len(rows):
            kept = alive.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            rows, chosen, alive = rows[kept], chosen[kept], alive[kept]
        given = chosen[:, None]
    said = []
    for row, gain in zip(tokens.tolist(), logprob.tolist(), strict=True):
        ended = end in row
        said.append(Said(row[: row.index(end)] if ended else row, gain, ended))
    return said


def _likeliest(odds: Any, top_p: float) -> Any:
    """The odds with all others put to 0: multinomial wants no sum of 1."""
    import torch

    if top_p >= 1:
        return odds
    ranked, order = odds.sort(dim=-1, descending=True, stable=True)
    ranked[ranked.cumsum(-1) - ranked >= top_p] = 0
    return torch.zeros_like(odds).scatter_(-1, order, ranked)
