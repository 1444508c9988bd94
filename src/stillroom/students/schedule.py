"""The learning rate over the steps of a training."""

import math


def rate_at(step: int, steps: int, warmup: float, floor: float) -> float:
    """The share of the peak rate at `step`: up in a line, then down a cosine to `floor`."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
