"""The laws against chains run count by count, the forecast against loops it knows nothing of."""

from math import comb, exp, isnan
from typing import Any

import numpy as np
import pytest

from stillroom.collapse.predict import (
    advised_weight,
    applies,
    forecast,
    fresh_needed,
    gaussian,
    survival,
    survival_of_seen,
)
from stillroom.collapse.simulate import gaussian_loop, simulate
from stillroom.errors import UserError

ZIPF = 1 / np.arange(1, 5001)
ZIPF /= ZIPF.sum()
DRAWS = 12_000


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return np.random.default_rng(3).multinomial(DRAWS, ZIPF)


def chain(start: np.ndarray, rate: float, fresh: float, generations: int) -> list[float]:
    """Presence in a chain of Poisson counts, by its whole distribution over 0 to 200."""
    states = np.arange(201)
    factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, 201)))))
    means = np.maximum((1 - fresh) * states + fresh * rate, 1e-300)[:, None]
    step = np.exp(states * np.log(means) - means - factorial)
    present = []
    for _ in range(generations + 1):
        present.append(1 - start[0])
        start = start @ step
    return present


@pytest.mark.parametrize("fresh", [0.0, 0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("expected", [0.3, 1.0, 4.0, 20.0])
def test_survival_is_that_of_a_chain_of_counts(expected: float, fresh: float) -> None:
    states = np.arange(201)
    factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, 201)))))
    human = np.exp(states * np.log(expected) - expected - factorial)
    t = np.arange(9)
    assert survival(expected, t, fresh) == pytest.approx(chain(human, expected, fresh, 8), abs=1e-6)
    for seen in (0, 1, 3):
        known = np.eye(201)[seen]
        assert survival_of_seen(seen, expected, t, fresh) == pytest.approx(
            chain(known, expected, fresh, 8), abs=1e-6
        )


def test_survival_at_its_limits() -> None:
    assert survival(2.0, 0) == pytest.approx(1 - exp(-2))
    assert survival(np.inf, [0, 5, 50]).tolist() == [1, 1, 1]
    assert survival(0, [0, 5], 0.5).tolist() == [0, 0]
    for t in (1, 7, 30):  # all of each corpus is human: nothing is lost but by chance
        assert survival([0.5, 3], t, 1.0) == pytest.approx(1 - np.exp([-0.5, -3]))
    assert survival(np.ones((4, 1)), np.arange(6)).shape == (4, 6)
    # Without fresh data all types die out in the end, as 2 / (t + 2) with a logarithm's delay.
    assert survival(1.0, 2000) == pytest.approx(2 / 2002, rel=0.01)
    assert (np.diff(survival(3.0, np.arange(20), 0.2)) < 0).all()


def test_a_larger_corpus_copies_a_seen_type_more_often() -> None:
    assert survival_of_seen(1, 1.0, 1, size=5) == pytest.approx(1 - exp(-5))
    loop = simulate(
        [1.0, 99.0], 500, 6, "fresh", share=0.2, start=[1, 99], runs=4000,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    law = survival_of_seen(1, 1.0, np.arange(7), 0.2, size=5)
    assert loop.present[:, :, 0].mean(0) == pytest.approx(law, abs=0.03)


def test_fresh_needed_is_the_least_that_does() -> None:
    share = fresh_needed(3, 0.9, 10)
    assert share == pytest.approx(0.357, abs=0.001)
    assert survival(3, 10, share) >= 0.9 > survival(3, 10, share - 0.001)
    assert fresh_needed(30, 0.9, 5) == 0
    assert isnan(fresh_needed(2, 0.9, 10))  # an all human corpus has it with 0.865


@pytest.mark.parametrize(
    "call",
    [
        lambda: survival(-1, 3),
        lambda: survival([1, np.nan], 3),
        lambda: survival(1, -1),
        lambda: survival(1, 2.5),  # type: ignore[arg-type]
        lambda: survival(1, 3, 1.2),
        lambda: survival(1, 3, np.nan),
        lambda: survival_of_seen(1, 1, 3, size=0),
        lambda: fresh_needed(1, 1.5, 3),
        lambda: gaussian(1, 3, "replace"),
        lambda: gaussian(10, 3, "replace", 0.1),
        lambda: gaussian(10, 3, "fresh"),
        lambda: gaussian(10, 3, "same", 0.1),  # type: ignore[arg-type]
        lambda: advised_weight(0, 0),
        lambda: advised_weight(-1, 2),
        lambda: advised_weight(np.nan, 2),
    ],
)
def test_laws_refuse_what_is_no_count_or_share(call: Any) -> None:
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize(
    ("mode", "how"),
    [
        ("replace", {}),
        ("replace", {"unbiased": True}),
        ("accumulate", {}),
        ("accumulate", {"unbiased": True}),
        ("fresh", {"share": 0.1}),
        ("fresh", {"share": 0.3, "unbiased": True}),
    ],
)
def test_gaussian_laws_against_points_drawn_one_by_one(mode: Any, how: dict[str, Any]) -> None:
    n, generations, chains = 50, 6, 4000
    rng = np.random.default_rng(1)
    human = round(how.get("share", 0) * n)
    points = rng.standard_normal((chains, n))
    means, variances = [], []
    for _ in range(generations + 1):
        mean, spread = points.mean(1), points.std(1, ddof=int(how.get("unbiased", 0)))
        means.append(mean)
        variances.append(spread**2)
        new = mean[:, None] + spread[:, None] * rng.standard_normal((chains, n))
        new[:, :human] = rng.standard_normal((chains, human))
        points = np.hstack((points, new)) if mode == "accumulate" else new
    law = gaussian(n, np.arange(generations + 1), mode, **how)
    assert n * np.square(means).mean(1) == pytest.approx(law.error, rel=0.1)
    assert np.mean(variances, 1) == pytest.approx(law.mean_variance, rel=0.02)
    assert np.median(variances, 1) == pytest.approx(law.median_variance, rel=0.03)
    fast = gaussian_loop(n, generations, mode, chains=chains, rng=rng, **how)
    assert fast[1].mean(1) == pytest.approx(law.mean_variance, rel=0.02)


def test_gaussian_laws_tend_to_the_published_limits() -> None:
    assert gaussian(10**6, 400, "accumulate").error == pytest.approx(np.pi**2 / 6, rel=0.005)
    assert gaussian(10**6, 400, "fresh", 0.1).error == pytest.approx(1 / (0.1 * 1.9), rel=1e-3)
    assert gaussian(100, 20, "replace", unbiased=True).error == pytest.approx(21)
    same, _ = gaussian_loop(100, 20, "same", share=0.1, rng=np.random.default_rng(0))
    fresh, _ = gaussian_loop(100, 20, "fresh", share=0.1, rng=np.random.default_rng(0))
    assert np.square(same[-1]).mean() > 2 * np.square(fresh[-1]).mean()


def test_advised_weight_is_the_golden_ratio_where_both_are_equal() -> None:
    assert advised_weight(1, 1) == pytest.approx((5**0.5 - 1) / 2)
    assert (advised_weight(5, 0), advised_weight(0, 5)) == (1, 0)
    for k in (0.05, 3.0):
        grid = np.linspace(1e-4, 1, 10_000)
        final = (grid**2 / k + (1 - grid) ** 2) / (1 - (1 - grid) ** 2)
        assert advised_weight(k, 1) == pytest.approx(grid[final.argmin()], abs=2e-4)


@pytest.mark.parametrize("fresh", [0.0, 0.05, 0.3])
def test_simulated_loops_keep_to_the_law(fresh: float) -> None:
    rare = (ZIPF * DRAWS >= 1) & (ZIPF * DRAWS <= 5)
    loop = simulate(
        ZIPF, DRAWS, 12, "fresh", share=fresh, rare=rare, runs=6, rng=np.random.default_rng(0)
    )
    law = survival(ZIPF[rare, None] * DRAWS, np.arange(13), fresh).mean(0)
    assert loop.present[:, :, rare].mean((0, 2)) == pytest.approx(law, abs=0.025)
    assert loop.mass.mean() == pytest.approx(ZIPF[rare].sum(), rel=0.1)  # drift takes no mass


def test_policies_differ_as_they_must() -> None:
    def run(policy: Any, **how: Any) -> Any:
        rare = (ZIPF * DRAWS >= 1) & (ZIPF * DRAWS <= 5)
        rng = np.random.default_rng(0)
        loop = simulate(ZIPF, DRAWS, 10, policy, rare=rare, rng=rng, **how)
        return loop.present[:, :, rare].mean((0, 2)), loop.mass.mean(0)

    replace, mass = run("replace")
    for policy in ("accumulate", "anchor"):
        kept, _ = run(policy)
        assert (np.diff(kept) >= 0).all()
        assert kept[-1] > replace[-1] + 0.4
    assert run("fresh", share=0.2)[0][-1] > run("same", share=0.2)[0][-1] + 0.05
    assert run("same", share=0.2)[0][-1] > replace[-1] + 0.05
    for sharper in ({"temperature": 0.9}, {"top_p": 0.95}):
        present, mass_left = run("replace", **sharper)
        assert present[-1] < 0.05 < replace[-1]
        assert mass_left[-1] < 0.5 * mass[-1]
    passes = np.where(ZIPF * DRAWS <= 5, 0.9, 1.0)
    biased, mass_left = run("replace", passes=passes)
    assert biased[-1] < replace[-1] - 0.05
    assert mass_left[-1] < 0.6 * mass[0]
    assert run("replace", passes=np.full(len(ZIPF), 0.5))[0].tolist() == replace.tolist()


def test_a_checker_takes_its_ratio_each_generation() -> None:
    few, passes = [0.3, 0.7], [0.9, 1.0]
    loop = simulate(few, 10**6, 5, passes=passes, rare=[True, False], rng=np.random.default_rng(0))
    odds = loop.mass / (1 - loop.mass)
    assert odds.mean(0) == pytest.approx(3 / 7 * 0.9 ** np.arange(6), rel=0.01)


def test_top_p_cuts_types_that_are_seen_equally_often_by_chance() -> None:
    rng = np.random.default_rng(0)
    loop = simulate(
        np.ones(100), 100_000, 1, top_p=0.5, start=np.full(100, 1000), runs=200, rng=rng
    )
    assert (loop.present[:, 1].sum(1) == 50).all()
    assert loop.present[:, 1].mean(0) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    "how",
    [
        {"policy": "replace", "share": 0.1},
        {"policy": "same"},
        {"policy": "keep"},
        {"share": 1.1, "policy": "fresh"},
        {"temperature": 0},
        {"top_p": np.nan},
        {"passes": [1, 2, 0]},
        {"passes": [1]},
        {"passes": [0, 0, 0]},
        {"start": [0, 0, 0]},
        {"start": [1.5, 1, 1]},
    ],
)
def test_simulate_refuses_what_is_no_loop(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        simulate([3, 2, 1], 10, 2, rng=np.random.default_rng(0), **how)
    for weights in ([1, -1, 3], [0, 0, 0], [1, np.nan, 1], []):
        with pytest.raises(ValueError):
            simulate(weights, 10, 2, rng=np.random.default_rng(0))


SHARPER: list[dict[str, Any]] = [{}, {"fresh": 0.1}, {"fresh": 0.5}, {"top_p": 0.97, "fresh": 0.1}]


@pytest.mark.parametrize("how", SHARPER)
@pytest.mark.parametrize("anew", [False, True])
def test_a_forecast_from_counts_alone_meets_loops_with_the_truth(
    counts: np.ndarray, how: dict[str, Any], anew: bool
) -> None:
    told = forecast(counts[counts > 0], generations=10, anew=anew, **how)
    rest = {key: value for key, value in how.items() if key != "fresh"}
    share = how.get("fresh", 0.0)
    loop = simulate(
        ZIPF, DRAWS, 10, "fresh" if share else "replace", share=share, runs=10,
        start=None if anew else counts, rng=np.random.default_rng(8), **rest,
    )  # fmt: skip
    assert told.method == ("simulation" if rest else "law")
    for curve, (least, most) in zip(told.bins, ((1, 1), (2, 2), (3, 5), (6, 10)), strict=False):
        among = (counts >= least) & (counts <= most)
        each = loop.present[:, :, among].mean(2)
        assert curve.types == among.sum()
        # 150 to 1,300 types of one sample: its own luck is up to 4 points.
        assert curve.share == pytest.approx(each.mean(0), abs=0.045)
        assert ((each >= curve.low - 1e-9) & (each <= curve.high + 1e-9)).mean() > 0.75
    below = told.seen(1, 2)
    low, high = told.bins[0].share, told.bins[1].share
    assert below.types == told.bins[0].types + told.bins[1].types
    assert ((below.share > np.minimum(low, high) - 1e-9) & (below.share <= high + 1e-9)).all()


def test_a_count_is_not_taken_for_a_rate(counts: np.ndarray) -> None:
    """Of types seen once most were lucky: fresh data brings fewer of them back than one each."""
    told = forecast(counts[counts > 0], generations=1, fresh=1.0)
    back = np.random.default_rng(5).multinomial(DRAWS, ZIPF, size=20)[:, counts == 1] > 0
    assert told.bins[0].share[1] == pytest.approx(back.mean(), abs=0.03)
    assert told.bins[0].share[1] < 1 - exp(-1) - 0.1
    assert told.bins[0].low[1] < back.mean() < told.bins[0].high[1]


def test_types_that_are_listed_and_never_seen_are_a_bin_of_their_own(counts: np.ndarray) -> None:
    told = forecast(counts, generations=2, fresh=1.0)
    assert told.bins[0].name == "never seen"
    back = np.random.default_rng(5).multinomial(DRAWS, ZIPF, size=20)[:, counts == 0] > 0
    assert told.bins[0].share[0] == 0
    assert told.bins[0].share[2] == pytest.approx(back.mean(), abs=0.03)


def test_bands_are_wide_where_types_are_few() -> None:
    few = forecast([1] * 10 + [2] * 5 + [40] * 3).seen(1, 2)
    many = forecast([1] * 1000 + [2] * 500 + [40] * 300).seen(1, 2)
    assert few.share == pytest.approx(many.share)
    assert few.high[5] - few.low[5] > 5 * (many.high[5] - many.low[5])


def test_a_checker_is_forecast_slice_by_slice(counts: np.ndarray) -> None:
    seen = counts[counts > 0]
    odd = np.arange(len(seen)) % 2 == 1
    rare = (seen <= 3) & odd
    told = forecast(
        seen,
        generations=5,
        passes=np.where(rare, 0.7, 1.0),
        slices={"refused": rare, "passed": np.flatnonzero((seen <= 3) & ~odd)},
    )
    assert told.method == "simulation"
    assert told.slices["refused"].share[5] < told.slices["passed"].share[5] - 0.1
    assert told.slices["passed"].types == int(((seen <= 3) & ~odd).sum())


def test_the_forecast_in_words(counts: np.ndarray) -> None:
    seen = counts[counts > 0]
    told = forecast(seen, fresh=0.1)
    curve = told.seen(1, 2)
    assert told.words(wanted=0.8).startswith(
        "With 10 % fresh, types seen fewer than 3 times survive 10 generations with probability "
        f"{curve.share[10]:.2f} ({curve.low[10]:.2f} to {curve.high[10]:.2f}). "
        "Types seen at least 3 times survive 10 generations with probability 0.8 if "
    )
    share = told.fresh_needed(0.8, 3)
    enough, less = (forecast(seen, fresh=a).seen(3).share[10] for a in (share, share - 0.01))
    assert enough >= 0.8 > less
    assert isnan(told.fresh_needed(0.999, 3))
    assert "keep the human records themselves" in told.words(wanted=0.999)
    sharp = forecast(seen, top_p=0.9).words()
    assert "Without fresh human data" in sharp
    assert "simulated" in sharp
    assert "The law does not apply here: decoding is not neutral" in sharp
    assert forecast(seen).words() == forecast(seen).words()


def test_counts_without_a_tail_say_so() -> None:
    told = forecast([50, 60, 70])
    assert "No type was seen fewer than 3 times" in told.words()
    assert "only 0 types are seen 1 to 3 times" in told.words()
    with pytest.raises(UserError, match="no type was seen 1 to 2 times"):
        told.seen(1, 2)


@pytest.mark.parametrize(
    ("counts", "how", "said"),
    [
        ([], {}, "no type was seen"),
        ([0, 0], {}, "no type was seen"),
        ([1, -2], {}, "-2"),
        ([1, float("nan")], {}, "nan"),
        ([1, float("inf")], {}, "from 0 on"),
        ([0.5, 2], {}, "whole numbers"),
        (["a"], {}, "whole numbers"),
        ([[1, 2]], {}, "a list"),
        ([1, 2], {"fresh": -0.1}, "fresh is -0.1"),
        ([1, 2], {"fresh": float("nan")}, "fresh is nan"),
        ([1, 2], {"temperature": 0, "top_p": 2}, "temperature is 0.*top_p is 2"),
        ([1, 2], {"generations": 0, "size": 0}, "size is 0.*generations is 0"),
        ([1, 2], {"passes": [1.0]}, "passes each type"),
        ([1, 2], {"passes": [0.0, 0.0]}, "passes nothing"),
        ([1, 2], {"passes": [0.5, float("nan")]}, "passes each type"),
        ([1, 2], {"slices": {"a": [True]}}, "slice 'a'"),
        ([1, 2], {"slices": {"a": [2]}}, "slice 'a'"),
        ([1, 2], {"slices": {"a": [False, False]}}, "slice 'a' has no type"),
    ],
)
def test_bad_counts_and_settings_are_named(counts: Any, how: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"(?s){said}"):
        forecast(counts, **how)


def student(
    counts: np.ndarray, ratios: dict[int, float], spread: float, unseen: float, seed: int = 0
) -> np.ndarray:
    """Probabilities of a student that copies rare counts so well; the common ones take the rest."""
    rng = np.random.default_rng(seed)
    noise = np.exp(spread * rng.standard_normal(len(counts)) - spread**2 / 2)
    factor = np.array([ratios.get(int(count), 1.0) for count in counts]) * noise
    expected = np.where(counts == 0, unseen, counts * factor)
    rest = counts > 3
    expected[rest] *= (counts.sum() - expected[~rest].sum()) / expected[rest].sum()
    return expected / counts.sum()


@pytest.fixture(scope="module")
def slices() -> np.ndarray:
    """A sample of the laboratory's world, 150 slices of Zipf 1.2, four times as large."""
    weights = np.repeat(1 / np.arange(1, 151) ** 1.2, 4)
    return np.random.default_rng(2).multinomial(16_000, weights / weights.sum())


def test_the_law_applies_to_a_student_that_copies_its_counts(slices: np.ndarray) -> None:
    exact = applies(slices, slices / slices.sum())
    assert exact.yes
    assert exact.words().startswith("The law applies here")
    # As measured on a neural student: mean and spread of n p / count, unseen types.
    for seed in range(5):
        good = {1: 0.985, 2: 0.985, 3: 0.985}
        assert applies(slices, student(slices, good, 0.1, 0.04, seed)), seed


def test_the_law_does_not_apply_to_a_student_that_smooths(slices: np.ndarray) -> None:
    for seed in range(5):  # as measured where it was trained too little
        under = {1: 0.98, 2: 0.94, 3: 0.93}
        assert not applies(slices, student(slices, under, 0.3, 0.11, seed)), seed
    poor = applies(slices, student(slices, {1: 0.62}, 0.02, 0.0))
    assert "the student gives types seen once only 0.6" in poor.words()
    assert "would survive" in poor.words()
    noisy = applies(slices, student(slices, {}, 0.9, 0.0))
    assert "give or take a factor of 2." in noisy.words()
    turns = np.where(np.arange(len(slices)) % 2, 1.8, 0.2) * slices / slices.sum()
    assert not applies(slices, turns / turns.sum())  # right on average, and for no type
    flat = applies(slices, np.full(len(slices), 1 / len(slices)))
    assert "never seen" in flat.words()


def test_the_law_does_not_apply_to_decoding_and_to_a_biased_checker(slices: np.ndarray) -> None:
    assert "temperature 0.9" in applies(slices, temperature=0.9).words()
    assert "top-p 0.95" in applies(slices, top_p=0.95).words()
    alike = applies(slices, passes=np.full(len(slices), 0.6))
    assert alike
    assert "whether a student copies" in alike.words()
    biased = applies(slices, passes=np.where(slices <= 3, 0.8, 1.0))
    assert "passes types seen 1 to 3 times 0.8" in biased.words()
    assert applies(slices, passes=np.where(slices <= 3, 0.99, 1.0))


def test_the_law_does_not_apply_where_documents_repeat_their_types() -> None:
    rng = np.random.default_rng(0)
    for size, applies_here in ((1, True), (2, False), (3, False)):
        documents = [rng.multinomial(DRAWS // size // 2, ZIPF) * size for _ in range(2)]
        told = applies(documents[0] + documents[1], halves=(documents[0], documents[1]))
        assert bool(told) is applies_here
        assert told.untested == ("whether a student copies the counts it learnt",)
        if not applies_here:
            assert float(told.words().split("clusters of ")[1][:3]) == pytest.approx(size, abs=0.2)
    alarms = sum(
        not applies(a + b, halves=(a, b))
        for a, b in (rng.multinomial(DRAWS // 2, ZIPF, size=2) for _ in range(100))
    )
    assert alarms == 0
    few = np.concatenate((np.full(60, 3 / 2000), np.full(10, 0.091)))
    chance = [
        not applies(a + b, halves=(a, b))
        for a, b in (rng.multinomial(1000, few, size=2) for _ in range(400))
    ]
    assert np.mean(chance) < 0.075


def test_nothing_is_said_of_too_few_types() -> None:
    assert "only 12 types" in applies([1] * 12 + [500] * 4).words()
    assert applies([1] * 40 + [500] * 4)
    for given in ([0.5], [0.9, 0.9], [-0.1, 0.5], [np.nan, 0.5], [0.0, 0.0]):
        with pytest.raises(UserError, match="probabilities"):
            applies([1, 2], given)
    with pytest.raises(UserError, match="halves"):
        applies([1, 2], halves=([1, 1], [0, 1, 1]))


def test_a_pooled_share_of_seen_types_is_binomial() -> None:
    """The band of one bin with a known chance, against the binomial's own quantiles."""
    told = forecast([1] * 200 + [500] * 10, generations=1)
    p, n = 1 - exp(-1), 200
    cumulative = np.cumsum([comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])
    low, high = (int(np.searchsorted(cumulative, q)) / n for q in (0.025, 0.975))
    assert told.bins[0].share[1] == pytest.approx(p)
    assert told.bins[0].low[1] == pytest.approx(low, abs=0.03)
    assert told.bins[0].high[1] == pytest.approx(high, abs=0.03)
