"""`mix`: the anchor whole, fresh records once, synthetic ones within bounds; the same bytes."""

import json
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pyarrow.parquet as pq
import pytest
from human import mixed, row, tables, text, write
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from processes import end_of, fork
from worlds import Asked, Sums, here

import stillroom
from stillroom import UserError, files, merkle
from stillroom.record import row_bytes
from stillroom.stages import mixing
from stillroom.stages.mix import Report, mix
from stillroom.stages.verify import verify

QUIET = ("power.sample=0",)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mix") / "run"
    stillroom.run(Sums(), out=folder, count=120, workers=0, settings=QUIET)
    return folder


@pytest.fixture(scope="module")
def human(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("corpora") / "h.jsonl", (row(n) for n in range(200)))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("pools") / "f.jsonl", (row(1000 + n) for n in range(60)))


def tree(folder: Path) -> dict[str, str]:
    return files.tree(folder)


def roles(report: Report) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in files.read_parquet(report.folder / "ids.parquet").to_pylist():
        found.setdefault(one["role"], []).append(one)
    return found


def test_a_mix_is_records_that_anyone_opens(
    run: Path, human: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = mixed(run, tmp_path / "m", human, more=["mix.share=0.25"])
    told, records = report.figures, list(stillroom.open(report.folder))
    counts = told["counts"]
    assert len(records) == counts["mix"] == counts["anchor"] + counts["synthetic"]
    assert counts["anchor"] + counts["guard"] == 200
    assert 20 < counts["guard"] < 60
    assert counts["synthetic"] == counts["anchor"] // 3
    assert [r.world for r in records] == ["human"] * counts["anchor"] + ["sums"] * (
        counts["synthetic"]
    )
    made = list(stillroom.open(run))[: counts["synthetic"]]
    for mixed_one, own in zip(records[counts["anchor"] :], made, strict=True):
        assert (mixed_one.id, mixed_one.tags, mixed_one.verdict) == (own.id, own.tags, own.verdict)
        assert json.loads(mixed_one.data["json"]) == own.data
        assert mixed_one.data["text"] == f"{own.data['a']} + {own.data['b']} = {own.data['total']}"
    leaves = [merkle.leaf(row_bytes(r)) for r in records]
    held = [merkle.leaf(row_bytes(r)) for r in report.held]
    assert mixing.root_of(told["key"], leaves, held) == told["root"]
    monkeypatch.setattr(mixing, "SLICE", 7)
    (part,) = pq.ParquetFile(report.folder / "data" / "00000.parquet").iter_batches(4096)
    assert mixing.row_leaves(part) == leaves
    assert mixing.ids(report.folder, *mixing.IN_MIX) == [r.id for r in records]
    assert mixing.ids(report.folder, "guard") == [r.id for r in report.held]
    assert told["depths"] == {"0": counts["anchor"], "1": counts["synthetic"]}
    # Other people's readers take the mix, and nothing that is held out.
    with duckdb.connect() as db:
        path = report.folder / "data" / "*.parquet"
        (count,) = db.execute(
            f"select count(*) from '{path}' where origin.kind = 'human'"
        ).fetchone()
    assert count == counts["anchor"]
    seen = datasets.load_dataset(str(report.folder), split="train", cache_dir=tmp_path / "cache")
    assert seen["id"][:] == [r.id for r in records]


def test_the_same_again_is_nothing_and_elsewhere_the_same_bytes(
    run: Path, human: Path, pool: Path, tmp_path: Path
) -> None:
    more = [tables("fresh", {"path": str(pool)}), "mix.fresh_share=0.1"]
    report = mixed(run, tmp_path / "m", human, more=more)
    times = {path: path.stat().st_mtime_ns for path in report.folder.rglob("*")}
    assert mixed(run, tmp_path / "m", human, more=more).figures == report.figures
    assert times == {path: path.stat().st_mtime_ns for path in report.folder.rglob("*")}
    shutil.copytree(run, tmp_path / "other name")
    (tmp_path / "moved").mkdir()
    moved = shutil.copy(human, tmp_path / "moved")
    again = mixed(tmp_path / "other name", tmp_path / "n", Path(moved), more=more)
    assert tree(again.folder) == tree(report.folder)
    assert str(tmp_path) not in (report.folder / "manifest.json").read_text()
    for other in (["mix.share=0.2"], ["mix.threshold=0.7"]):
        with pytest.raises(UserError, match="a mix of other settings, data or history"):
            mixed(run, tmp_path / "m", human, more=[*more, *other])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        mixed(run, tmp_path / "mine", human)


def test_killed_anywhere_it_comes_to_the_same_bytes(run: Path, human: Path, tmp_path: Path) -> None:
    whole = tree(mixed(run, tmp_path / "whole", human).folder)
    home, killed = tmp_path / "killed", 0
    for wanted in (".spool", "data/00000.parquet", "ids.parquet", "README.md"):
        child = fork(lambda: mixed(run, home, human))
        until = time.monotonic() + 30
        while time.monotonic() < until and not home.exists():
            parts = list(tmp_path.glob(".killed.*"))
            if any(str(p).endswith(wanted) or (p / wanted).exists() for p in parts):
                os.kill(child, signal.SIGKILL)
                killed += 1
                break
            time.sleep(0.0005)
        end_of(child)
        shutil.rmtree(home, ignore_errors=True)
    assert killed
    assert tree(mixed(run, home, human).folder) == whole
    assert not list(tmp_path.glob(".killed.*"))


def test_two_at_a_time_are_refused(run: Path, human: Path, tmp_path: Path) -> None:
    with stillroom.store.Run(run), pytest.raises(UserError, match="locked"):
        mixed(run, tmp_path / "m", human)


# What holds for every mix.


@examples(max_examples=15, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    share=st.sampled_from([0, 0.01, 0.1, 0.3, 0.5, 0.8]),
    fresh_share=st.sampled_from([0, 0.05, 0.1]),
    guard=st.sampled_from([0, 0.2, 0.5]),
    doubled=st.integers(0, 3),
)
def test_invariants_of_successive_mixes(
    run: Path,
    tmp_path_factory: pytest.TempPathFactory,
    sizes: tuple[int, int],
    share: float,
    fresh_share: float,
    guard: float,
    doubled: int,
) -> None:
    home = tmp_path_factory.mktemp("invariants")
    anchors = [row(n) for n in range(sizes[0])]
    near = [one | {"text": one["text"] + " indeed"} for one in anchors[:doubled]]
    path = write(home / "h.jsonl", [*anchors, *near, *anchors[:doubled]])
    fresh = write(home / "f.jsonl", [*(row(1000 + n) for n in range(sizes[1])), *near])
    settings = (
        tables("human", {"path": str(path)}),
        tables("fresh", {"path": str(fresh), "source": "pool"}),
        f"mix.share={share}",
        f"mix.fresh_share={fresh_share}",
        f"mix.guard={guard}",
    )
    used: set[str] = set()
    held: set[str] = set()
    for generation in range(3):
        out = home / f"g{generation:03d}"
        try:
            report = mix(run, out=out, settings=settings, trust_code=True)
        except UserError as wrong:
            if "the guard holds all" in wrong.what:
                return
            raise
        found, counts = roles(report), report.figures["counts"]
        ids = [record.id for record in report.dataset]
        assert len(set(ids)) == len(ids) == counts["mix"]
        # The anchor is whole: what is not in the mix is held, or a copy of what is here or held.
        texts = {record.data["text"] for record in [*report.dataset, *report.held]}
        assert {one["text"] for one in anchors} <= texts | {one["text"] for one in near}
        assert counts["anchor"] + counts["guard"] == sizes[0]
        # The guard's part is the same in every mix and nowhere else, nor a near copy of it.
        guarded = {record.id for record in report.held}
        assert not guarded & set(ids)
        held = held or guarded
        assert guarded == held
        reserved = {record.data["text"].removesuffix(" indeed") for record in report.held}
        mine = {record.data["text"].removesuffix(" indeed") for record in report.dataset}
        assert not reserved & mine
        # Shares.
        assert counts["synthetic"] <= share * counts["mix"] + 1e-9
        now = {one["id"] for one in found.get("fresh", ())}
        assert not now & used
        used |= now
        short = any("runs out" in note for note in report.figures["notes"])
        assert short or counts["fresh"] >= fresh_share * counts["mix"] - 1e-9
        assert not short or not found.get("unused")
        assert verify_mix(report, run) == []


def verify_mix(report: Report, run: Path) -> list[str]:
    whole = files.read_json(run / "make" / "manifest.json")
    assert whole is not None
    return mixing.recheck(report.folder, whole["root"])


def test_fresh_records_are_used_once_even_under_another_name(
    run: Path, human: Path, pool: Path, tmp_path: Path
) -> None:
    renamed = tmp_path / "renamed.jsonl"
    shutil.copy(pool, renamed)

    def step(out: str, file: Path, *after: str) -> Report:
        told = f"mix.after={json.dumps([str(tmp_path / one) for one in after])}"
        more = [tables("fresh", {"path": str(file)}), "mix.fresh_share=0.1", "mix.share=0.3", told]
        return mixed(run, tmp_path / out, human, more=more)

    first = step("one", pool)
    second = step("two", renamed, "one")
    third = step("three", pool, "one", "two")
    seen = [{r.data["text"] for r in one.dataset if (r.origin.source or "") in ("f", "renamed")}
            for one in (first, second, third)]  # fmt: skip
    assert [bool(one) for one in seen] == [True] * 3
    assert not seen[0] & seen[1]
    assert not seen[2] & (seen[0] | seen[1])
    assert sum(map(len, seen)) == 60  # the third mix gets what is left, and says so
    assert "the fresh pool runs out" in third.figures["notes"][0]
    assert third.figures["counts"]["unused"] == 0
    reasons = third.figures["sources"][1]["reasons"]
    assert reasons == {"fresh: used by an earlier mix": len(seen[0]) + len(seen[1])}
    with pytest.raises(UserError, match="no finished mix is there"):
        step("four", pool, "nowhere")
    with pytest.raises(UserError, match="a mix of other settings, data or history"):
        step("three", pool, "one")


def test_the_earliest_human_copy_stays(run: Path, tmp_path: Path) -> None:
    old = {"kind": "release", "date": "2011-01-01", "sha256": "ab" * 32}
    late = [row(n) for n in range(30)]
    early = [row(n, old) | {"text": text(n) + " indeed"} for n in range(10)]
    made = [row(n, maker="a model", depth=1) | {"text": text(n) + " so"} for n in range(10, 20)]
    path = write(tmp_path / "h.jsonl", [*made, *late, *early])
    report = mixed(run, tmp_path / "m", path, more=["mix.guard=0"])
    texts = {record.data["text"] for record in report.dataset if record.origin.kind == "human"}
    assert texts == {*(one["text"] for one in late[10:]), *(one["text"] for one in early)}
    dropped = roles(report)["dropped"]
    why = [one for one in dropped if one["source"] == "h"]
    assert {one["reason"] for one in why} == {"near-duplicate of a kept record"}
    assert sorted(one["row"] for one in why) == list(range(20))
    of = {one["row"]: one["of"] for one in why}
    kept = {one["row"]: one["id"] for one in roles(report)["anchor"]}
    # Made ones, then late ones: the texts of rows 0 to 9 are those of rows 20 to 29.
    assert [of[n] for n in range(10)] == [kept[20 + n] for n in range(10)]
    assert [of[10 + n] for n in range(10)] == [kept[40 + n] for n in range(10)]


def test_no_copy_of_what_the_guard_holds_is_mixed(run: Path, tmp_path: Path) -> None:
    old = {"kind": "release", "date": "2011-01-01", "sha256": "ab" * 32}
    late = [row(n) for n in range(60)]
    early = [row(n, old) | {"text": text(n) + " indeed"} for n in range(0, 60, 2)]
    path = write(tmp_path / "h.jsonl", late)
    report = mixed(run, tmp_path / "m", path, write(tmp_path / "e.jsonl", early))
    held = {record.data["text"].removesuffix(" indeed") for record in report.held}
    here = {record.data["text"].removesuffix(" indeed") for record in report.dataset}
    assert held
    assert not held & here
    reasons = report.figures["sources"][0]["reasons"]
    assert reasons["near-duplicate of a record held for the guard"] > 0
    # Copies go before the guard draws: both are samples of what is left.
    assert len(held) + report.figures["counts"]["anchor"] == 60


def test_best_first_in_plan_order(run: Path, tmp_path: Path, human: Path) -> None:
    derived = write(tmp_path / "d.jsonl", [row(500 + n, maker="m", depth=1) for n in range(30)])
    report = mixed(run, tmp_path / "m", human, derived, more=["mix.share=0.3"])
    worlds = [r.world for r in report.dataset if r.origin.kind == "synthetic"]
    assert set(worlds) == {"sums"}  # whose verdicts say more of them than a claim does
    report = mixed(run, tmp_path / "n", human, derived, more=["mix.share=0.47"])
    counts = report.figures["counts"]
    assert counts["derived"] == counts["synthetic"] - 120 > 0


# Without human data.


def test_no_trusted_human_record_is_refused_or_stamped(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no human source is named"):
        mix(run, out=tmp_path / "m", trust_code=True)
    footer = {"kind": "footer", "date": "2009"}
    path = write(tmp_path / "h.jsonl", [row(n, footer) for n in range(9)])
    with pytest.raises(UserError, match=r"(?s)9 no trusted evidence: tier D at best.*--no-anchor"):
        mixed(run, tmp_path / "m", path)
    report = mixed(run, tmp_path / "m", path, more=["mix.anchor=false"])
    told = report.figures
    assert told["counts"]["mix"] == told["counts"]["synthetic"] == 120
    assert told["anchor"] is False
    assert any(note.startswith("no anchor: there is no trusted human") for note in told["notes"])
    assert (
        "**No anchor: there is no trusted human record" in (report.folder / "README.md").read_text()
    )
    lonely = write(tmp_path / "one.jsonl", [row(n) for n in range(2)])
    with pytest.raises(UserError, match="the guard holds all 2 that are trusted"):
        mixed(run, tmp_path / "n", lonely, more=["mix.guard=0.999999"])


class Told:
    """Answers every question with another number."""

    model = "a model"
    said = 0

    async def ask(self, messages: Sequence[dict[str, str]], **params: Any) -> str:
        self.said += 1
        return f"There are {self.said}, and {text(5000 + self.said)}"


def test_depth_that_is_unknown_is_taken_on_request_alone(human: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    stillroom.run(Asked(), out=run, count=20, workers=0, teacher=Told(), settings=QUIET)
    plain = mixed(run, tmp_path / "m", human)
    assert plain.figures["counts"]["synthetic"] == 0
    assert plain.figures["sources"][1]["reasons"] == {"depth unknown": 20}
    asked = mixed(run, tmp_path / "n", human, more=["mix.unknown_depth=true"])
    assert asked.figures["depths"]["unknown"] == asked.figures["counts"]["synthetic"] == 20


def test_foreign_code_wants_consent(run: Path, human: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="trust-code"):
        mix(run, out=tmp_path / "m", settings=(tables("human", {"path": str(human)}),))
    with pytest.raises(UserError, match="no finished run"):
        mix(tmp_path, out=tmp_path / "m")
    with pytest.raises(UserError, match=r"only keys of its \[mix\]"):
        mix(run, settings=("seed=3",), trust_code=True)


# From the command line, in a recipe, and checked again.


@pytest.fixture
def project(tmp_path: Path, human: Path) -> Path:
    shutil.copy(human, tmp_path / "human.jsonl")
    (tmp_path / "r.toml").write_text(
        'count = 60\n[world]\nuse = "drills"\nfamilies = ["cups"]\n[power]\nsample = 0\n'
        '[mix]\nshare = 0.2\n[[mix.human]]\npath = "human.jsonl"\nlicence = "CC0-1.0"\n'
    )
    return tmp_path


def test_a_recipe_mixes_and_verify_checks_the_mix(project: Path) -> None:
    code, out, err = here("run", project / "r.toml", "--out", project / "run", "--workers", 0)
    assert code == 0, err
    assert "of the human anchor" in out
    home = project / "run" / "mix"
    told = json.loads((home / "manifest.json").read_text())
    assert told["counts"]["synthetic"] == told["counts"]["anchor"] // 4
    assert told["sources"][0]["licences"] == ["CC0-1.0"]
    code, out, err = here("mix", project / "run", "--json")
    assert json.loads(out)["root"] == told["root"]
    assert verify(project / "run").ok
    code, _, err = here("mix", project / "run", "--set", "mix.share=0.1")
    assert code == 2
    assert "--out" in err
    other = project / "other"
    code, out, err = here("mix", project / "run", "--set", "mix.human=[]", "--out", other)
    assert (code, "--no-anchor" in err) == (2, True)
    code, out, err = here("mix", project / "run", "--set", "mix.human=[]", "--no-anchor", "--out",
                          other)  # fmt: skip
    assert code == 0, err
    assert "no anchor" in out


EDITS = {
    "a byte": "data/00000.parquet: its bytes",
    "missing": "data/00000.parquet: missing",
    "added": "data/00001.parquet: added",
    "card": "README.md: its bytes",
    "manifest": "manifest.json: missing or edited",
    "reordered": "root is not what the rows give",
    "text": "its id does not follow from its source and text",
    "leak": "is held out for the guard, and in the mix",
    "counts": "counts are not what the records give",
}


@pytest.mark.parametrize("edit", EDITS)
def test_verify_names_what_was_changed_in_a_mix(run: Path, human: Path, edit: str,
                                                tmp_path: Path) -> None:  # fmt: skip
    shutil.copytree(run, tmp_path / "run")
    mixed(tmp_path / "run", tmp_path / "run" / "mix", human)
    home = tmp_path / "run" / "mix"
    part, manifest = home / "data" / "00000.parquet", home / "manifest.json"
    if edit == "a byte":
        raw = bytearray(part.read_bytes())
        raw[len(raw) // 2] ^= 1
        part.write_bytes(raw)
    elif edit == "missing":
        part.unlink()
    elif edit == "added":
        shutil.copy(part, home / "data" / "00001.parquet")
    elif edit == "card":
        (home / "README.md").write_text("all human")
    elif edit == "manifest":
        manifest.write_text(manifest.read_text().replace('"synthetic"', '"human"', 1))
    else:  # a forger who mends the hashes
        told = json.loads(manifest.read_text())
        if edit == "counts":
            told["counts"]["mix"] += 1
        else:
            table = pq.read_table(part)
            if edit == "reordered":
                table = table.take([1, 0, *range(2, len(table))])
            elif edit == "text":
                rows = table.to_pylist()
                rows[0]["data"]["text"] += " indeed"
                table = table.from_pylist(rows, table.schema)
            else:
                held = pq.read_table(home / "guard" / "00000.parquet")
                table = type(table).from_batches([*table.to_batches(), *held.to_batches()])
            pq.write_table(table, part)
        del told["seal"]
        told["files"] = mixing.files_of(home)
        files.write_json(manifest, files.seal(told))
    report = verify(tmp_path / "run")
    assert not report.ok
    assert any(EDITS[edit] in problem for problem in report.problems), report.problems


def test_generations_of_a_run_have_mixes_of_their_own(human: Path, tmp_path: Path) -> None:
    from worlds import Learns

    run = tmp_path / "run"
    stillroom.run(Learns(), out=run, count=20, workers=0, settings=QUIET)
    for number in range(2):
        report = mix(run, settings=(tables("human", {"path": str(human)}),
                                    f"mix.generation={number}"), trust_code=True)  # fmt: skip
        assert report.folder == run / "mix" / f"g00{number}"
        made = [r for r in report.dataset if r.world == "learns"]
        assert {r.generation for r in made} == {number}
        assert {r.origin.depth for r in made} == {1 + number}
    deep = mix(run, settings=(tables("human", {"path": str(human)}), "mix.generation=1",
                              "mix.depth=1"), out=tmp_path / "d", trust_code=True)  # fmt: skip
    assert deep.figures["sources"][1]["reasons"] == {"deeper than 1": 20}
    found = verify(run, trust_code=True)
    assert found.ok, found.problems
    part = run / "mix" / "g001" / "ids.parquet"
    part.write_bytes(part.read_bytes() + b" ")
    assert any(one.startswith("mix/g001/ids.parquet") for one in verify(run).problems)


def test_the_packaged_recipe(tmp_path: Path) -> None:
    code, _, err = here("run", "mix", "--count", 40, "--out", tmp_path / "run", "--workers", 0,
                          "--set", "power.sample=0", "--set", "audit.run=false")  # fmt: skip
    assert code == 0, err
    told = json.loads((tmp_path / "run" / "mix" / "manifest.json").read_text())
    assert told["sources"][0]["tiers"] == {"A": told["counts"]["anchor"] + told["counts"]["guard"]}
    assert told["sources"][0]["vintages"] == {"2021": told["sources"][0]["tiers"]}
    assert "BSD-3-Clause" in (tmp_path / "run" / "mix" / "README.md").read_text()
