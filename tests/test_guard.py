"""The guard: files, runs and streams against an anchor, through the public functions."""

import itertools
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from run_example import table

import stillroom
from stillroom import UserError, worlds
from stillroom.cli import cli
from stillroom.collapse.betting import Wealth, lower_bound
from stillroom.collapse.exact import fewer, holm
from stillroom.collapse.exchange import pool_of
from stillroom.collapse.incidence import Incidence, Items, of_tags, of_texts, words_of
from stillroom.collapse.tests import compare
from stillroom.record import Record
from stillroom.stages.monitor import monitor

EXAMPLES = Path(__file__).parents[1] / "examples"
CORPUS = Path(stillroom.__file__).parent / "corpora" / "docstrings.parquet"
Row = dict[str, Any]


def write(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tagged(rng: random.Random, count: int, rare: float = 0.06) -> list[Row]:
    """Records of ten common topics and, as `rare` of all, twenty rare ones."""
    rows = []
    for _ in range(count):
        topic = (
            f"rare-{rng.randrange(20)}" if rng.random() < rare else f"common-{rng.randrange(10)}"
        )
        rows.append({"text": "", "topic": topic, "side": rng.choice("ab")})
    return rows


def human() -> list[str]:
    import pyarrow.parquet as pq

    texts = pq.read_table(CORPUS)["text"].to_pylist()
    random.Random(5).shuffle(texts)
    return texts


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An anchor, a set like it, and one that lost most of its rare topics."""
    rng = random.Random(1)
    like = tagged(rng, 4000)
    poor = [row for row in tagged(rng, 4000) if row["topic"][0] == "c" or rng.random() < 0.3]
    return (
        write(tmp_path / "anchor.jsonl", tagged(rng, 4000)),
        write(tmp_path / "like.jsonl", like),
        write(tmp_path / "poor.jsonl", poor),
    )


def test_a_lost_tail_is_an_alarm_that_names_what_was_lost(sets: tuple[Path, Path, Path]) -> None:
    anchor, like, poor = sets
    report = stillroom.guard(poor, anchor)
    assert report.verdict == "ALARM"
    assert not report.ok
    share = report.channels["tags"].parts[0]
    assert share.name == "share"
    assert share.effect is not None
    assert share.effect < 0.6
    assert any("rare-" in one["slice"] for one in report.lost)
    assert stillroom.guard(like, anchor).verdict != "ALARM"


def test_pass_takes_enough_records(tmp_path: Path) -> None:
    rng = random.Random(2)
    few = [write(tmp_path / f"few{n}.jsonl", tagged(rng, 300)) for n in range(2)]
    report = stillroom.guard(few[0], few[1])
    assert report.verdict == "UNDERPOWERED"
    needs = [part.needs for part in report.channels["tags"].parts if part.needs]
    assert needs
    assert min(needs) > 500
    assert "would decide" in report.why
    many = [write(tmp_path / f"many{n}.jsonl", tagged(rng, 20_000, 0.36)) for n in range(2)]
    assert stillroom.guard(many[0], many[1]).verdict == "PASS"


def test_human_text_against_human_text_and_against_a_model_of_it(tmp_path: Path) -> None:
    texts = human()
    anchor = write(tmp_path / "a.jsonl", ({"text": one} for one in texts[:1200]))
    fresh = write(tmp_path / "b.jsonl", ({"text": one} for one in texts[1200:2400]))
    assert stillroom.guard(fresh, anchor).verdict != "ALARM"
    # Word pairs drawn as they were seen: the first generation of a model that learns by heart.
    rng, follows = random.Random(3), dict[str, list[str]]()
    for one in texts[2400:3600]:
        words = ["", *one.split(), ""]
        for a, b in itertools.pairwise(words):
            follows.setdefault(a, []).append(b)
    made = []
    for _ in range(1200):
        words = [rng.choice(follows[""])]
        while len(words) < 300 and (word := rng.choice(follows[words[-1]])):
            words.append(word)
        made.append(" ".join(words))
    report = stillroom.guard(write(tmp_path / "c.jsonl", ({"text": one} for one in made)), anchor)
    assert report.verdict == "ALARM"


def halves(
    records: Iterable[Record], show: Callable[[Record], Any], lost: Callable[[Record], bool]
) -> tuple[list[Row], list[Row], list[Row]]:
    """Views of two random halves, and the second one without most of some cases."""
    rng, found = random.Random(9), ([], [], [])  # type: tuple[list[Row], list[Row], list[Row]]
    for record in records:
        view = show(record)
        row = {"text": view.text, "tags": view.tags, **view.features}
        half = rng.random() < 0.5
        found[half].append(row)
        if half and not (lost(record) and rng.random() < 0.95):
            found[2].append(row)
    return found


LOST: dict[str, tuple[dict[str, Any], int, Callable[[Record], bool]]] = {
    "lessons": ({}, 1500, lambda record: record.tags["difficulty"] in ("9", "10")),
    "hello": ({}, 2400, lambda record: min(record.data["a"], record.data["b"]) < 100),
    "nim": ({"generations": 1}, 2400, lambda record: record.data["heap"] == 13),
    "projectile": ({}, 1600, lambda record: record.data["course"][-1]["x"] > 70),
    "clinic": ({"table": "patients.csv"}, 2400, lambda record: record.data["age"] > 85),
    "quiz": ({}, 900, lambda record: record.task["letter"] in "kgwy"),
}


LONG = ("lessons", "projectile")  # to make


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in LOST]
)
def test_a_planted_loss_is_found_in_every_world(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, count, lost = LOST[name]
    teacher = None
    if name == "clinic":
        config = {"table": str(table(tmp_path))}
    if name == "quiz":
        monkeypatch.syspath_prepend(str(EXAMPLES))
        from quiz import Parrot

        teacher = Parrot()
    use = name if name == "lessons" else str(EXAMPLES / f"{name}.py")
    world = worlds.build(worlds.find(use), config)
    result = stillroom.run(
        world, count=count, out=tmp_path / "run", teacher=teacher, workers=0,
        settings=("power.sample=0", "audit.run=false"),
    )  # fmt: skip
    first, second, poor = halves(result.dataset, world.show, lost)
    anchor = write(tmp_path / "anchor.jsonl", first)
    # What a loss shows in; lessons have so many words that these would take long.
    on = {"lessons": ("tags",), "projectile": ("features",)}.get(name, ())
    whole = stillroom.guard(write(tmp_path / "whole.jsonl", second), anchor, on=on)
    assert whole.verdict != "ALARM", whole.why
    report = stillroom.guard(write(tmp_path / "poor.jsonl", poor), anchor, on=on)
    assert report.verdict == "ALARM", report.why


def test_runs_are_read_as_their_world_shows_them(tmp_path: Path) -> None:
    runs = [
        stillroom.run(
            "lessons",
            count=60,
            seed=seed,
            out=tmp_path / str(seed),
            workers=0,
            settings=("power.sample=0",),
        ).folder
        for seed in (1, 2)
    ]
    report = stillroom.guard(runs[0], runs[1])
    assert set(report.channels) == {"text", "tags", "features"}
    assert json.loads((runs[0] / "guard" / "report.json").read_text())["verdict"] == report.verdict
    assert stillroom.verify(runs[0]).ok


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no document"),
        ([{"text": "ein Satz auf Deutsch über nichts als Vögel und Bäume"}] * 50, "languages"),
        ([{"name": 1}], "share no text"),
    ],
)
def test_sets_that_can_not_be_compared(tmp_path: Path, rows: list[Row], said: str) -> None:
    english = "the parameters of this function are returned to whoever called it and with them all"
    anchor = write(tmp_path / "a.jsonl", [{"text": f"{english} {n}"} for n in range(50)])
    with pytest.raises(UserError, match=said):
        stillroom.guard(write(tmp_path / "b.jsonl", rows), anchor)


def test_a_set_that_holds_its_anchor_is_refused(tmp_path: Path) -> None:
    texts = human()
    anchor = write(tmp_path / "a.jsonl", ({"text": one} for one in texts[:500]))
    mixed = write(tmp_path / "b.jsonl", ({"text": one} for one in texts[400:1000]))
    with pytest.raises(UserError, match="word for word"):
        stillroom.guard(mixed, anchor)


def test_copies_do_not_make_a_set_larger(tmp_path: Path) -> None:
    texts = human()
    anchor = write(tmp_path / "a.jsonl", ({"text": one} for one in texts[:600]))
    copied = write(tmp_path / "b.jsonl", ({"text": one} for one in texts[600:620] * 100))
    report = stillroom.guard(copied, anchor)
    assert report.channels["text"].units == (600, 20)
    assert any("copies" in note for note in report.notes)
    assert report.verdict == "UNDERPOWERED"


def test_what_stands_in_both_sets_is_left_out_of_both(tmp_path: Path) -> None:
    texts = human()
    anchor = write(tmp_path / "a.jsonl", ({"text": one} for one in texts[:500]))
    made = write(tmp_path / "b.jsonl", ({"text": one} for one in texts[498:998]))
    report = stillroom.guard(made, anchor)
    assert report.channels["text"].units == (498, 498)
    assert any("stand in both" in note for note in report.notes)


def test_worlds_of_different_kinds_and_numbers_that_are_none(tmp_path: Path) -> None:
    lessons = stillroom.run("lessons", count=40, out=tmp_path / "l", workers=0)
    sums = stillroom.run(EXAMPLES / "hello.py", count=40, out=tmp_path / "s", workers=0)
    with pytest.raises(UserError, match="world"):
        stillroom.guard(lessons.folder, sums.folder)
    rng = random.Random(4)
    good = [{"size": rng.random(), "kind": rng.choice("xyz")} for _ in range(100)]
    bad = [{"size": rng.random(), "kind": "x"} for _ in range(99)] + [
        {"size": float("nan"), "kind": "y"}
    ]
    path = tmp_path / "bad.csv"
    path.write_text("size,kind\n" + "".join(f"{r['size']},{r['kind']}\n" for r in bad))
    with pytest.raises(UserError, match="finite"):
        stillroom.guard(path, write(tmp_path / "good.jsonl", good))


def test_what_was_mixed_into_the_training_data_can_not_guard_it(tmp_path: Path) -> None:
    texts = human()
    evidence = [{"kind": "release", "date": "2015-01-01", "sha256": "ab" * 32}]
    rows = [{"text": one, "evidence": evidence} for one in texts[:400]]
    corpus = write(tmp_path / "human.jsonl", rows)
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f"""name = "r"\ncount = 40\n[world]\nuse = "{EXAMPLES / "hello.py"}"\n[power]\nsample = 0
[mix]\nshare = 0.1\n[[mix.human]]\npath = "{corpus}"\n"""
    )
    run = stillroom.run(recipe, out=tmp_path / "run", workers=0).folder
    told = json.loads((run / "guard" / "report.json").read_text())
    assert [one["anchor"] for one in told["comparisons"]] == ["held-out part"]
    assert told["verdict"] != "ALARM"
    # Run again: nothing to do, and the guard neither.
    before = (run / "guard" / "report.json").stat().st_mtime_ns
    stillroom.run(recipe, out=run, workers=0)
    assert (run / "guard" / "report.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="training data"):
        stillroom.guard(run, corpus, on=("text",))


def test_no_tail_is_no_pass(tmp_path: Path) -> None:
    even = [{"kind": "ab"[n % 2], "text": ""} for n in range(2000)]
    report = stillroom.guard(
        write(tmp_path / "b.jsonl", even), write(tmp_path / "a.jsonl", even), on=("tags",)
    )
    assert report.verdict == "UNDERPOWERED"
    assert "no rare type" in report.why


def test_documents_of_one_source_are_one_unit(tmp_path: Path) -> None:
    rng = random.Random(6)

    def sources(first: int) -> list[Row]:
        rows = []
        for source in range(first, first + 200):
            topics = rng.choices(range(3000), k=3)
            rows += [
                {"text": "", "site": str(source), "topic": f"t{rng.choice(topics) % 150}"}
                for _ in range(20)
            ]
        return rows

    a, b = write(tmp_path / "a.jsonl", sources(0)), write(tmp_path / "b.jsonl", sources(1000))
    assert stillroom.guard(a, b, unit="site").channels["tags"].units == (200, 200)
    with pytest.raises(UserError, match="unit"):
        stillroom.guard(a, b, unit="page")


def test_the_false_alarms_of_many_null_trials(tmp_path: Path) -> None:
    rng, alarms = np.random.default_rng(8), 0
    shares = np.r_[np.full(20, 0.92 / 20), np.full(40, 0.08 / 40)]

    def drawn(units: int) -> Incidence:
        types = rng.choice(60, size=units, p=shares).astype(np.uint64) + np.uint64(1)
        return Incidence(units, np.arange(units), types * np.uint64(0x9E3779B97F4A7C15))

    for trial in range(120):
        alarms += compare(drawn(400), drawn(300), alpha=0.05, seed=trial).verdict == "ALARM"
    assert alarms <= 13  # 6 are expected, 3 standard errors are 7


def test_a_stream_goes_on_after_a_restart_and_may_be_looked_at_any_time(tmp_path: Path) -> None:
    rng = random.Random(7)
    anchor = write(tmp_path / "a.jsonl", tagged(rng, 20_000, 0.1))
    like, poor = tagged(rng, 6000, 0.1), tagged(rng, 12_000, 0.06)
    stream, state = tmp_path / "stream.jsonl", tmp_path / "state.json"
    for upto in (1000, 3000, 6000):
        write(stream, like[:upto])
        seen = monitor(stream, anchor, state)
        assert not seen.alarm
    assert seen.new == 3000
    at_once = monitor(stream, anchor, tmp_path / "other.json")
    assert at_once.wealth == pytest.approx(seen.wealth)
    write(stream, like + poor)
    seen = monitor(stream, anchor, state)
    assert seen.alarm
    (crossed,) = (n for n in seen.crossed.values() if n)
    assert 6000 < crossed < 18_000
    write(stream, poor)
    with pytest.raises(UserError, match="not those that were seen"):
        monitor(stream, anchor, state)
    told = json.loads(state.read_text())
    told["documents"] = 3
    state.write_text(json.dumps(told))
    with pytest.raises(UserError, match="edited"):
        monitor(stream, anchor, state)


def test_the_command_gates(sets: tuple[Path, Path, Path]) -> None:
    anchor, like, poor = map(str, sets)
    done = CliRunner().invoke(cli, ["guard", poor, "--against", anchor, "--json"])
    assert done.exit_code == 3
    assert json.loads(done.output)["verdict"] == "ALARM"
    done = CliRunner().invoke(cli, ["guard", like, "--against", anchor])
    assert done.exit_code in (0, 3)
    assert "ALARM:" not in done.output


def test_a_sets_due_is_what_chance_gives_it() -> None:
    # Of a type with three units that the anchor has at all, how many are in the set: by all splits.
    for share in (0.5, 0.2):
        splits = [f"{n:03b}" for n in range(8)]
        odds = [share ** one.count("1") * (1 - share) ** one.count("0") for one in splits]
        known = [(p, one.count("0")) for p, one in zip(odds, splits, strict=True) if "1" in one]
        due = sum(p * zeros for p, zeros in known) / sum(p for p, _ in known)
        one = Incidence(3, np.arange(3), np.full(3, 7, np.uint64))
        pool = pool_of(one, Incidence(0, np.empty(0, np.int64), np.empty(0, np.uint64)))
        assert pool.due(share).tolist() == pytest.approx([due])


def test_exact_probabilities() -> None:
    # The lady tasting tea: 1 of 70, and with one cup wrong 17 of 70.
    assert fewer(0, 4, 4, 4) == pytest.approx(1 / 70)
    assert fewer(1, 3, 4, 4) == pytest.approx(17 / 70)
    assert fewer(4, 0, 4, 4) == 1.0
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_bets_are_fair_and_bounds_hold() -> None:
    # The wealth's mean stays 1 under the hypothesis: all 2^10 streams of ten fair records.
    streams = [[int(bit) for bit in f"{n:010b}"] for n in range(1024)]
    wealth = [np.exp(Wealth(0.5, 0.01).after(one).log) for one in streams]
    assert np.mean(wealth) == pytest.approx(1.0)
    rng = np.random.default_rng(0)
    over = sum(lower_bound(rng.random(500) < 0.1, 0.05) > 0.1 for _ in range(300))
    assert over <= 27
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Wealth(0.5, 0.01).after([2.0])


def test_types_of_texts_and_tags_have_their_names() -> None:
    found = of_texts([Items([0, 1], ["A rare thing", "a thing"])])
    names = words_of("a rare thing")
    seen = {
        (int(u), names[int(t)])
        for u, t in zip(found.unit, found.type, strict=True)
        if int(t) in names
    }
    assert seen == {
        (0, "a"), (0, "rare"), (0, "thing"), (0, "a rare"), (0, "rare thing"),
        (1, "a"), (1, "thing"),
    }  # fmt: skip
    tags = of_tags([Items([0], tags=[{"a": "1", "b": "2"}])], ["a", "b"])
    assert sorted(tags.names[int(t)] for t in tags.type) == ["a 1", "a 1 · b 2", "b 2"]
