"""The judge's statistics against published examples, brute force, and their own promises."""

from itertools import combinations
from math import comb, factorial, isnan, nan

import numpy as np
import pytest

from stillroom import measures
from stillroom.measures import paired, pass_at_k, seeds_mean, student_t, wilson
from stillroom.world import stream


@pytest.mark.parametrize(
    ("kept", "tried", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 1998, table I, method 3 (Wilson's score).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(
    kept: int, tried: int, low: float, high: float
) -> None:
    assert wilson(kept, tried) == pytest.approx((low, high), abs=6e-5)
    upside_down = wilson(tried - kept, tried)
    assert upside_down == pytest.approx((1 - high, 1 - low), abs=6e-5)
    assert wilson(0, 0) == (0.0, 1.0)
    assert all(wilson(0, n)[0] == 0 and wilson(n, n)[1] == 1 for n in range(1, 300))


def answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[bool], list[bool]]:
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


@pytest.mark.parametrize(
    ("table", "low", "high", "grain"),
    [
        # Fagerland, Lydersen and Laake, Statistics in Medicine 2014 and their "Statistical
        # Analysis of Contingency Tables" (2017), chapter 8: Bentur et al., Cavo et al.
        ((1, 1, 7, 12), -0.507, -0.026, 5e-4),
        ((59, 6, 16, 80), -0.1186, -0.0046, 5e-5),
    ],
)
def test_paired_gives_the_published_intervals(
    table: tuple[int, int, int, int], low: float, high: float, grain: float
) -> None:
    a, b = answers(*table)
    found = paired(a, b)
    assert found.difference == pytest.approx(np.mean(a) - np.mean(b))
    assert found.interval == pytest.approx((low, high), abs=grain)
    back = paired(b, a)
    assert back.interval == pytest.approx((-high, -low), abs=grain)
    assert back.p == found.p


def test_mcnemar_is_exact() -> None:
    assert paired(*answers(1, 1, 7, 12)).p == pytest.approx(18 / 2**8)  # 0.070, as published
    for one, other in ((0, 5), (3, 3), (2, 9), (40, 61), (480, 520)):
        tosses, less = one + other, min(one, other)
        twice = 2 * sum(comb(tosses, heads) for heads in range(less + 1)) / 2**tosses
        assert paired(*answers(5, one, other, 5)).p == pytest.approx(min(1, twice), rel=1e-9)
    assert paired(*answers(0, 0, 3000, 0)).p == 0.0  # less than the least float


def test_paired_covers_what_it_promises() -> None:
    """Over all tables of twenty questions, each with its probability."""
    n = 20
    tables = [
        (i, j, k, n - i - j - k)
        for i in range(n + 1)
        for j in range(n + 1 - i)
        for k in range(n + 1 - i - j)
    ]
    intervals = [paired(*answers(*table)).interval for table in tables]
    for shares in ((0.4, 0.2, 0.1, 0.3), (0.6, 0.1, 0.1, 0.2), (0.1, 0.5, 0.05, 0.35)):
        truth, covered = shares[1] - shares[2], 0.0
        for table, (low, high) in zip(tables, intervals, strict=True):
            ways = factorial(n) / np.prod([float(factorial(one)) for one in table])
            if low <= truth <= high:
                covered += ways * np.prod(np.array(shares) ** table)
        assert 0.93 < covered < 0.99, shares


def test_paired_at_the_ends() -> None:
    assert paired([True] * 30, [True] * 30).difference == 0
    low, high = paired([True] * 30, [True] * 30).interval
    assert low == pytest.approx(-high)
    assert 0 < high < 0.2  # all right thirty times is not all right for ever
    assert paired([True] * 30, [False] * 30).interval[1] == pytest.approx(1.0)
    for a, b in (([], []), ([True], [True, False])):
        with pytest.raises(ValueError, match="same questions"):
            paired(a, b)


def test_students_t_is_the_table() -> None:
    published = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 10: 2.228, 30: 2.042, 100: 1.984}
    assert {df: round(student_t(df), 3) for df in published} == published
    assert student_t(1e7) == pytest.approx(measures.Z, abs=1e-5)
    assert student_t(2.5) == pytest.approx(3.57465, abs=1e-5)  # by scipy
    assert student_t(9, 0.99) == pytest.approx(3.250, abs=1e-3)


def test_seeds_mean_by_hand() -> None:
    table = [[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0], [1.0, -1.0, 0.0, 1.0]]
    found = seeds_mean(table, stream("by hand"))
    # Means of seeds 0.5, 0.75, 0.25; of questions 1, 0, 0, 1; in all 0.5. Squares of seeds
    # 4 (0.25^2 + 0.25^2) = 0.5 over 2; of questions 3 x 4 x 0.25 = 3 over 3; in all 8 - 12 / 4 = 5,
    # so of the rest 1.5 over 6. The seeds' mean square equals the rest's: questions are all.
    assert found.mean == 0.5
    half = 3.18245 * (1.0 / 12) ** 0.5
    assert found.interval == pytest.approx((0.5 - half, 0.5 + half), abs=1e-5)
    half = 4.30265 * 0.25 / 3**0.5
    assert found.seeds == pytest.approx((0.5 - half, 0.5 + half), abs=1e-5)
    assert found.questions == (0.0, 1.0)
    # One more apart: mean squares 4.5, 1 and 0.25, so 5.25 of variance over twelve numbers.
    table[0] = [3.0, 2.0, 2.0, 3.0]
    s, q, e = mean_squares(np.array(table))
    df = (s + q - e) ** 2 / (s**2 / 2 + q**2 / 3 + e**2 / 6)
    half = student_t(df) * ((s + q - e) / 12) ** 0.5
    mean = float(np.mean(table))
    found = seeds_mean(table, stream("by hand"))
    assert found.interval == pytest.approx((mean - half, mean + half))
    # Questions that vary less than chance would make them: seeds are all.
    table = [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 2.0, 2.0]]
    found = seeds_mean(table, stream("by hand"))
    assert mean_squares(np.array(table))[1] < mean_squares(np.array(table))[2]
    assert found.interval == pytest.approx(found.seeds)
    again = seeds_mean(table, stream("by hand"))
    assert again == found
    for wrong in ([[1.0, 2.0]], [[1.0], [2.0]], [1.0, 2.0]):
        with pytest.raises(ValueError, match="two seeds"):
            seeds_mean(wrong, stream("by hand"))


def mean_squares(table: np.ndarray) -> tuple[float, float, float]:
    """Sums over single cells, as in a textbook's table of two-way analysis of variance."""
    rows, columns = table.shape
    mean = table.mean()
    s = sum((table[i].mean() - mean) ** 2 for i in range(rows) for _ in range(columns))
    q = sum((table[:, j].mean() - mean) ** 2 for _ in range(rows) for j in range(columns))
    whole = sum((one - mean) ** 2 for one in table.ravel())
    return s / (rows - 1), q / (columns - 1), (whole - s - q) / ((rows - 1) * (columns - 1))


@pytest.mark.parametrize(("spread", "seeds"), [(0.0, 3), (0.08, 3), (0.08, 5)])
def test_the_interval_over_seeds_and_questions_covers(spread: float, seeds: int) -> None:
    """Answers right or wrong; a seed shifts all of a student's chances, a question has its own."""
    rng, covered, times = stream(f"cover {spread} {seeds}"), np.zeros(3), 400
    for _ in range(times):
        chances = rng.beta(2, 2, (2, 1, 120))
        shift = rng.uniform(-1, 1, (2, seeds, 1)) * spread
        right = rng.random((2, seeds, 120)) < np.clip(chances + shift, 0, 1)
        found = seeds_mean(right[0] * 1.0 - right[1], rng, resamples=200)
        for place, (low, high) in enumerate((found.interval, found.seeds, found.questions)):
            covered[place] += low <= 0 <= high
    both, over_seeds, over_questions = covered / times
    assert both > 0.925
    if spread:  # why there is a third interval
        assert over_questions < 0.93
    else:
        assert over_seeds < 0.93


def test_bootstrap_of_a_share_is_the_binomials() -> None:
    right = [1.0] * 60 + [0.0] * 40
    low, high = measures.bootstrap(right, stream("share"))
    # The 2.5 % and 97.5 % quantiles of Binomial(100, 0.6).
    assert (low, high) == pytest.approx((0.50, 0.69), abs=0.011)
    values = stream("values").normal(2.0, 3.0, 400)
    low, high = measures.bootstrap(values, stream("normal"))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_pass_at_k_is_the_share_of_draws_with_a_right_one() -> None:
    for n in range(1, 8):
        for c in range(n + 1):
            for k in range(1, n + 1):
                draws = list(combinations([True] * c + [False] * (n - c), k))
                assert pass_at_k(n, c, k) == pytest.approx(np.mean([any(d) for d in draws]))
    assert pass_at_k(200, 13, 100) == pytest.approx(1 - comb(187, 100) / comb(200, 100))
    for n, c, k in ((3, 4, 1), (3, 1, 4), (3, -1, 1), (3, 1, 0)):
        with pytest.raises(ValueError, match="no pass@"):
            pass_at_k(n, c, k)


def test_mean_pass_at_k_over_questions() -> None:
    counts = [(4, 0)] * 50 + [(4, 4)] * 50
    found = measures.mean_pass_at_k(counts, 2, stream("pass"))
    assert found.value == 0.5
    assert found.interval == pytest.approx((0.4, 0.6), abs=0.015)
    assert measures.mean_pass_at_k([(4, 1)] * 3, 2, stream("pass")) == (0.5, (0.5, 0.5))
    assert isnan(measures.mean_pass_at_k([], 1, stream("pass")).value)


def test_calibration_error_is_that_of_equal_width_bins() -> None:
    # Two bins: (0, 0.5] holds 0.5 and 0.3, right once: |0.8 - 1|; (0.5, 1] holds 0.9 and 1, both
    # wrong: |1.9 - 0|. Over four answers.
    sure, right = [0.5, 0.3, 0.9, 1.0], [True, False, False, False]
    assert measures.calibration_error(sure, right, bins=2) == pytest.approx(2.1 / 4)
    rng = stream("calibration")
    sure = rng.random(3000)
    assert measures.calibration_error(sure, rng.random(3000) < sure) < 0.05
    assert measures.calibration_error(sure, rng.random(3000) < sure**2) == pytest.approx(
        1 / 6, abs=0.03
    )
    by_hand = 0.0
    right = rng.random(3000) < sure**2
    for bin_ in range(15):
        inside = (sure > bin_ / 15) & (sure <= (bin_ + 1) / 15)
        by_hand += inside.mean() * abs(sure[inside].mean() - right[inside].mean())
    assert measures.calibration_error(sure, right) == pytest.approx(by_hand)
    assert measures.calibration_error([0.0, 1.0], [False, True]) == 0
    assert isnan(measures.calibration_error([], []))
    for wrong in ([1.1], [-0.1], [nan], [0.5, 0.5]):
        with pytest.raises(ValueError, match="confidence"):
            measures.calibration_error(wrong, [True])


def test_shares_beside_chance_and_teacher() -> None:
    assert measures.chance_corrected(0.25, 0.25) == 0
    assert measures.chance_corrected(1.0, 0.25) == 1
    assert measures.chance_corrected(0.1, 0.25) == pytest.approx(-0.2)
    assert measures.kept(0.85, 1.0, 0.25) == pytest.approx(0.8)
    assert measures.kept(0.25, 0.9, 0.25) == 0
    assert isnan(measures.kept(0.5, 0.25, 0.25))
