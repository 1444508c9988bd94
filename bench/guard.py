"""The guard's figures: false alarms, power, streams, and how long a million documents take.

python bench/guard.py [--quick] > bench/results/guard.json
"""

import json
import sys
import tempfile
import time
from math import sqrt
from pathlib import Path
from typing import Any

import laws
import mixing
import near_duplicates
import numpy as np
from figures import Figure, apart, command_line

from stillroom.collapse.betting import Wealth
from stillroom.collapse.incidence import Incidence
from stillroom.collapse.tests import ALPHA, compare

SLICES = np.r_[np.full(20, 0.9225 / 20), np.full(20, 0.0775 / 20)]
"""Tags: twenty common values, and a tail of twenty rare ones with 7.75 % of all records."""


def zipf(types: int, power: float = 1.0) -> Any:
    """Shares of types whose frequency falls with their rank."""
    shares = 1 / np.arange(1, types + 1) ** power
    return shares / shares.sum()


def documents(rng: Any, units: int, draws: int, shares: Any, cluster: int = 1) -> Incidence:
    """Units of so many drawn types; in clusters a unit is several documents on the same topics."""
    if cluster == 1:
        types = rng.choice(len(shares), size=(units, draws), p=shares)
    else:
        topics = rng.choice(len(shares), size=(units, draws), p=shares)
        types = np.take_along_axis(
            topics, rng.integers(0, draws, size=(units, draws * cluster)), axis=1
        )
    unit = np.repeat(np.arange(units), types.shape[1])
    pairs = np.unique(np.stack([unit, types.ravel()]), axis=1)
    codes = (pairs[1].astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return Incidence(units, pairs[0], codes)


def text_corpus() -> Incidence:
    """The packaged human docstrings: words and pairs of words by document."""
    from stillroom.stages.items import DocumentSet
    from stillroom.stages.sample import read

    home = Path(sys.modules["stillroom"].__file__ or "").parent / "corpora"
    return read(DocumentSet(home / "docstrings.parquet")).words


def some(corpus: Incidence, chosen: Any) -> Incidence:
    group = np.full(corpus.units, -1)
    group[chosen] = np.arange(len(chosen))
    return corpus.grouped(group)


def null(kind: str, trials: int, seed: int) -> dict[str, Any]:
    """How often two samples of one source are told apart."""
    rng = np.random.default_rng([seed, len(kind)])
    corpus = text_corpus() if kind == "text" else None
    _alarms, verdicts = 0, dict[str, int]()
    for trial in range(trials):
        if corpus is not None:
            order = rng.permutation(corpus.units)
            pair = some(corpus, order[:500]), some(corpus, order[500:1000])
        elif kind == "clusters":
            pair = tuple(documents(rng, 400, 4, zipf(5000), 5) for _ in range(2))
        elif kind == "unequal":
            pair = tuple(documents(rng, n, 1, zipf(400)) for n in (500, 2000))
        else:
            pair = tuple(documents(rng, 2000, 1, SLICES) for _ in range(2))
        said = compare(*pair, seed=trial).verdict
        verdicts[said] = verdicts.get(said, 0) + 1
    return {"alarms": verdicts.get("ALARM", 0), "trials": trials, "verdicts": verdicts}


def power(kind: str, trials: int, seed: int) -> dict[str, Any]:
    """How often a loss is seen at 2,000 units a set."""
    rng = np.random.default_rng([seed, 7, len(kind)])
    alarms = 0
    for trial in range(trials):
        if kind == "halved":
            lost = SLICES.copy()
            lost[20:] /= 2
            pair = documents(rng, 2000, 1, SLICES), documents(rng, 2000, 1, lost / lost.sum())
        elif kind == "halved words":
            shares = zipf(5000)
            lost = shares.copy()
            lost[np.cumsum(shares) > 0.9] /= 2
            pair = documents(rng, 2000, 20, shares), documents(rng, 2000, 20, lost / lost.sum())
        else:
            # The first generation of `replace`: a model that gives what it saw its own share.
            draws = 20 if kind == "replace, documents" else 1
            shares = zipf(20_000 if draws > 1 else 2000)
            counts = rng.multinomial(2000 * draws, shares)
            anchor = documents(rng, 2000, draws, shares)
            pair = anchor, documents(rng, 2000, draws, counts / counts.sum())
        alarms += compare(*pair, seed=trial).verdict == "ALARM"
    return {"power": alarms / trials, "trials": trials}


def undecidable(trials: int, seed: int) -> dict[str, Any]:
    """PASS where there are too few units to rule a loss out: half the trials lose half the tail."""
    rng = np.random.default_rng([seed, 11])
    passes = 0
    for trial in range(trials):
        lost = SLICES.copy()
        lost[20:] /= 2 - trial % 2
        units = int(rng.integers(40, 400))
        pair = documents(rng, units, 1, SLICES), documents(rng, units, 1, lost / lost.sum())
        passes += compare(*pair, seed=trial).verdict == "PASS"
    return {"passes": passes, "trials": trials}


def streams(share: float, trials: int, records: int, seed: int) -> dict[str, Any]:
    """Streams of records of which 5 % should be rare and 5 % times `share` are."""
    rng = np.random.default_rng([seed, 13])
    crossed = []
    for _ in range(trials):
        wealth = Wealth(0.05, 0.01).after(rng.random(records) < 0.05 * share)
        crossed.append(wealth.crossed)
    seen = sorted(n for n in crossed if n is not None)
    never = trials - len(seen)
    order = [*seen, *[records] * never]
    return {"ever": len(seen) / trials, "median": float(np.median(order)), "trials": trials}


def verifier(trials: int, seed: int) -> dict[str, Any]:
    """A verifier that passes 90 % of the rare and all the rest: generations until ALARM.

    A table model is fitted to what the verifier passed, generation after generation; a tenth of
    the types' ranks hold 70 % of the mass, the others are the rare ones.
    """
    rng = np.random.default_rng([seed, 17])
    shares, n, alarms, overall = zipf(400, 1.3), 4000, list[int](), list[float]()
    rare = np.cumsum(shares) > 0.7
    for trial in range(trials):
        human = np.bincount(rng.choice(len(shares), size=n, p=shares), minlength=len(shares))
        anchor = documents(rng, n, 1, shares)
        model, alarm = human / human.sum(), 99
        for generation in range(1, 6):
            drawn = rng.choice(len(shares), size=2 * n, p=model)
            passed = drawn[(rng.random(2 * n) < 0.9) | ~rare[drawn]]
            overall.append(len(passed) / (2 * n))
            kept = np.bincount(passed[:n], minlength=len(shares))
            model = kept / kept.sum()
            codes = (passed[:n].astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
            if compare(anchor, Incidence(n, np.arange(n), codes), seed=trial).verdict == "ALARM":
                alarm = generation
                break
        alarms.append(alarm)
    return {
        "latest": max(alarms),
        "median": float(np.median(alarms)),
        "overall": float(np.mean(overall)),
        "trials": trials,
    }


def million(count: int) -> dict[str, Any]:
    """CPU-seconds of the guard on a set of so many documents of about 1 kB, anchor 20,000."""
    from stillroom.stages.guard import guard

    rng = np.random.default_rng(5)
    words = np.array([f"w{n:x}" for n in rng.permutation(50_000)])
    shares = zipf(len(words))
    with tempfile.TemporaryDirectory() as folder:
        for name, documents_ in (("anchor", min(20_000, count)), ("set", count)):
            with Path(folder, f"{name}.jsonl").open("w") as file:
                for start in range(0, documents_, 10_000):
                    rows = min(10_000, documents_ - start)
                    drawn = words[rng.choice(len(words), size=(rows, 200), p=shares)]
                    file.writelines(json.dumps({"text": " ".join(r)}) + "\n" for r in drawn)
        size = Path(folder, "set.jsonl").stat().st_size / count
        begun = time.process_time()
        report = guard(Path(folder, "set.jsonl"), Path(folder, "anchor.jsonl"))
        seconds = time.process_time() - begun
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": seconds, "verdict": report.verdict, "bytes": size, "peak": peak}


PARTS = {
    "null": null,
    "power": power,
    "undecidable": undecidable,
    "streams": streams,
    "verifier": verifier,
    "million": million,
}


def measure(quick: bool) -> list[Figure]:
    script = __file__
    figures = []
    trials = 30 if quick else 500
    alarms, all_trials = 0, 0
    for kind in ("tags", "clusters", "unequal", "text"):
        found = apart(script, "null", kind, trials, 1)
        alarms, all_trials = alarms + found["alarms"], all_trials + trials
        share = found["alarms"] / trials
        figures.append(Figure(f"false alarms, null trials: {kind}", share, "share", "", trials))
    bound = ALPHA + 3 * sqrt(ALPHA * (1 - ALPHA) / all_trials)
    figures.insert(
        0,
        Figure(
            "false alarms of the family, null trials of all kinds",
            alarms / all_trials,
            "share",
            f"<= {bound:.4f}",
            all_trials,
            ALPHA,
        ),
    )
    for kind in ("halved", "halved words", "replace, documents", "replace, tags"):
        trials = 20 if quick else 100 if kind.endswith(("documents", "words")) else 400
        found = apart(script, "power", kind, trials, 2)
        figures.append(
            Figure(
                f"power at 2,000 units: {kind}", found["power"], "share", ">= 0.95", found["trials"]
            )
        )
    found = apart(script, "undecidable", 50 if quick else 1000, 3)
    figures.append(
        Figure("PASS where n can't decide", found["passes"], "trials", "<= 0", found["trials"])
    )
    for share, name, value, unit, target in (
        (1.0, "stream like its anchor, 50,000 records: ever an alarm", "ever", "share", "<= 0.01"),
        (0.8, "stream with 0.8 of the tail: median records", "median", "records", "<= 6000"),
    ):
        found = apart(script, "streams", share, 100 if quick else 2000, 50_000, 4)
        figures.append(Figure(name, found[value], unit, target, found["trials"]))
    found = apart(script, "verifier", 10 if quick else 100, 5)
    figures.append(
        Figure(
            "biased verifier: generations until ALARM, the slowest run",
            found["latest"],
            "generations",
            "<= 5",
            found["trials"],
            found["overall"],
        )
    )
    count = 20_000 if quick else 1_000_000
    found = apart(script, "million", count)
    figures.append(
        Figure("guard on 1 million documents of 1 kB", found["seconds"], "CPU-s", "<= 60", count)
    )
    figures.append(Figure("the same: memory", found["peak"], "GB", "", count))
    figures = [*laws.measure(quick), *figures]
    figures += near_duplicates.measure(near_duplicates.__file__, quick)
    return [*figures, *mixing.figures(quick)]


if __name__ == "__main__":
    command_line("guard", __doc__, PARTS, measure)
