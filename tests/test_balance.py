"""Targets, capped weights, quotas that a world fills, and slices that a verifier takes away."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from human import mixed, row, write
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from worlds import Sums, here

import stillroom
from stillroom import Check, Context, Data, Task, UserError, Verdict, files
from stillroom.stages.balance import FEW, Group, effective, rake
from stillroom.stages.mix import Report, mix
from stillroom.stages.rates import pass_rates

QUIET = ("power.sample=0", "audit.run=false")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("balance") / "run"
    stillroom.run(Sums(), out=folder, count=60, workers=0, settings=QUIET)
    return folder


def corpus(path: Path, **counts: int) -> dict[str, Any]:
    """A source of so many records of each cell, written "child_short"."""
    cells = [cell.split("_") for cell, count in counts.items() for _ in range(count)]
    rows = [row(n, audience=a, length=b) for n, (a, b) in enumerate(cells)]
    return {"path": str(write(path, rows)), "tags": ["audience", "length"]}


def weighed(report: Report) -> dict[str, float]:
    table = files.read_parquet(report.folder / "weights.parquet")
    assert table["id"].to_pylist() == [record.id for record in report.dataset]
    return dict(zip(table["id"].to_pylist(), table["weight"].to_pylist(), strict=True))


def margin(told: dict[str, Any], tag: str) -> dict[str, dict[str, Any]]:
    found = [*told["balance"]["margins"], *told["balance"]["crossings"]]
    (one,) = [one for one in found if one["tag"] == tag]
    return {value["value"]: value for value in one["values"]}


def test_weights_reach_the_targets_and_nothing_is_doubled(run: Path, tmp_path: Path) -> None:
    source = corpus(tmp_path / "h.jsonl", child_short=100, child_long=60, adult_short=40,
                    adult_long=200)  # fmt: skip
    more = ["mix.guard=0", "mix.targets={audience={child=0.7}, length={short=0.5, long=0.5}}"]
    report = mixed(run, tmp_path / "m", source, more=more)
    weights, told = weighed(report), report.figures
    assert len(set(weights)) == len(weights) == told["counts"]["mix"] == 460
    sums: Counter[str] = Counter()
    for record in report.dataset:
        for tag in ("audience", "length"):
            sums[f"{tag} {record.tags.get(tag)}"] += weights[record.id]
    for a, b, share in (("child", "adult", 0.7), ("short", "long", 0.5)):
        tag = "audience" if a == "child" else "length"
        total = sums[f"{tag} {a}"] + sums[f"{tag} {b}"]
        assert sums[f"{tag} {a}"] / total == pytest.approx(share, abs=1e-6)
        assert margin(told, tag)[a]["weighted"] == pytest.approx(share, abs=1e-6)
    assert margin(told, "audience")["(others)"]["n"] == 240
    n = np.array(list(weights.values()))
    assert told["balance"]["effective_n"] == pytest.approx(n.sum() ** 2 / (n**2).sum())
    assert told["balance"]["effective_n"] < 460
    assert told["balance"]["quotas"] == {}
    crossed = margin(told, "audience*length")
    assert crossed["child*short"]["target"] == pytest.approx(0.35)
    for one in crossed.values():
        low, high = one["weighted_interval"]
        assert low <= one["weighted"] <= high
        assert one["interval"][0] <= one["share"] <= one["interval"][1]
    # Records without the tags, the synthetic ones, keep their weight beside each other.
    assert len({round(weights[r.id], 9) for r in report.dataset if r.world == "sums"}) == 1


def test_what_is_rare_becomes_a_quota_and_no_giant(run: Path, tmp_path: Path) -> None:
    source = corpus(tmp_path / "h.jsonl", child_short=5, child_long=100, adult_short=150,
                    adult_long=300)  # fmt: skip
    targets = "{audience={child=0.5, adult=0.5}, length={short=0.5, long=0.5}}"
    more = ["mix.guard=0", f"mix.targets={targets}", "mix.max_weight=3"]
    report = mixed(run, tmp_path / "m", source, more=more)
    weights, told = weighed(report), report.figures
    assert max(weights.values()) <= 3
    cell = [weights[r.id] for r in report.dataset
            if r.tags.get("audience") == "child" and r.tags["length"] == "short"]  # fmt: skip
    tagged = 555
    quotas = json.loads((report.folder / "quotas.json").read_text())
    assert quotas["cells"] == [
        {"tags": {"audience": "child", "length": "short"}, "have": 5, "wanted": 139}
    ]
    assert quotas["quotas"] == {"audience": {"child": 134}, "length": {"short": 134}}
    assert quotas["quotas"] == told["balance"]["quotas"]
    assert -(-tagged // 4) == 139
    assert len(cell) == 5
    assert max(cell) <= 1
    assert any("too rare to be weighted" in note for note in told["notes"])


def test_targets_for_crossings(run: Path, tmp_path: Path) -> None:
    source = corpus(tmp_path / "h.jsonl", child_short=60, child_long=60, adult_short=60,
                    adult_long=60)  # fmt: skip
    more = ["mix.guard=0", 'mix.targets={"audience*length"={"child*short"=0.4}}']
    report = mixed(run, tmp_path / "m", source, more=more)
    assert margin(report.figures, "audience*length")["child*short"]["weighted"] == pytest.approx(
        0.4
    )
    for wrong, words in (
        ('{"audience*length"={"child"=0.4}}', "written with as many"),
        ('{"audience*length"={"child*shrt"=0.4}}', "length = 'shrt', a group that does not exist"),
    ):
        with pytest.raises(UserError, match=words):
            mixed(run, tmp_path / "n", source, more=["mix.guard=0", f"mix.targets={wrong}"])


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ("{audiense={child=0.5}}", r"audiense.*no record of the mix has"),
        ("{od={1=0.5}}", "did you mean 'odd'"),
        ("{audience={chld=0.5}}", "group that does not exist|did you mean 'child'"),
        ("{audience={child=1.0}}", "add up to 1, but records have other values: adult"),
        ("{audience={child=nan}}", "shares above 0"),
        ("{audience={child=-0.1}}", "shares above 0"),
        ("{audience={}}", "shares above 0"),
    ],
)
def test_targets_that_cannot_be(run: Path, tmp_path: Path, targets: str, words: str) -> None:
    source = corpus(tmp_path / "h.jsonl", child_short=30, adult_long=30)
    for word in words.split("|"):
        with pytest.raises(UserError, match=f"(?s){word}"):
            mixed(run, tmp_path / "m", source, more=["mix.guard=0", f"mix.targets={targets}"])
    assert not (tmp_path / "m").exists()


@examples(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(0, 120), min_size=2, max_size=6),
    shares=st.lists(st.floats(0.01, 1), min_size=6, max_size=6),
    cap=st.floats(1, 20),
)
def test_weights_are_capped_and_exact_where_the_caps_allow(
    counts: list[int], shares: list[float], cap: float
) -> None:
    codes = np.repeat(np.arange(len(counts)), counts)
    target = np.array(shares[: len(counts)]) / sum(shares[: len(counts)])
    group = Group("tag", tuple(map(str, range(len(counts)))), codes, target)
    weights = rake([group], len(codes), cap)
    assert (weights <= cap * (1 + 1e-9)).all()
    assert (weights >= 0).all()
    assert effective(weights) <= len(codes) + 1e-6
    for value, count in enumerate(counts):
        if count and count < FEW:
            assert weights[codes == value].max() <= 1 + 1e-9
    needed = target * len(codes) / np.maximum(counts, 1)
    if min(counts) >= FEW and needed.max() <= cap:
        got = np.bincount(codes, weights, minlength=len(counts)) / weights.sum()
        assert got == pytest.approx(target, abs=1e-6)


# Quotas that a world fills.


def test_a_quota_file_is_filled_by_lessons(tmp_path: Path) -> None:
    settings = (*QUIET, 'world.concepts=["sorting", "powers", "cups"]', "world.levels=[1, 2, 3]")
    stillroom.run("lessons", out=tmp_path / "run", count=120, workers=0, settings=settings)
    targets = 'mix.targets={level={"3"=0.4, "2"=0.3}, style={dialogue=0.5}}'
    first = mix(tmp_path / "run", out=tmp_path / "m", anchor=False,
                settings=(targets, "mix.max_weight=1.1", "mix.threshold=1.0"))  # fmt: skip
    path = first.folder / "quotas.json"
    quotas = json.loads(path.read_text())["quotas"]
    assert quotas
    sets = [word for one in settings for word in ("--set", one)]
    code, _, err = here("run", "lessons", "--fill", path, "--out", tmp_path / "fill",
                        "--workers", 0, *sets)  # fmt: skip
    assert code == 0, err
    made = [record.tags for record in stillroom.open(tmp_path / "fill")]
    for tag, wanted in quotas.items():
        assert {one[tag] for one in made} == set(wanted)
        for value, count in wanted.items():
            assert sum(one[tag] == value for one in made) >= count
    config = files.read_json(tmp_path / "fill" / "run.json")
    assert config is not None
    assert config["parts"]["config"]["only"] == {"quotas": quotas}
    # What was filled joins the mix, and what was missing is there.
    second = mix(tmp_path / "run", out=tmp_path / "n", anchor=False, settings=(
        targets, "mix.max_weight=3", "mix.threshold=1.0", f'mix.runs=["{tmp_path / "fill"}"]'
    ))  # fmt: skip
    for one in json.loads(path.read_text())["cells"]:
        (tag, *more), (value, *values) = one["tags"].keys(), one["tags"].values()
        if not more:
            assert not values
            assert margin(second.figures, tag)[value]["n"] >= one["wanted"]
    assert second.figures["counts"]["synthetic"] > first.figures["counts"]["synthetic"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such quota file"),
        ("{", "not JSON"),
        ("{}", "no quotas"),
        ('{"quotas": {}}', "nothing is missing"),
        ('{"quotas": {"level": {"9": 0}}}', "below 1"),
        ('{"quotas": {"level": {"9": "many"}}}', "quotas.level.9"),
        ('{"quotas": {"level": 9}}', "quotas.level"),
    ],
)
def test_quota_files_that_make_no_sense(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "quotas.json"
    if content is not None:
        path.write_text(content)
    code, _, err = here("run", "lessons", "--fill", path, "--out", tmp_path / "run")
    assert code == 2
    assert words in err
    assert not (tmp_path / "run").exists()


# Pass rates.


class Biased(Sums):
    """A checker that also refuses a part of the sums whose text is short."""

    name = "biased"
    refuses: float = 0.0

    def make(self, task: Task, ctx: Context) -> Any:
        return [{"a": task["a"], "b": int(ctx.rng.integers(100)), "total": 0, "dice": 0.5,
                 "words": [str(task["a"] % 8)]}]  # fmt: skip

    def check(self, task: Task, data: Data, ctx: Context) -> Any:
        unlucky = ctx.rng.random() < (0.05 + self.refuses * (data["words"] == ["3"]))
        return Verdict((Check("mood", not unlucky),))

    def show(self, record: Any) -> Any:
        return stillroom.View(str(record.data["b"]), tags={"cell": record.data["words"][0]})


@pytest.mark.parametrize(("refuses", "named"), [(0.0, []), (0.25, ["3"])])
def test_a_checker_that_refuses_a_slice_more_often_is_named(
    tmp_path: Path, refuses: float, named: list[str]
) -> None:
    run = tmp_path / "run"
    stillroom.run(Biased(refuses=refuses), out=run, count=1500, workers=0, settings=QUIET)
    slices = pass_rates(run)
    assert [one["value"] for one in slices if one["refused_more"]] == named
    assert len(slices) == 8
    kept = Counter(record.tags["cell"] for record in stillroom.open(run))
    for one in slices:
        assert one["kept"] >= kept[one["value"]]
        assert one["interval"][0] <= one["rate"] <= one["interval"][1]
        assert one["rate"] == one["kept"] / one["tried"]
    if named:
        assert slices[0]["value"] == "3"
        report = mix(run, out=tmp_path / "m", anchor=False, trust_code=True)
        assert report.figures["pass_rates"][0]["value"] == "3"


class Fails(Biased):
    """A checker with a bug, which is no refusal."""

    name = "fails"

    def check(self, task: Task, data: Data, ctx: Context) -> Any:
        if data["words"] == ["3"] and task["a"] % 5 == 0:
            raise ValueError("no mood")
        return Verdict((Check("mood", True),))


def test_pass_rates_leave_failures_out(tmp_path: Path) -> None:
    stillroom.run(Fails(), out=tmp_path / "run", count=200, workers=0, settings=QUIET)
    assert {one["rate"] for one in pass_rates(tmp_path / "run")} == {1.0}
    with pytest.raises(UserError, match="no run is there"):
        pass_rates(tmp_path)
