"""How probable a model finds answers that it has not seen, and how well it knows what it knows."""

from collections.abc import Sequence
from typing import Any

from stillroom.measures import calibration_error
from stillroom.students.batches import Examples, collate
from stillroom.students.chat import Example
from stillroom.students.forward import learnt_logits

ROWS = 64  # answers that are scored at a time


def held_out(
    model: Any, prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> dict[str, float]:
    """Of the targets' tokens: how many, their mean negative log-likelihood in nats, and its ECE.

    The expected calibration error is that of the likeliest next token: its probability against
    how often it is the right one (Guo et al., ICML 2017).
    """
    import torch

    data = Examples([Example([*a, *b], len(a)) for a, b in zip(prompts, targets, strict=True)])
    total, sure, hit = 0.0, [], []
    with torch.inference_mode():
        for begin in range(0, len(data), ROWS):
            batch = collate(data, range(begin, min(begin + ROWS, len(data))), 0)
            logs = learnt_logits(model, batch, model.device).float().log_softmax(-1).cpu()
            total -= float(logs.gather(1, batch.labels[:, None]).sum())
            best, token = logs.max(-1)
            sure += best.exp().clamp(max=1.0).tolist()
            hit += (token == batch.labels).tolist()
    return {
        "tokens": len(hit),
        "nll": total / max(1, len(hit)),
        "calibration_error": calibration_error(sure, hit) if hit else 0.0,
    }
