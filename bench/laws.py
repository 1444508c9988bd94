"""The laws of collapse against simulated loops; part of bench/guard.py, and runs alone.

Every loop here is drawn, none is a formula; the law has no fitted number.
"""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
from figures import Figure, command_line

from stillroom.collapse.laws import Mode, advised_weight, gaussian, survival
from stillroom.collapse.predict import forecast
from stillroom.collapse.simulate import gaussian_loop, simulate

TYPES, DRAWS, LAST = 20_000, 50_000, 20
FRESH = (0.0, 0.01, 0.05, 0.1, 0.3, 0.5)
SEEN = ((1, 1), (2, 2), (3, 5))
LOOPS: tuple[tuple[Mode, dict[str, Any]], ...] = (
    ("replace", {}),
    ("replace", {"unbiased": True}),
    ("accumulate", {}),
    ("accumulate", {"unbiased": True}),
    ("fresh", {"share": 0.1}),
    ("fresh", {"share": 0.3}),
    ("fresh", {"share": 0.3, "unbiased": True}),
)
AFTER = np.arange(1, LAST + 1)


def _zipf() -> npt.NDArray[np.float64]:
    weights = 1 / np.arange(1, TYPES + 1)
    return weights / weights.sum()


def types_survive(runs: int) -> dict[str, float]:
    """Largest difference in points over all cells; seconds of the loops. Rare: expected 1 to 5."""
    p, rng = _zipf(), np.random.default_rng(0)
    rare = (p * DRAWS >= 1) & (p * DRAWS <= 5)
    apart, blind = [], []
    began = time.process_time()
    for fresh in FRESH:
        policy = "fresh" if fresh else "replace"
        loop = simulate(p, DRAWS, LAST, policy, share=fresh, runs=runs, rng=rng)
        seen = loop.present[:, 1:, rare].mean((0, 2))
        expected = (p * DRAWS)[rare, None]
        apart.append(np.abs(survival(expected, AFTER, fresh).mean(0) - seen).max())
        # What an average rare type would do, if all of them were expected equally often.
        blind.append(np.abs(survival(expected.mean(), AFTER, fresh) - seen).max())
    cpu = (time.process_time() - began) / len(FRESH)
    return {"worst": 100 * float(max(apart)), "blind": 100 * float(max(blind)), "cpu": cpu}


def seen_survive(samples: int, runs: int, **decoding: float) -> dict[str, float]:
    """The same for types by how often one sample shows them, of which the forecast knows no more.

    Blind: it takes a type's count for its rate, as the law for known rates would have it.
    """
    p, rng = _zipf(), np.random.default_rng(1)
    apart, blind, inside = [], [], []
    for _ in range(samples):
        counts = rng.multinomial(DRAWS, p)
        for fresh in (0.0, 0.1, 0.3):
            told = forecast(counts[counts > 0], generations=LAST, fresh=fresh, rng=rng, **decoding)
            policy = "fresh" if fresh else "replace"
            loop = simulate(
                p, DRAWS, LAST, policy, share=fresh, runs=runs, start=counts, rng=rng, **decoding
            )
            for curve, (least, most) in zip(told.bins, SEEN, strict=False):
                among = (counts >= least) & (counts <= most)
                each = loop.present[:, 1:, among].mean(2)
                seen = each.mean(0)
                apart.append(np.abs(curve.share[1:] - seen).max())
                rate = survival(counts[among, None], AFTER, fresh).mean(0)
                blind.append(np.abs(rate - seen).max())
                inside.append(((each >= curve.low[1:]) & (each <= curve.high[1:])).mean())
    return {
        "worst": 100 * float(max(apart)),
        "blind": 100 * float(max(blind)),
        "inside": 100 * float(np.mean(inside)),
    }


def variance_drifts(chains: int, sizes: tuple[int, ...]) -> float:
    """Largest relative error in % of the Gaussian laws: error, mean and median of the variance."""
    rng, worst = np.random.default_rng(2), 0.0
    for n in sizes:
        for mode, how in LOOPS:
            mean, variance = gaussian_loop(n, LAST, mode, chains=chains, rng=rng, **how)
            found = (n * np.square(mean).mean(1), variance.mean(1), np.median(variance, 1))
            law = gaussian(n, np.arange(LAST + 1), mode, **how)
            worst = max(
                worst, *(float(np.abs(a / b - 1).max()) for a, b in zip(law, found, strict=True))
            )
    return 100 * worst


def weight_searched() -> float:
    """Largest difference between the advised weight and the best of a grid of step 0.0001.

    The variance of a weighted mean of fresh real and last generation's synthetic points, unrolled
    over 3,000 generations.
    """
    grid, worst = np.arange(0.0001, 1, 0.0001), 0.0
    for ratio in (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0):
        variance = np.full_like(grid, 1 / ratio)
        for _ in range(3000):
            variance = grid**2 / ratio + (1 - grid) ** 2 * (1 + variance)
        best = float(grid[variance.argmin()])
        worst = max(worst, abs(best - advised_weight(ratio, 1.0)))
    return worst


def measure(quick: bool) -> list[Figure]:
    """All figures of the laws."""
    runs, samples = (4, 1) if quick else (8, 4)
    chains, sizes = (20_000, (100,)) if quick else (100_000, (50, 100, 500))
    types = types_survive(runs)
    plain, sharp = seen_survive(samples, runs), seen_survive(samples, runs, top_p=0.95)
    cells = len(FRESH) * LAST
    told = 3 * len(SEEN) * LAST * samples
    return [
        Figure(
            "law of survival: largest error, rare types",
            types["worst"], "points", "<= 2", cells, types["blind"],
        ),
        Figure(
            "forecast from one sample: largest error",
            plain["worst"], "points", "", told, plain["blind"],
        ),
        Figure("forecast from one sample: loops in its bands", plain["inside"], "%", "", told),
        Figure(
            "forecast from one sample, top-p 0.95: largest error",
            sharp["worst"], "points", "", told, sharp["blind"],
        ),
        Figure(
            "Gaussian laws: largest error",
            variance_drifts(chains, sizes), "%", "<= 5", 3 * len(LOOPS) * len(sizes) * (LAST + 1),
        ),
        Figure("advised weight against a search", weight_searched(), "", "<= 0.001", 7),
        Figure(f"{runs} loops of {LAST} generations", types["cpu"], "CPU-s", "", TYPES),
    ]  # fmt: skip


if __name__ == "__main__":
    command_line("laws", __doc__, {}, measure)
