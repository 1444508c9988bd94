"""The collapse laboratory: students that learn from their own samples, and what brings them back.

Table and trigram students alone but for one neural run: the worlds and the checks are the same.
"""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import stillroom
from stillroom import check_world, recipe, worlds
from stillroom.collapse.lab import Collapse, policies, predictions
from stillroom.collapse.lab.documents import Documents
from stillroom.collapse.lab.policies import ARMS
from stillroom.collapse.lab.reading import curves, tail_records
from stillroom.collapse.lab.rules import BOOKS, Rules
from stillroom.collapse.lab.students import decoded
from stillroom.collapse.lab.trigrams import Trigrams
from stillroom.collapse.laws import survival, survival_of_seen
from stillroom.collapse.simulate import Decoding
from stillroom.errors import Stopped, UserError
from stillroom.world import Context, stream

QUICK = ("power.sample=0",)
SMALL = {"data": "rules", "student": "table", "seeds": (1,), "generations": 3}
TEXT = {"data": "text", "student": "ngram", "n": 60}


def run(out: Path, **fields: Any) -> stillroom.pipeline.Result:
    return stillroom.run(Collapse(**(SMALL | fields)), out=out, workers=0, settings=QUICK)


def findings(result: stillroom.pipeline.Result) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in result.findings}


@pytest.mark.parametrize(
    "fields",
    [
        {"arms": ("replace", "same", "anchor-fresh", "top-p"), "generations": 2, "n": 1000},
        {"data": "rules-2", "student": "cells", "arms": ("exact-again", "biased"), "n": 1000},
        TEXT | {"arms": ("replace", "fresh", "accumulate"), "generations": 2},
    ],
    ids=["rule table", "cell table", "trigrams"],
)
def test_the_contract(fields: dict[str, Any], tmp_path: Path) -> None:
    result = check_world(Collapse(**(SMALL | fields)), tmp_path, own=1.0, core=0.85)
    assert result.counts["refused"] == result.counts["failed"] == 0
    told = findings(result)
    assert told["corpora that are not what their arm says"]["ok"]
    assert told["fresh human items used before"]["ok"]


def test_the_rule_book_says_what_is_right() -> None:
    data = BOOKS["rules-2"]
    (item,) = data.solved(np.array([17]), np.array([34]))
    rule = data.book[data.rule_of[17]]
    assert item == f"017:34={rule[4]}{rule[3]}"  # this book answers in the other order
    assert data.right([item]).all()
    wrong = f"{item[:7]}{(int(item[7:]) + 1) % 100:02d}"
    assert not data.right([wrong]).any()
    plain = BOOKS["rules"]
    (item,) = plain.solved(np.array([149]), np.array([70]))
    rule = plain.book[plain.rule_of[149]]
    assert item == f"149:70={rule[7]}{rule[0]}"


def test_human_items_are_one_endless_stream_of_right_answers_that_holds_no_question_back() -> None:
    data = BOOKS["rules"]
    items = data.human(3, 0, 50_000)
    assert data.human(3, 40_000, 40_100) == items[40_000:40_100]
    assert data.human(4, 0, 100) != items[:100]
    assert data.right(items).all()
    assert not data.leaked(items).any()
    seen, due = data.counts(3, 0, items), 50_000 * data.shares
    assert ((seen - due) ** 2 / due).sum() < 150 + 5 * np.sqrt(300)  # chi-square, 149 degrees
    assert all(data.held[pair] for pair in data.asked.ravel())


def test_packed_items_come_back_and_others_are_refused() -> None:
    data = BOOKS["rules"]
    items = data.human(1, 0, 3000)
    packed = data.pack(items)
    assert sorted(data.unpack(packed)) == sorted(items)
    for text in ("3471*1", "3471 3471", "3520 3471", "347", "3471*0", " 3471", "3471  3520"):
        with pytest.raises(ValueError, match="slice 2"):
            data.unpack([*packed[:2], text, *packed[3:]])


def test_arms_get_what_they_are_named_for() -> None:
    stretches = {
        "replace": [[(0, 100)], [], []],
        "same": [[(0, 100)], [(0, 20)], [(0, 20)]],
        "fresh": [[(0, 100)], [(100, 120)], [(120, 140)]],
        "anchor": [[(0, 100)], [(0, 100)], [(0, 100)]],
        "anchor-fresh": [[(0, 100)], [(0, 100), (100, 120)], [(0, 100), (120, 140)]],
        "accumulate": [[(0, 100)], [(0, 100)], [(0, 100)]],
        "human": [[(0, 100)], [(100, 200)], [(200, 300)]],
    }
    for arm, due in stretches.items():
        assert [policies.human_of(ARMS[arm], g, 100, 0.2) for g in range(3)] == due
        walked = [[(0, 100)]]
        for _ in range(2):
            walked.append(policies.next_human(ARMS[arm], walked[-1], 100, 0.2))
        assert walked == due
    sizes = {arm: policies.size(ARMS[arm], 2, 100, 0.2) for arm in stretches}
    assert sizes == {
        "replace": 100, "same": 100, "fresh": 100, "anchor": 200, "anchor-fresh": 200,
        "accumulate": 300, "human": 100,
    }  # fmt: skip


def test_predictions_are_the_laws_and_a_simulation_where_there_is_none() -> None:
    world = Collapse(**(SMALL | {"arms": tuple(ARMS), "generations": 5}))
    expected = world.source.expected(1, world.size)

    def presence(arm: str) -> list[Any]:
        return [predictions.predict(world, arm, 1, g).presence for g in range(5)]

    for arm, law in (("replace", "survival"), ("exact", "survival"), ("top-p", "simulation")):
        assert predictions.predict(world, arm, 1, 0).law == law
    replaced = presence("replace")
    s, due = 1.0, []
    for _ in range(5):
        due.append(1 - np.exp(-expected * s))
        s = 1 - np.exp(-s)
    np.testing.assert_allclose(replaced, due, rtol=1e-12)
    # Two ways to the same: the law of a fresh share, and a loop with one.
    fresh = presence("fresh")
    looped = predictions._simulate(world, "fresh", 5)
    assert np.abs(np.array(fresh) - looped).mean(1).max() < 0.02
    np.testing.assert_allclose(fresh, survival(expected[None], np.arange(5)[:, None], 0.2))
    cells = Collapse(**(SMALL | {"student": "cells", "arms": ("exact",)}))
    assert predictions.predict(cells, "exact", 1, 0).law == "does not apply"
    assert predictions.tell(cells, "exact", 1, 2).presence == [None] * 6


def test_words_are_predicted_from_their_counts() -> None:
    world = Collapse(**(SMALL | TEXT | {"arms": ("replace", "anchor", "fresh"), "generations": 4}))
    counts = world.source.expected(1, world.size)
    for t in range(4):
        one = predictions.predict(world, "replace", 1, t).presence
        np.testing.assert_allclose(one, survival_of_seen(counts, counts, t))
        assert (predictions.predict(world, "anchor", 1, t).presence == 1).all()
    fresh = predictions.predict(world, "fresh", 1, 1).presence
    arrived = world.source.counts(1, 60, world.source.human(1, 60, 72))
    assert (fresh[arrived > 0] == 1).all()
    np.testing.assert_allclose(fresh[arrived == 0], 1 - np.exp(-0.8 * counts[arrived == 0]))


def test_records_hold_the_predictions_that_were_made_at_the_start(tmp_path: Path) -> None:
    result = run(tmp_path, arms=("replace", "cool"))
    (file,) = (tmp_path / "make").rglob("start/lab/predictions.json")
    told = json.loads(file.read_bytes())
    assert told["edges"] == [0, 3, 4, 5, 10, 25]
    for record in result.dataset:
        data = record.data
        one = told["arms"][data["arm"]][str(data["seed"])][data["generation"]]
        assert [cell["predicted"] for cell in data["cells"]] == one["presence"]
        assert data["foretold"] == one["accuracy"]


def test_a_run_grows_by_generations(tmp_path: Path) -> None:
    run(tmp_path, arms=("fresh", "cool"), generations=2)
    run(tmp_path, arms=("fresh", "cool"), generations=9)
    whole = run(tmp_path / "other", arms=("fresh", "cool"), generations=9)
    assert stillroom.verify(tmp_path, root=whole.root).ok
    assert len(curves(tmp_path)["arms"]["cool"]["points"]) == 9


def test_predictions_that_were_changed_later_are_found(tmp_path: Path) -> None:
    world = Collapse(**(SMALL | {"arms": ("replace",)}))
    result = stillroom.run(world, out=tmp_path, workers=0, settings=QUICK)
    assert findings(result)["predictions that are not those written first"]["ok"]
    (file,) = (tmp_path / "make").glob("g002/state/lab/predictions.json")
    file.write_text(file.read_text().replace("0.9", "0.8", 1))
    records = [[r for r in result.dataset if r.generation == g] for g in range(3)]
    told = {one.name: one for one in world.audit(records, Context("audit", file.parent))}
    assert not told["predictions that are not those written first"].ok


def test_rare_abilities_go_first_and_fresh_data_with_the_anchor_keeps_them(tmp_path: Path) -> None:
    run(tmp_path, arms=("replace", "anchor-fresh"), seeds=(1, 2, 3), generations=4)
    told = curves(tmp_path)
    json.dumps(told)
    first, *_, last = told["arms"]["replace"]["points"]
    fell = {
        of: first["accuracy"][of]["mean"] - last["accuracy"][of]["mean"] for of in ("rare", "mean")
    }
    assert fell["rare"] > 0.1 > 0.03 > fell["mean"] > 0
    assert told["arms"]["anchor-fresh"]["recovered"][3] > 0.8
    assert last["alive"]["rare"]["mean"] < first["alive"]["rare"]["mean"] - 0.1
    assert abs(last["alive"]["rare"]["mean"] - last["predicted"]["rare"]) < 0.1
    assert abs(last["foretold"]["rare"] - last["accuracy"]["rare"]["mean"]) < 0.15
    rare = last["accuracy"]["rare"]
    assert len(rare["seeds"]) == 3
    assert rare["low"] < rare["mean"] < rare["high"]
    near = [abs(one["seen"] - one["predicted"]) <= 0.1 for one in told["cells"]]
    assert np.mean(near) >= 0.8


def test_rare_words_die_while_their_mass_stays(tmp_path: Path) -> None:
    run(tmp_path, **TEXT, arms=("replace", "human"))
    replaced, human = (curves(tmp_path)["arms"][arm]["points"][-1] for arm in ("replace", "human"))
    assert replaced["alive"]["rare"]["mean"] < 0.75
    assert replaced["rare_mass"]["mean"] > 0.8
    assert replaced["perplexity"]["rare"]["mean"] > 1.2 * human["perplexity"]["rare"]["mean"]
    assert replaced["accuracy"] == {"rare": None, "mean": None}


def test_trigrams_sample_what_they_find_probable() -> None:
    """Perplexity and samples are of one model, but for the floor that is never sampled."""
    data = Documents("docstrings")
    student = Trigrams(data, 1, 60, 5, data.human(1, 0, 60))
    the, of, draws = data.vocabulary["the"], data.vocabulary["of"], 40_000
    for first, second in ((of, the), (the, of)):  # a context that is there, and one that is not
        drawn = student._next(np.full(draws, first), np.full(draws, second), stream("next"))
        seen = np.bincount(drawn, minlength=len(data.vocabulary) + 1) / draws
        every = np.arange(len(seen))
        p = student._probability(np.full(len(seen), first), np.full(len(seen), second), every)
        assert abs(p.sum() - 1) < 1e-9
        assert np.abs(seen - p).sum() < 0.12
        common = p > 0.01
        assert (np.abs(seen - p)[common] < 0.011 + 4 * np.sqrt(p[common] / draws)).all()


def test_a_biased_verifier_passes_nearly_all_and_eats_the_tail(tmp_path: Path) -> None:
    result = run(tmp_path, arms=("biased", "replace"), generations=6, rare_pass=0.8)
    biased = [r.data for r in result.dataset if r.data["arm"] == "biased"]
    rates = [sum(one["sampled"]) / sum(one["tried"]) for one in biased]
    assert 0.93 < rates[0] < 0.95
    seen = list(tail_records(tmp_path, "biased", 1))
    assert [one.generation for one in seen] == list(range(6))
    assert 0.28 < seen[0].human < 0.31
    assert len(seen[0].in_tail) == 4000
    assert seen[-1].in_tail.mean() < 0.6 * seen[-1].human
    unbiased = list(tail_records(tmp_path, "replace", 1))
    assert abs(unbiased[0].in_tail.mean() - unbiased[0].human) < 0.04
    with pytest.raises(UserError, match="no arm 'cool'"):
        list(tail_records(tmp_path, "cool", 1))


def test_an_exact_verifier_lets_no_wrong_item_pass_and_asks_again(tmp_path: Path) -> None:
    result = run(tmp_path, student="cells", arms=("exact", "exact-again"), generations=2)
    for data in (record.data for record in result.dataset):
        assert data["right"] == data["sampled"]
        assert data["refused"] > 0
        assert (data["again"] > 0) == (data["arm"] == "exact-again")
        assert sum(data["tried"]) == 4000 + data["refused"] + data["again"]


def test_a_fresh_share_that_is_used_again_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = policies.next_human

    def stale(policy: Any, before: Any, n: int, share: float) -> Any:
        return honest(policy, [(0, n)], n, share)

    monkeypatch.setattr(policies, "next_human", stale)
    with pytest.raises(Stopped, match="nothing was kept in generation 2") as told:
        run(tmp_path, arms=("fresh",))
    assert "human: stretches [(4000, 4800)], not [(4800, 5600)]" in str(told.value)


def test_a_fresh_share_that_only_says_so_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The maker learns from old items and tells of new ones: their counts are others."""
    honest, make = Rules.human, Collapse.make

    def lying(self: Collapse, task: Any, ctx: Context) -> Any:
        def old(data: Rules, seed: int, first: int, stop: int) -> list[str]:
            return honest(data, seed, 0, stop - first)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Rules, "human", old)
            return make(self, task, ctx)

    monkeypatch.setattr(Collapse, "make", lying)
    with pytest.raises(Stopped, match="nothing was kept in generation 1") as told:
        run(tmp_path, arms=("anchor-fresh",))
    assert "fewer than its human items" in str(told.value)


def test_a_corpus_that_left_samples_out_is_found_by_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts of one record can't tell this: the audit puts generations side by side."""
    unpack = Rules.unpack

    def common_twice(self: Rules, texts: Any) -> list[str]:
        items = unpack(self, texts)
        return items[:-1] + items[:1] if len(items) == 4000 else items

    make = Collapse.make

    def leaving(self: Collapse, task: Any, ctx: Context) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Rules, "unpack", common_twice)
            return make(self, task, ctx)

    monkeypatch.setattr(Collapse, "make", leaving)
    told = findings(run(tmp_path, arms=("replace",)))
    found = told["corpora that are not what their arm says"]
    assert (found["value"], found["ok"]) == (2, False)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Any:
    result = run(tmp_path_factory.mktemp("lab"), arms=("anchor-fresh",), generations=2)
    return list(result.dataset)[1]


WRONG = {
    "arm": ("task", lambda d: d.update(arm="replace")),
    "generation": ("task", lambda d: d.update(generation=0)),
    "no anchor": ("human", lambda d: d["human"].pop(0)),
    "rare types more": ("learnt", lambda d: d["learnt"].__setitem__(149, 9)),
    "a slice less": ("learnt", lambda d: d["learnt"].pop()),
    "an item less": ("items", lambda d: d["items"].__setitem__(149, "")),
    "items out of order": ("items", lambda d: d["items"].__setitem__(149, "9999 0000")),
    "right": ("samples", lambda d: d["right"].__setitem__(0, d["right"][0] - 1)),
    "refusals": ("samples", lambda d: d.update(refused=3)),
    "a verifier that this arm has not": (
        "samples",
        lambda d: (
            d["tried"].__setitem__(0, d["tried"][0] + 1),
            d.update(refused=1, drawn=d["drawn"] + 1),
        ),
    ),
    "an answer": ("answers", lambda d: d["answers"].__setitem__(0, "-- " * 9 + "--")),
    "accuracy": ("answers", lambda d: d["accuracy"].update(rare=1.0)),
    "perplexity": ("perplexity", lambda d: d["perplexity"].update(rare=1.0)),
    "nats": ("perplexity", lambda d: d["nats"].__setitem__(0, -1.0)),
    "a law": ("cells", lambda d: d.update(law="survival")),
    "presence": ("cells", lambda d: d["cells"][0].update(present=0)),
    "a prediction": ("cells", lambda d: d["cells"][0].update(predicted=0.5)),
    "ability": ("cells", lambda d: d["foretold"].update(rare=0.5)),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_record_is_refused_where_it_is_wrong(name: str, record: Any) -> None:
    world = Collapse(**(SMALL | {"arms": ("anchor-fresh", "replace"), "generations": 2}))
    assert world.check(record.task, record.data, Context("check")).ok
    where, edit = WRONG[name]
    data = copy.deepcopy(record.data)
    edit(data)
    verdict = world.check(record.task, data, Context("check"))
    wrong = [one.name for one in verdict.checks if not one.ok]
    assert where in wrong
    assert verdict.score == 0


def test_lineage_is_the_record_that_was_learnt_from(record: Any) -> None:
    assert record.origin.depth == 2
    assert len(record.origin.parents) == 1


def test_decoding_cuts_and_sharpens() -> None:
    p = np.array([[0.5, 0.3, 0.15, 0.05]])
    np.testing.assert_allclose(decoded(p, Decoding(top_p=0.8)), [[0.625, 0.375, 0, 0]])
    np.testing.assert_allclose(decoded(p, Decoding(top_p=0.81))[0, 3], 0)
    squares = p**2 / (p**2).sum()
    np.testing.assert_allclose(decoded(p, Decoding(temperature=0.5)), squares)
    assert decoded(np.array([[1.0, 0.0]]), Decoding(temperature=0.5)).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"arms": ("replce",)}, "no arm 'replce'"),
        ({"arms": ("replace", "replace")}, "each once"),
        ({"seeds": ()}, "at least one seed"),
        ({"data": "text"}, "ngram learns text"),
        ({"student": "ngram"}, "ngram learns text"),
        (TEXT | {"arms": ("top-p",)}, "right or wrong"),
    ],
)
def test_settings_that_do_not_fit_are_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Collapse(**(SMALL | fields))


def test_too_few_documents_or_records_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="human documents are needed"):
        run(tmp_path / "a", **TEXT | {"n": 4000}, arms=("human",))
    with pytest.raises(UserError, match="no such corpus"):
        run(tmp_path / "b", **TEXT, corpus=str(tmp_path / "none.parquet"), arms=("replace",))
    world = Collapse(**(SMALL | {"arms": ("replace", "fresh")}))
    with pytest.raises(UserError, match="arm fresh of seed 1 has no record"):
        stillroom.run(world, out=tmp_path / "c", count=1, workers=0, settings=QUICK)


def test_it_is_ours_and_its_recipe_ships() -> None:
    spec = worlds.find("collapse")
    assert worlds.load(spec) is Collapse
    assert spec.ours
    file = Path(stillroom.__file__).parent / "recipes" / "collapse.toml"
    _, _, world = recipe.settle(recipe.from_file(file), str(file), file.parent)
    assert isinstance(world, Collapse)
    assert (world.student, world.generations, len(world.seeds)) == ("neural", 5, 3)


def test_a_neural_student_samples_the_likeliest_of_a_mass(tmp_path: Path) -> None:
    import torch

    from stillroom.collapse.lab import neural
    from stillroom.students.generation import generate

    data = BOOKS["rules"]
    neural.first(data, 2, stream("top-p"), tmp_path / "base.safetensors")
    model = neural.load(data, tmp_path / "base.safetensors")._model
    with torch.inference_mode():
        p = model(torch.tensor([[neural.BEGIN]])).logits[0, -1].softmax(-1).numpy()
    ranked = np.argsort(-p, kind="stable")
    inside = set(ranked[: int((p[ranked].cumsum() < 0.4).sum()) + 1].tolist())
    asked: dict[str, Any] = {"end": neural.END, "most": 1, "temperature": 1.0}
    said = generate(model, [[neural.BEGIN]] * 2000, top_p=0.4, **asked)
    first = {one.ids[0] if one.ids else neural.END for one in said}
    assert first <= inside
    assert len(first) > 0.8 * len(inside)
    greedy = generate(model, [[neural.BEGIN]] * 9, top_p=1e-9, **asked)
    assert {one.ids[0] for one in greedy} == {int(ranked[0])}


@pytest.mark.slow
def test_a_neural_student_is_the_same_in_any_process(tmp_path: Path) -> None:
    world = Collapse(
        student="neural", arms=("replace", "top-p"), seeds=(1,), generations=2, n=400,
        steps=30, base_steps=120,
    )  # fmt: skip
    stillroom.run(world, out=tmp_path, workers=2, settings=QUICK)
    report = stillroom.verify(tmp_path, replay=2)
    assert not report.problems
    assert report.replayed == 4
    kept = dict.fromkeys(world.arms, 0)
    for record in stillroom.open(tmp_path):
        assert record.data["held_out"] > 0  # it does sample them, and none is learnt from
        kept[record.data["arm"]] += sum(count > 0 for count in record.data["sampled"])
    assert kept["top-p"] < 0.95 * kept["replace"]
