"""Every fault that can be planted in a finished run: `verify` says no and names what is wrong."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds import SUMS, Learns, Sums, here

import stillroom
from stillroom import Record, UserError, files, parts, store
from stillroom.errors import Stopped
from stillroom.parts import Shard
from stillroom.pipeline import result
from stillroom.record import canonical, from_rows, record_id
from stillroom.stages.verify import Report, verify
from stillroom.store import Run

Row = dict[str, Any]
GIVEN: dict[str, Any] = {"count": 24, "workers": 0, "settings": ("power.sample=4",)}
SETTINGS = (*GIVEN["settings"], "world.how=sometimes fails")


def make(out: Path, **given: Any) -> str:
    return stillroom.run(SUMS, out=out, **(GIVEN | {"settings": SETTINGS} | given)).root


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 records in 4 shards of 8 tasks; 3 refused, one failed, 4 surplus."""
    folder = tmp_path_factory.mktemp("verify") / "run"
    make(folder)
    return folder


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify") / "learned"
    stillroom.run(Learns(), out=folder, **(GIVEN | {"count": 12}))
    return folder


@pytest.fixture
def run(honest: Path, tmp_path: Path) -> Path:
    return copied(honest, tmp_path / "run")


def copied(run: Path, to: Path) -> Path:
    """A copy in which data/ and the shards are one file each, as in the run."""
    subprocess.run(["cp", "-a", str(run), str(to)], check=True)
    return to


def shard(run: Path, name: str = "00001.parquet") -> Path:
    return run / "make" / "g000" / name


def rows(path: Path) -> list[Row]:
    found: list[Row] = pq.read_table(path).to_pylist()
    return found


def rewrite(path: Path, edit: Callable[[list[Row]], object]) -> None:
    """The file with its rows edited, else as it was: schema, footer, page checksums."""
    table = pq.read_table(path)
    here = table.to_pylist()
    edit(here)
    made = pa.Table.from_pylist(here, schema=table.schema)
    path.unlink()  # the other end of a hard link is left alone
    pq.write_table(made, path, compression="zstd", write_page_checksum=True)


def reseal(path: Path, **edits: Any) -> None:
    found = json.loads(path.read_text()) | edits
    del found["seal"]
    files.write_json(path, files.seal(found))


def flip(path: Path, where: float) -> None:
    content = bytearray(path.read_bytes())
    content[min(len(content) - 1, int(where * len(content)))] ^= 4
    path.write_bytes(content)


def says_no(folder: Path, *words: str, trust_code: bool = True, root: str | None = None) -> Report:
    """Assert that verify says no, and that one problem has all the words."""
    report = verify(folder, trust_code=trust_code, root=root)
    assert not report.ok, "verify noticed nothing"
    assert any(all(word in line for word in words) for line in report.problems), report.problems
    return report


def test_an_honest_run(honest: Path, learned: Path) -> None:
    for folder in (honest, learned):
        report = verify(folder, trust_code=True, replay=100, root=result(folder).root)
        assert report.problems == report.notes == []
        assert report.root == result(folder).root
        assert report.records == len(stillroom.open(folder))
        # One verdict for each record that was kept, was refused, or is surplus.
        counts = result(folder).counts
        assert report.checked == counts["kept"] + counts["refused"]
    counts = result(honest).counts
    assert [counts[name] for name in ("tasks", "refused", "failed", "surplus")] == [32, 3, 1, 4]
    code, out, _ = here("verify", honest, "--workers", "0", "--trust-code", "--json")
    assert code == 0
    assert json.loads(out)["ok"] is True


@pytest.mark.parametrize("wanted", [1, 10, 31, 32, 33, 1000])
def test_replay_remakes_as_many_tasks_as_asked_for(wanted: int, honest: Path) -> None:
    assert verify(honest, trust_code=True, replay=wanted).replayed == min(32, wanted)


def test_without_trust_hashes_alone_are_checked_and_that_is_said(honest: Path) -> None:
    report = verify(honest)
    assert report.ok
    assert report.checked == 0
    assert "--trust-code" in report.notes[0]


# Faults in a shard. Each is (file in make/g000, edit of its rows, words that must be said);
# "{0}" is the id of the file's first record, "{1}" of its second.


def _add(found: list[Row]) -> None:
    found.append(found[0] | {"id": "f" * 32})


def _swap(found: list[Row]) -> None:
    found[0], found[1] = found[1], found[0]


def _detail(found: list[Row]) -> None:
    found[0]["verdict"]["checks"][1]["detail"] = "all is well"


def _all_ok(found: list[Row]) -> None:
    found[0]["verdict"]["ok"] = True
    for check in found[0]["verdict"]["checks"]:
        check["ok"] = True


def _set(field: str, value: Any) -> Callable[[list[Row]], None]:
    """Set a field of the first row, by its path with dots."""

    def edit(found: list[Row]) -> None:
        *way, last = field.split(".")
        place = found[0]
        for step in way:
            place = place[step]
        place[last] = value

    return edit


KEPT, REST = "00001.parquet", "00000.rest.parquet"
CHANGED = ["record {0}", "changed"]
ROWS: dict[str, tuple[str, Callable[[list[Row]], object], list[str]]] = {
    "added": (KEPT, _add, ["record " + "f" * 32, "added"]),
    "doubled": (KEPT, lambda found: found.append(found[0]), ["record {0}", "more than once"]),
    "dropped": (KEPT, lambda found: found.pop(0), ["record {0}", "missing"]),
    "swapped": (KEPT, _swap, ["record {1}", "stands where", "{0}"]),
    "detail": (KEPT, _detail, CHANGED),
    "ok of a verdict": (KEPT, _set("verdict.ok", False), ["record {0}", "verdict.ok"]),
    "score": (KEPT, _set("verdict.score", 0.5), CHANGED),
    "depth": (KEPT, _set("origin.depth", 0), CHANGED),
    "depth unknown": (KEPT, _set("origin.depth", None), CHANGED),
    "kind": (KEPT, _set("origin.kind", "human"), CHANGED),
    "parents": (KEPT, _set("origin.parents", ["f" * 32]), CHANGED),
    "tags": (KEPT, _set("tags", [{"key": "odd", "value": "2"}]), CHANGED),
    "order of tags": (KEPT, lambda found: found[0]["tags"].reverse(), ["record {0}", "tags"]),
    "task": (KEPT, _set("task.json", '{"a":9999}'), CHANGED),
    "task not JSON": (KEPT, _set("task.json", "{"), CHANGED),
    "task id": (KEPT, _set("task.id", "0" * 32), CHANGED),
    "data": (KEPT, _set("data.total", 1000), CHANGED),
    "data in a list": (KEPT, _set("data.words", []), CHANGED),
    "data gone": (KEPT, _set("data", None), CHANGED),
    "world": (KEPT, _set("world", "mine"), CHANGED),
    "generation": (KEPT, _set("generation", 3), CHANGED),
    "usage": (KEPT, _set("usage.cost", 3.0), CHANGED),
    "id": (KEPT, _set("id", "e" * 32), ["record {0}", "missing"]),
    "id gone": (KEPT, _set("id", None), ["record {0}", "missing"]),
    "verdict gone": (KEPT, _set("verdict", None), ["record {0}"]),
    "checks gone": (KEPT, _set("verdict.checks", []), ["record {0}"]),
    "all rows gone": (KEPT, lambda found: found.clear(), ["record {0}", "missing"]),
    "a refused one's data": (REST, _set("data.total", 1000), CHANGED),
    "a refused one now right": (REST, _all_ok, CHANGED),
    "a refused one dropped": (REST, lambda found: found.pop(0), ["record {0}", "missing"]),
    "a surplus one": ("00003.parquet", lambda found: found.pop(), ["record", "missing"]),
    "a failed one's reason": ("00001.rest.parquet", _detail, []),
}


@pytest.mark.parametrize("trust", [True, False], ids=["", "hashes"])
@pytest.mark.parametrize("fault", ROWS)
def test_an_edited_shard(fault: str, trust: bool, run: Path) -> None:
    name, edit, words = ROWS[fault]
    if fault == "a failed one's reason":
        edit = _set("verdict.checks", [{"name": "exception", "ok": False, "detail": "rain"}])
        words = CHANGED
    ids = [row["id"] for row in rows(shard(run, name))]
    rewrite(shard(run, name), edit)
    says_no(run, f"g000/{name}", *(word.format(*ids) for word in words), trust_code=trust)


def test_same_records_in_other_bytes(run: Path) -> None:
    table = pq.read_table(shard(run))
    pq.write_table(table, shard(run), compression="none", write_page_checksum=True)
    says_no(run, "g000/00001.parquet", "bytes")


@pytest.mark.parametrize("linked", [False, True], ids=["copied", "linked"])
def test_a_flipped_bit_anywhere(linked: bool, honest: Path, tmp_path: Path) -> None:
    """In a shard, its evidence, the index and a part of data/, from the first byte to the last."""
    run = tmp_path / "run"
    if linked:
        copied(honest, run)
        assert shard(run).samefile(run / "data" / "g000-00001.parquet")
    else:
        shutil.copytree(honest, run)
    for name in ("00001.parquet", "00000.rest.parquet", "index.parquet", "g000-00001.parquet"):
        path = run / "data" / name if name.startswith("g000") else shard(run, name)
        good = path.read_bytes()
        for where in (0, 0.01, 0.2, 0.4, 0.6, 0.8, 0.95, 1):
            flip(path, where)
            try:
                report = verify(run)
            except Exception as wrong:
                pytest.fail(f"verify raised at {name}, {where}: {wrong!r}")
            told = f"data/{name}" if name.startswith("g000") else f"g000/{name}"
            assert any(line.startswith(told) for line in report.problems)
            if linked and name == "00001.parquet":
                assert any(line.startswith("data/g000-00001") for line in report.problems)
            path.write_bytes(good)
    assert verify(run, trust_code=True).ok


def test_the_command_line_says_no(run: Path) -> None:
    flip(shard(run), 0.5)
    for trust in ([], ["--trust-code"]):
        code, out, err = here("verify", run, "--workers", "0", *trust)
        assert code == 3
        assert "g000/00001.parquet" in out
        assert "NO:" in out
        assert err == ""
    code, out, _ = here("verify", run, "--workers", "0", "--json")
    assert code == 3
    assert json.loads(out)["ok"] is False
    assert any("g000/00001.parquet" in line for line in json.loads(out)["problems"])


# Faults in the folder.


def _move(one: Path, other: Path) -> None:
    spare = one.with_name("spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)


G, DATA = Path("make/g000"), Path("data")
FOLDER: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no shard": (lambda run: shard(run).unlink(), ["g000/00001.parquet", "missing"]),
    "no evidence": (
        lambda run: shard(run, REST).unlink(),
        ["g000/00000.rest.parquet", "missing"],
    ),
    "an empty shard": (lambda run: shard(run).write_bytes(b""), ["g000/00001.parquet", "damaged"]),
    "a cut-off shard": (
        lambda run: shard(run).write_bytes(shard(run).read_bytes()[:-9]),
        ["g000/00001.parquet", "damaged"],
    ),
    "two shards swapped": (
        lambda run: _move(shard(run), shard(run, "00002.parquet")),
        ["g000/00001.parquet", "added"],
    ),
    "an added shard": (
        lambda run: shutil.copy(shard(run), shard(run, "00099.parquet")),
        ["g000/00099.parquet", "added"],
    ),
    "an added rest": (
        lambda run: shutil.copy(shard(run, REST), shard(run, "00099.rest.parquet")),
        ["g000/00099.rest.parquet", "added"],
    ),
    "an added generation": (
        lambda run: shutil.copytree(run / G, run / "make" / "g001"),
        ["g001"],
    ),
    "no index": (lambda run: shard(run, "index.parquet").unlink(), ["g000/index.parquet"]),
    "an index that is none": (
        lambda run: shard(run, "index.parquet").write_bytes(b"PAR1"),
        ["g000/index.parquet"],
    ),
    "an edited index": (
        lambda run: rewrite(
            shard(run, "index.parquet"), lambda found: found[0].update(outcome="surplus")
        ),
        ["g000/index.parquet"],
    ),
    "no data part": (
        lambda run: (run / DATA / "g000-00001.parquet").unlink(),
        ["data/g000-00001.parquet", "missing"],
    ),
    "no data": (lambda run: shutil.rmtree(run / DATA), ["data/g000-00001.parquet", "missing"]),
    "an edited data part": (
        lambda run: rewrite(run / DATA / "g000-00001.parquet", _set("data.total", 3)),
        ["data/g000-00001.parquet"],
    ),
    "an extra file in data": (
        lambda run: shutil.copy(shard(run), run / DATA / "more.parquet"),
        ["data/more.parquet", "added"],
    ),
    "a hidden file in data": (
        lambda run: (run / DATA / ".more").write_text("x"),
        ["data/.more", "added"],
    ),
    "a folder in data": (
        lambda run: shutil.copytree(run / G, run / DATA / "more"),
        ["data/more", "added"],
    ),
    "an edited world": (
        lambda run: (run / "world" / "worlds.py").open("a").write("# mine\n"),
        ["world/worlds.py"],
    ),
    "no world": (lambda run: (run / "world" / "worlds.py").unlink(), ["world/worlds.py"]),
    "no run.json": (lambda run: (run / "run.json").unlink(), ["run.json"]),
    "no manifest": (lambda run: (run / G / "manifest.json").unlink(), ["g000/manifest.json"]),
    "no manifest of all": (
        lambda run: (run / "make" / "manifest.json").unlink(),
        ["make/manifest.json", "not finished"],
    ),
    "an edited audit": (
        lambda run: (run / "audit.json").write_text(
            (run / "audit.json").read_text().replace('"planted": ', '"planted": 9')
        ),
        ["audit.json"],
    ),
}


@pytest.mark.parametrize("trust", [True, False], ids=["", "hashes"])
@pytest.mark.parametrize("fault", FOLDER)
def test_an_edited_folder(fault: str, trust: bool, run: Path) -> None:
    edit, words = FOLDER[fault]
    before = files.tree(run)
    edit(run)
    assert files.tree(run) != before
    if fault == "no run.json":
        with pytest.raises(UserError, match="no run is there"):
            verify(run)
        return
    says_no(run, *words, trust_code=trust)


# Faults in the sealed files: each key in turn.

SEALED = {
    "make/g000/manifest.json": (
        *("stage", "key", "generation", "plan_ended", "counts", "shards"),
        *("dropped", "index_sha256", "root", "seal"),
    ),
    "make/manifest.json": (
        *("stage", "key", "counts", "generations", "data", "plan_ended", "root", "seal"),
    ),
    "run.json": ("identity", "parts", "spec", "private", "made_with", "seal"),
}


def _edited(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1")
    if isinstance(value, dict):
        first = next(iter(value))
        return value | {first: _edited(value[first])}
    return [_edited(value[0]), *value[1:]]


def test_every_field_is_edited_below(honest: Path) -> None:
    for name, keys in SEALED.items():
        assert set(json.loads((honest / name).read_text())) == set(keys)


@pytest.mark.parametrize(("name", "key"), [(n, key) for n, keys in SEALED.items() for key in keys])
def test_an_edited_field(name: str, key: str, run: Path) -> None:
    path, short = run / name, "/".join(Path(name).parts[-2:])
    good = path.read_bytes()
    value = json.loads(good)
    rest = {k: v for k, v in value.items() if k != key}
    edits = [value | {key: _edited(value[key])}, rest]
    edits += [value | {key: other} for other in (None, "x", [])]
    escaped = []
    for edited in edits:
        path.write_text(json.dumps(edited))
        try:
            says_no(run, short, "edited", trust_code=edited in edits[:2])
        except UserError as wrong:
            assert Path(name).name in str(wrong)  # noqa: PT017
        except Exception as wrong:
            escaped.append(f"{key} = {edited.get(key, 'left out')!r:.20}: {wrong!r:.60}")
    assert escaped == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", "3"])
@pytest.mark.parametrize("name", SEALED)
def test_a_manifest_that_is_none(name: str, text: str, run: Path) -> None:
    (run / name).write_text(text)
    code, out, err = here("verify", run, "--workers", "0", "--trust-code")
    assert code in (2, 3)
    assert "/".join(Path(name).parts[-2:]) in out + err


def _cut_data(run: Path, whole: Row) -> Row:
    """data/ without its last part, and nobody the wiser."""
    (run / "data" / whole["data"][-1]["name"]).unlink()
    return {"data": whole["data"][:-1]}


def _shorten_data(run: Path, whole: Row) -> Row:
    path = run / "data" / whole["data"][0]["name"]
    rewrite(path, lambda found: found.pop())
    told = whole["data"][0] | {"rows": whole["data"][0]["rows"] - 1, "sha256": files.sha256(path)}
    return {"data": [told, *whole["data"][1:]]}


def _foreign_data(run: Path, whole: Row) -> Row:
    """A part of data/ that is of no shard."""
    path = run / "data" / "g009-00000.parquet"
    shutil.copy(shard(run), path)
    told = {"name": path.name, "rows": len(rows(path)), "sha256": files.sha256(path)}
    return {"data": [*whole["data"], told]}


def _edit_data(run: Path, whole: Row) -> Row:
    path = run / "data" / whole["data"][0]["name"]
    rewrite(path, _set("data.total", 5))
    return {"data": [whole["data"][0] | {"sha256": files.sha256(path)}, *whole["data"][1:]]}


def _fewer(found: Row) -> Row:
    return {"counts": found["counts"] | {"refused": 0}}


def _no_evidence(run: Path, found: Row) -> Row:
    shard(run, REST).unlink()
    shards = [found["shards"][0] | {"rest_sha256": "", "refused": 0}, *found["shards"][1:]]
    counts = found["counts"] | {"refused": sum(s["refused"] for s in shards)}
    return {"shards": shards, "counts": counts}


def _swap_shards(run: Path, found: Row) -> Row:
    return {"shards": [found["shards"][1], found["shards"][0], *found["shards"][2:]]}


RESEALED: dict[str, tuple[str, Callable[[Path, Row], Row]]] = {
    "counts of all": ("make/manifest.json", lambda run, whole: _fewer(whole)),
    "root of all": ("make/manifest.json", lambda run, whole: {"root": "0" * 64}),
    "key of all": ("make/manifest.json", lambda run, whole: {"key": "0" * 32}),
    "generations": ("make/manifest.json", lambda run, whole: {"generations": []}),
    "data cut": ("make/manifest.json", _cut_data),
    "data shortened": ("make/manifest.json", _shorten_data),
    "data from elsewhere": ("make/manifest.json", _foreign_data),
    "data edited": ("make/manifest.json", _edit_data),
    "counts": ("make/g000/manifest.json", lambda run, found: _fewer(found)),
    "root": ("make/g000/manifest.json", lambda run, found: {"root": "0" * 64}),
    "key": ("make/g000/manifest.json", lambda run, found: {"key": "0" * 64}),
    "dropped": ("make/g000/manifest.json", lambda run, found: {"dropped": found["dropped"][1:]}),
    "no shards": ("make/g000/manifest.json", lambda run, found: {"shards": []}),
    "shards swapped": ("make/g000/manifest.json", _swap_shards),
    "evidence removed": ("make/g000/manifest.json", _no_evidence),
    "identity": ("run.json", lambda run, about: {"identity": "0" * 32}),
    "seed": ("run.json", lambda run, about: {"parts": about["parts"] | {"seed": 5}}),
}


@pytest.mark.parametrize("trust", [True, False], ids=["", "hashes"])
@pytest.mark.parametrize("fault", RESEALED)
def test_an_edited_file_with_a_new_seal(fault: str, trust: bool, run: Path, honest: Path) -> None:
    """What the records themselves give away is compared, whoever has sealed the file anew."""
    name, edit = RESEALED[fault]
    reseal(run / name, **edit(run, json.loads((run / name).read_text())))
    report = verify(run, trust_code=trust, root=result(honest).root)
    assert not report.ok, "verify noticed nothing, even with the root told"


def test_another_class_of_the_same_file_is_not_taken_for_the_world(run: Path) -> None:
    about = json.loads((run / "run.json").read_text())
    reseal(run / "run.json", spec=about["spec"] | {"cls": "Learns"})
    says_no(run)


# Learned state.


@pytest.mark.parametrize("edit", ["edited", "removed", "added", "note", "note removed"])
@pytest.mark.parametrize("state", ["start", "g000/state", "g001/state"])
def test_an_edited_state(state: str, edit: str, learned: Path, tmp_path: Path) -> None:
    run = copied(learned, tmp_path / "run")
    home = run / "make" / state
    note = home.with_suffix(".json")
    if edit == "edited":
        (home / "seen.txt").write_text("99")
    elif edit == "removed":
        (home / "seen.txt").unlink()
    elif edit == "added":
        (home / "more.txt").write_text("x")
    elif edit == "note":
        note.write_text(note.read_text().replace("seen.txt", "seem.txt", 1))
    else:
        note.unlink()
    says_no(run, "/".join(home.parts[-2:]), "state")


def test_generations_are_checked_each(learned: Path, tmp_path: Path) -> None:
    run = copied(learned, tmp_path / "run")
    path = run / "make" / "g001" / "00000.parquet"
    one = rows(path)[0]["id"]
    rewrite(path, _set("origin.depth", 1))
    report = says_no(run, "g001/00000.parquet", one, "changed")
    assert any("depth is 1, should be 2" in line for line in report.problems)


# A consistent forgery: everything is written anew by the store's own functions.


def forge(run: Path, edit: Callable[[list[Record]], list[Record]], name: str = KEPT) -> None:
    """Edit the kept records of a shard and make all hashes and seals right again."""
    about = json.loads((run / "run.json").read_text())
    told = json.loads((run / G / "manifest.json").read_text())
    index = int(name[:5])
    one = Shard(**told["shards"][index])
    kept, others = (
        from_rows(rows(path)) if path.exists() else []
        for path in (shard(run, name), shard(run, one.rest_name))
    )
    made = edit(kept)
    numbers = Shard(one.index, one.first, one.tasks, len(made), one.refused, one.failed)
    written = parts.write_shard(run / G, numbers, made, others, Sums.schema, {})
    told["shards"][index] = asdict(written)
    with Run(run) as opened:
        shards = [Shard(**s) for s in told["shards"]]
        count = told["counts"]["dataset"] + len(made) - len(kept)
        manifest = opened.finish(0, shards, count, told["key"], told["plan_ended"])
        whole = opened.lay_data([manifest], about["identity"])
    reseal(run / "audit.json", root=whole["root"])


def _origin(**edits: Any) -> Callable[[list[Record]], list[Record]]:
    def edit(found: list[Record]) -> list[Record]:
        return [found[0]._replace(origin=replace(found[0].origin, **edits)), *found[1:]]

    return edit


def _first(**edits: Any) -> Callable[[list[Record]], list[Record]]:
    return lambda found: [found[0]._replace(**edits), *found[1:]]


def _other_data(records: list[Record], **data: Any) -> list[Record]:
    """The first record with other data and the id that belongs to them."""
    first = records[0]
    new = first.data | data
    one = first._replace(id=record_id(first.task_id, 0, canonical(new)), data=new)
    return [one, *records[1:]]


FORGERIES: dict[str, tuple[Callable[[list[Record]], list[Record]], list[str]]] = {
    # What the world's own check can't know: another right answer, a record less.
    "right data": (lambda found: _other_data(found, dice=0.25), []),
    "a record less": (lambda found: found[1:], []),
    # What it can.
    "wrong data": (lambda found: _other_data(found, total=5), ["its check says now: total"]),
    "another id": (_first(id="d" * 32), ["record " + "d" * 32, "its id is not the hash"]),
    "another depth": (_origin(depth=0), ["its depth is 0, should be 1"]),
    "another kind": (_origin(kind="human"), ["human"]),
    "another maker": (_origin(maker="nobody/1"), ["nobody/1"]),
    "a parent that is none": (_origin(parents=("f" * 32,), depth=0), ["depth"]),
    "another task": (_first(task_json='{"a":9999}'), ["its task is not the plan's"]),
    "another tag": (_first(tags={"odd": "maybe"}), ["record", "tags"]),
    "another generation": (_first(generation=4), ["record", "generation"]),
    "another world": (_first(world="mine"), ["record", "world"]),
    "records swapped": (lambda found: [found[1], found[0], *found[2:]], ["record"]),
}


@pytest.mark.parametrize("fault", FORGERIES)
def test_a_consistent_forgery(fault: str, run: Path, honest: Path) -> None:
    forge(run, FORGERIES[fault][0])
    hashes = verify(run)
    assert hashes.ok, f"the forgery is not consistent: {hashes.problems}"
    true = result(honest).root
    says_no(run, true, "as you were told", trust_code=False, root=true)


@pytest.mark.parametrize("fault", [fault for fault, (_, words) in FORGERIES.items() if words])
def test_a_forgery_that_the_worlds_code_gives_away(fault: str, run: Path) -> None:
    edit, words = FORGERIES[fault]
    forge(run, edit)
    says_no(run, *words)


@pytest.mark.parametrize("fault", [fault for fault, (_, words) in FORGERIES.items() if not words])
def test_a_forgery_that_only_an_outside_root_gives_away(fault: str, run: Path) -> None:
    forge(run, FORGERIES[fault][0])
    assert verify(run, trust_code=True).ok  # as the docs say


def test_the_root_is_caught_at_the_command_line(run: Path, honest: Path) -> None:
    forge(run, FORGERIES["right data"][0])
    root = result(honest).root
    code, out, _ = here("verify", run, "--workers", "0", "--trust-code", "--root", root)
    assert code == 3
    assert root in out
    assert here("verify", honest, "--workers", "0", "--root", root)[0] == 0


def test_a_forged_run_is_unlike_the_replay(run: Path) -> None:
    forge(run, FORGERIES["right data"][0])
    report = verify(run, trust_code=True, replay=100)
    assert any("g000: task 8 (" in line for line in report.problems)


# Runs that are none, and replay.


def test_an_unfinished_run(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        make(tmp_path / "run", settings=(*GIVEN["settings"], "world.how=raises"))
    says_no(tmp_path / "run", "make/manifest.json", "not finished")
    assert here("verify", tmp_path / "run", "--workers", "0")[0] == 3


def test_no_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="no run is there"):
            verify(folder)
    code, _, err = here("verify", tmp_path)
    assert code == 2
    assert "no run is there" in err


def test_replay_notices_a_world_that_throws_its_own_dice(tmp_path: Path) -> None:
    make(tmp_path / "run", settings=(*GIVEN["settings"], "world.how=fickle"))
    assert verify(tmp_path / "run", trust_code=True).ok  # its data are right, its making is not
    report = verify(tmp_path / "run", trust_code=True, replay=5)
    assert report.replayed == 5
    assert len(report.problems) == 5
    assert all("gives other records now" in line for line in report.problems)
    words = ["verify", tmp_path / "run", "--workers", "0", "--trust-code", "--replay", "5"]
    code, out, _ = here(*words)
    assert code == 3
    assert "gives other records now" in out


def test_replay_elsewhere_says_so_and_nothing_of_forgery(run: Path) -> None:
    about = json.loads((run / "run.json").read_text())
    reseal(run / "run.json", made_with=about["made_with"] | {"cpu": "abacus"})
    report = verify(run, trust_code=True, replay=5)
    assert report.ok
    assert report.replayed == 0
    assert report.notes == ["other CPU or library: cannot replay"]
    words = ["verify", run, "--workers", "0", "--trust-code", "--replay", "5"]
    code, out, _ = here(*words)
    assert code == 0
    assert "cannot replay" in out


def test_replay_without_trust_is_said_not_to_have_happened(honest: Path) -> None:
    report = verify(honest, replay=5)
    assert report.replayed == 0
    assert report.notes


# Repair.

DAMAGE: dict[str, Callable[[Path], object]] = {
    "a cut-off shard": FOLDER["a cut-off shard"][0],
    "a flipped bit": lambda run: flip(shard(run), 0.4),
    "a flipped bit in the evidence": lambda run: flip(shard(run, REST), 0.4),
    "a removed shard": FOLDER["no shard"][0],
    "two shards swapped": FOLDER["two shards swapped"][0],
    "an edited record": lambda run: rewrite(shard(run), _set("data.total", 1)),
    "an added shard": FOLDER["an added shard"][0],
    "an edited manifest": lambda run: _edit_text(run / G / "manifest.json", "make", "fake"),
    "an edited manifest of all": lambda run: _edit_text(run / "make/manifest.json", "run", "fun"),
    "a cut-off manifest": lambda run: (run / G / "manifest.json").write_text("{"),
    "a cut-off manifest of all": lambda run: (run / "make" / "manifest.json").write_text("{"),
    "no manifest": FOLDER["no manifest"][0],
    "no manifest of all": FOLDER["no manifest of all"][0],
    "no index": FOLDER["no index"][0],
    "an edited index": FOLDER["an edited index"][0],
    "no data part": FOLDER["no data part"][0],
    "an edited data part": FOLDER["an edited data part"][0],
    "an extra file in data": FOLDER["an extra file in data"][0],
    "an edited world": FOLDER["an edited world"][0],
    "a resealed manifest": lambda run: reseal(run / G / "manifest.json", dropped=[]),
    "all of it": lambda run: shutil.rmtree(run / G),
}


def _edit_text(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(f'"{old}"', f'"{new}"', 1))


@pytest.mark.parametrize("damage", DAMAGE)
def test_repair_gives_the_same_root(damage: str, run: Path, honest: Path) -> None:
    DAMAGE[damage](run)
    root = result(honest).root
    if damage != "a resealed manifest":
        assert not verify(run, trust_code=True).ok
    assert make(run, repair=True) == root
    report = verify(run, trust_code=True, root=root, replay=9)
    assert report.problems == []
    assert files.tree(run / "data") == files.tree(honest / "data")


@pytest.mark.parametrize("state", ["start", "g000/state", "g001/state"])
def test_repair_of_a_learned_state(state: str, learned: Path, tmp_path: Path) -> None:
    run = copied(learned, tmp_path / "run")
    (run / "make" / state / "seen.txt").write_text("99")
    given = GIVEN | {"count": 12}
    assert stillroom.run(Learns(), out=run, repair=True, **given).root == result(learned).root
    report = verify(run, trust_code=True, replay=9)
    assert report.problems == []


def test_repair_at_the_command_line(run: Path, honest: Path) -> None:
    flip(shard(run), 0.4)
    words = ["run", SUMS, "--count", "24", "--workers", "0", "--out", run]
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    code, out, err = here(*words, *sets, "--repair")
    assert code == 0, err
    assert "g000/00001.parquet" in err
    assert f"Root {result(honest).root}" in out
    code, _, err = here(*words, *sets, "--repair")
    assert code == 0
    assert "nothing is damaged" in err


def test_repair_remakes_nothing_else(run: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in (run / G).glob("[0-9]*.parquet")}
    flip(shard(run, "00002.parquet"), 0.4)
    make(run, repair=True)
    after = {p.name: p.stat().st_mtime_ns for p in (run / G).glob("[0-9]*.parquet")}
    # 00001 holds a failure, which is made anew while there is no manifest.
    assert {n for n in before if before[n] != after[n]} <= {
        *("00002.parquet", "00002.rest.parquet", "00001.parquet", "00001.rest.parquet")
    }
    assert store.is_run(run)
