"""Human data: read from files of every kind, dated by evidence, trusted or sent to review."""

import base64
import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from human import RELEASE, mixed, row, tables, text, write
from worlds import Sums

import stillroom
from stillroom import UserError, files
from stillroom.stages import collection, corpus
from stillroom.stages.mix import Report, mix

AFTER = "after the cutoff"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("human") / "run"
    stillroom.run(Sums(), out=folder, count=30, workers=0, settings=("power.sample=0",))
    return folder


def told(report: Report, source: str = "") -> dict[int, dict[str, Any]]:
    """What ids.parquet says of every row of the human source."""
    rows = files.read_parquet(report.folder / "ids.parquet").to_pylist()
    return {one["row"]: one for one in rows if not one["source"].startswith("sums ")}


def of_these(content: str, how: str) -> str:
    raw = content.encode()
    if how == "git":
        return "git:" + hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()
    if how == "sha1":
        return "sha1:" + base64.b32encode(hashlib.sha1(raw).digest()).decode()
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def dated(kind: str, date: str, **more: str) -> dict[str, str]:
    return {"kind": kind, "date": date, **more}


LADDER = [
    ([dated("warc", "2019-03-01T10:00:00Z", digest="sha1")], "A", ""),
    ([dated("snapshot", "20190301100000", digest="sha256")], "A", ""),
    ([dated("timestamp", "2019-03-01", digest="sha256:" + "0" * 64)], None, "review: a digest"),
    ([dated("warc", "2019-03-01")], "C", "no trusted evidence: tier C"),
    ([RELEASE], "A", ""),
    ([dated("release", "2020-05-04")], "C", "no trusted evidence: tier C"),
    ([dated("repository", "2021-12-31", blob="9f" * 20)], "B", ""),
    ([dated("publisher", "2021", digest="git")], "B", ""),
    ([dated("repository", "2021-12-31")], "C", "no trusted evidence: tier C"),
    ([dated("git-author", "2018-01-01")], "C", "no trusted evidence: tier C"),
    ([dated("last-modified", "2018-01-01")], "C", "no trusted evidence: tier C"),
    ([dated("mtime", "2018"), dated("sitemap", "2017-05")], "C", "no trusted evidence: tier C"),
    ([dated("footer", "2009"), dated("url", "2010-01")], "D", "no trusted evidence: tier D"),
    ([dated("detector", "2009"), dated("style", "2009")], "E", "no trusted evidence: tier E"),
    # A later date of any tier sends what would be trusted to review.
    ([RELEASE, dated("last-modified", "2022-01-01")], "A", "review: last-modified gives a later"),
    ([RELEASE, dated("footer", "2024")], "A", "review: footer gives a later"),
    ([RELEASE, dated("url", "2023-05")], "A", "review: url gives a later"),
    ([RELEASE, dated("detector", "2030")], "A", "review: detector gives a later"),
    ([RELEASE, dated("footer", "2021")], "A", ""),
    # The cutoff is strict, in UTC, and a year or month counts to its end.
    ([RELEASE | {"date": "2021-12-31"}], "A", ""),
    ([RELEASE | {"date": "2022-01-01"}], "A", AFTER),
    ([RELEASE | {"date": "2022"}], "A", AFTER),
    ([RELEASE | {"date": "2021-12-31T23:30:00-05:00"}], "A", AFTER),
    ([RELEASE | {"date": "2023-03-03"}], "A", AFTER),
    ([RELEASE | {"date": "sometime in May"}], None, "review: a date can't be read"),
    ([RELEASE, dated("text", "31/12/2020")], "A", "review: a date can't be read"),
    ([], None, "undated: taken as after the cutoff"),
]  # fmt: skip


def test_the_ladder_says_who_is_trusted_and_why_others_are_not(run: Path, tmp_path: Path) -> None:
    rows = []
    for number, (evidence, _, _) in enumerate(LADDER):
        own = [one | {"digest": of_these(text(number), one["digest"])}
               if one.get("digest", ":").isalnum() else one for one in evidence]  # fmt: skip
        rows.append({"text": text(number), "evidence": own})
    report = mixed(run, tmp_path / "m", write(tmp_path / "h.jsonl", rows), more=["mix.guard=0"])
    found = told(report)
    for number, (evidence, _, reason) in enumerate(LADDER):
        role = "dropped" if reason else "anchor"
        assert (found[number]["role"], evidence) == (role, evidence)
        assert found[number]["reason"].startswith(reason), evidence
        assert reason or not found[number]["reason"]
    kept = {record.id: record.origin for record in report.dataset if record.world == "human"}
    for number, (evidence, tier, reason) in enumerate(LADDER):
        if reason:
            assert found[number]["id"] not in kept
            continue
        origin = kept[found[number]["id"]]
        assert (origin.kind, origin.depth, origin.tier) == ("human", 0, tier)
        assert origin.latest is not None
        assert origin.latest < "2022-01-01"
        assert len(origin.evidence) == len(evidence)
    # Nothing is dropped without a name: every reason is counted and has examples.
    source = report.figures["sources"][0]
    assert sum(source["roles"].values()) == len(LADDER)
    assert sum(source["reasons"].values()) == sum(bool(reason) for _, _, reason in LADDER)
    assert set(source["examples"]) == set(source["reasons"])
    assert "presumed human" in report.figures["claim"]
    assert "presumed human" in (report.folder / "README.md").read_text()


def test_dates_span_what_they_say(run: Path, tmp_path: Path) -> None:
    evidence = [RELEASE | {"date": "2020-02"}, dated("publisher", "2019", blob="ff")]
    path = write(tmp_path / "h.jsonl", [row(1, *evidence)])
    (human,) = [r for r in mixed(run, tmp_path / "m", path, more=["mix.guard=0"]).dataset
                if r.world == "human"]  # fmt: skip
    assert (human.origin.earliest, human.origin.latest) == ("2019-01-01", "2020-02-29")
    assert human.origin.evidence[0].startswith("release 2020-02 sha256=abab")


def test_another_cutoff_and_none_in_the_future(run: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "h.jsonl", [row(1, RELEASE | {"date": "2022-06-01"}), row(2)])
    later = mixed(run, tmp_path / "m", path, more=["mix.cutoff=2022-11-30", "mix.guard=0"])
    assert later.figures["counts"]["anchor"] == 2
    with pytest.raises(UserError, match=r"mix\.cutoff = '2099-01-01': a cutoff in the future"):
        mixed(run, tmp_path / "n", path, more=['mix.cutoff="2099-01-01"'])


def test_every_format_gives_the_same_records(run: Path, tmp_path: Path) -> None:
    rows = [row(n, genre="ab"[n % 2]) for n in range(40)]
    write(tmp_path / "a.jsonl", rows)
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as packed:
        packed.write("﻿" + (tmp_path / "a.jsonl").read_text())
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "c.parquet")
    pd.DataFrame(rows).to_parquet(tmp_path / "d.parquet")
    flat = pd.DataFrame([one | {"evidence": json.dumps(one["evidence"])} for one in rows])
    flat.to_csv(tmp_path / "e.csv", index=False)
    flat.to_csv(tmp_path / "f.tsv", index=False, sep="\t")
    pq.write_table(pa.Table.from_pylist(rows[:20]), tmp_path / "p0.parquet")
    (tmp_path / "parts").mkdir()
    for number, half in enumerate((rows[:20], rows[20:])):
        pq.write_table(pa.Table.from_pylist(half), tmp_path / "parts" / f"{number}.parquet")
    (tmp_path / "texts" / "deep").mkdir(parents=True)
    for number, one in enumerate(rows):
        folder = tmp_path / "texts" / ("deep" if number % 2 else "")
        (folder / f"{number:02d}.txt").write_text(one["text"])
    seen = {}
    names = ("a.jsonl", "b.jsonl.gz", "c.parquet", "d.parquet", "e.csv", "f.tsv", "parts")
    for name in names:
        source = {"path": str(tmp_path / name), "source": "same", "tags": ["genre"]}
        report = mixed(run, tmp_path / f"m {name}", source)
        human = [record for record in report.dataset if record.world == "human"]
        seen[name] = [(r.id, r.data["text"], r.tags, r.origin) for r in human]
        assert len(human) + len(report.held) == 40
    assert all(one == seen["a.jsonl"] for one in seen.values())
    assert {tags["genre"] for _, _, tags, _ in seen["a.jsonl"]} == {"a", "b"}
    texts = {"path": str(tmp_path / "texts"), "source": "same", "evidence": [RELEASE]}
    report = mixed(run, tmp_path / "m texts", texts)
    ids = {record.id for record in report.dataset if record.world == "human"}
    assert ids == {rid for rid, *_ in seen["a.jsonl"]}


def test_a_packaged_corpus_by_its_name(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.Table.from_pylist([{"words": text(n)} for n in range(9)]),
                   tmp_path / "letters.parquet")  # fmt: skip
    told = 'text = "words"\nlicence = "CC0-1.0"\nabout = "letters"\n[[evidence]]\n'
    (tmp_path / "letters.toml").write_text(
        told + f'kind = "release"\ndate = 2019-01-01\nsha256 = "{"cd" * 32}"\n'
    )
    monkeypatch.setattr(corpus, "PACKAGED", tmp_path)
    report = mixed(run, tmp_path / "m", {"path": "letters"}, more=["mix.guard=0"])
    human = [record for record in report.dataset if record.world == "human"]
    assert [record.data["text"] for record in human] == [text(n) for n in range(9)]
    assert {(r.origin.licence, r.origin.source) for r in human} == {("CC0-1.0", "letters")}
    with pytest.raises(UserError, match=r"did you mean 'letters'\?.*packaged corpora: letters"):
        mixed(run, tmp_path / "n", {"path": "leters"})


GOOD = json.dumps(row(1)).encode()
BAD: list[tuple[str, bytes, str]] = [
    ("a.jsonl", b"", "the corpus is empty"),
    ("a.jsonl", b"\n\n", "the corpus is empty"),
    ("a.jsonl", GOOD + b"\n" + GOOD[:20], "line 2.*|is not JSON"),
    ("a.jsonl", b'{"text": "a", "score": NaN}\n', "JSON knows no NaN: use null"),
    ("a.jsonl", b'{"text": NaN}\n', "JSON knows no NaN: use null"),
    ("a.jsonl", b"[1]\n", "not a JSON object"),
    ("a.jsonl", b'{"body": "a"}\n', "no field 'text'.*|did you mean text = \"body\""),
    ("a.jsonl", b'{"text": 3}\n', "field 'text' is no text"),
    ("a.jsonl", '{"text": "é"}\n'.encode("latin1"), "line 1"),
    ("a.jsonl", '{"text": "é"}\n'.encode("utf-16"), "UTF-16, not UTF-8"),
    ("a.jsonl", b'{"text": "a", "parents": "b"}\n', "'parents' must be a list of ids"),
    ("a.jsonl", b'{"text": "a", "depth": 1.5}\n', "'depth' must be a whole number"),
    ("a.jsonl", b'{"text": "a", "tags": ["b"]}\n', "'tags' must be an object"),
    ("a.jsonl", b'{"text": "a", "kind": "alien"}\n', "no kind 'alien'"),
    ("a.jsonl", b'{"text": "a", "evidence": [{"kind": "relase", "date": "2020"}]}\n',
     r"row 1|did you mean 'release'\?"),
    ("a.jsonl", b'{"text": "a", "evidence": [{"kind": "release", "dat": "2020"}]}\n',
     "evidence has no 'dat'; did you mean 'date'"),
    ("a.jsonl", b'{"text": "a", "evidence": "release"}\n', "'evidence' must be a list"),
    ("a.csv", b"text,n\n", "the corpus is empty"),
    ("a.csv", b"title,n\na,1\n", "no field 'text'"),
    ("a.csv", "text\né\n".encode("latin1"), "not UTF-8"),
    ("a.csv", b'text,evidence\na,"{"\n', "'evidence' is not JSON"),
    ("a.csv", b"text,n\na,1,2\n", "can't read it"),
    ("a.parquet", b"PAR1 not really", "can't read it"),
    ("a.txt", "é".encode("latin1"), "not UTF-8"),
    ("a.docx", b"text", "can't tell what kind of file .docx is"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words"), BAD)
def test_a_corpus_that_cannot_be_read_is_named(
    run: Path, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as wrong:
        mixed(run, tmp_path / "m", tmp_path / name)
    assert name in str(wrong.value)
    import re

    for word in words.split("|"):
        assert re.search(word, str(wrong.value).replace("\n", " ")), str(wrong.value)
    assert not (tmp_path / "m").exists()
    assert not list(tmp_path.glob(".m*"))


def test_folders_and_paths_that_hold_nothing(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="the corpus is empty: no file to read"):
        mixed(run, tmp_path / "m", tmp_path / "empty")
    with pytest.raises(UserError, match="there is no corpus"):
        mixed(run, tmp_path / "m", tmp_path / "nowhere.jsonl")


def test_columns_that_pandas_left_full_of_nan(run: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame([row(n, maker=None, depth=None) for n in range(5)])
    frame["maker"], frame["depth"] = float("nan"), float("nan")
    frame.to_parquet(tmp_path / "nan.parquet")
    report = mixed(run, tmp_path / "m", tmp_path / "nan.parquet", more=["mix.guard=0"])
    assert report.figures["counts"]["anchor"] == 5
    frame["maker"] = [1.0, float("nan"), 2.0, 3.0, 4.0]
    frame.to_parquet(tmp_path / "nan.parquet")
    with pytest.raises(UserError, match="field 'maker' holds numbers, not text"):
        mixed(run, tmp_path / "n", tmp_path / "nan.parquet")
    frame["text"] = float("nan")
    frame.to_parquet(tmp_path / "nan.parquet")
    with pytest.raises(UserError, match="field 'text' is no text"):
        mixed(run, tmp_path / "o", tmp_path / "nan.parquet")


def test_texts_that_are_blank_or_null_are_counted(run: Path, tmp_path: Path) -> None:
    rows = [row(1), row(2) | {"text": None}, row(3) | {"text": " \n "}]
    report = mixed(run, tmp_path / "m", write(tmp_path / "h.jsonl", rows), more=["mix.guard=0"])
    assert report.figures["sources"][0]["reasons"] == {"empty text": 2}


def test_evidence_of_the_file_is_recomputed(run: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "h.jsonl", [{"text": text(n)} for n in range(3)])
    right = {"kind": "release", "date": "2020", "file": files.sha256(path)}
    source = {"path": str(path), "evidence": [right]}
    assert mixed(run, tmp_path / "m", source, more=["mix.guard=0"]).figures["counts"]["anchor"] == 3
    source["evidence"] = [right | {"file": "0" * 64}]
    with pytest.raises(UserError, match="3 review: a digest is of other bytes"):
        mixed(run, tmp_path / "n", source)


def test_a_date_column_is_what_the_recipe_says(run: Path, tmp_path: Path) -> None:
    rows = [{"text": text(n), "date": "2020-01-01", "digest": of_these(text(n), "sha1")}
            for n in range(3)]  # fmt: skip
    path = write(tmp_path / "h.jsonl", rows)
    report = mixed(run, tmp_path / "m", {"path": str(path), "dated_by": "warc"})
    assert report.figures["counts"]["anchor"] + report.figures["counts"]["guard"] == 3
    with pytest.raises(UserError, match="3 no trusted evidence: tier D at best"):
        mixed(run, tmp_path / "n", path)  # a bare `date` is a date in the text
    with pytest.raises(UserError, match="did you mean 'warc'"):
        mixed(run, tmp_path / "o", {"path": str(path), "dated_by": "wark"})


def test_one_digest_does_not_speak_for_other_texts(run: Path, tmp_path: Path) -> None:
    shared = dated("warc", "2019", digest=of_these(text(1), "sha256"))
    path = write(tmp_path / "h.jsonl", [row(n, shared) for n in (1, 2, 3)])
    found = told(mixed(run, tmp_path / "m", path, more=["mix.guard=0"]))
    assert [found[n]["role"] for n in range(3)] == ["anchor", "dropped", "dropped"]
    bare = write(tmp_path / "b.jsonl", [{"text": text(n)} for n in (2, 1)])
    source = {"path": str(bare), "evidence": [shared]}
    found = told(mixed(run, tmp_path / "n", source, more=["mix.guard=0"]))
    assert [found[n]["role"] for n in range(2)] == ["dropped", "anchor"]


# Lineage.


def test_what_names_a_maker_or_parents_is_no_human_record(run: Path, tmp_path: Path) -> None:
    rows = [
        row(0, id="h"),
        row(1, id="para", maker="a model", parents=["h"], depth=1),
        row(2, id="edit", parents=["para"]),
        row(3, maker="a model"),
        row(4, parents=["nobody"]),
        row(5, id="a", parents=["b"]),
        row(6, id="b", parents=["a"]),
        row(7, parents=["a", "h"]),
        row(8, kind="synthetic", depth=1),
        row(9, kind="synthetic", depth=0),
        row(10, kind="mixed"),
        row(11, kind="unknown"),
        row(12, {"kind": "footer", "date": "2024"}, id="late"),
        row(13, parents=["late"]),
        row(14, id="deep", maker="a model", depth=7, parents=["h"]),
        *(row(100 + n) for n in range(40)),
    ]
    path = write(tmp_path / "h.jsonl", rows)
    report = mixed(run, tmp_path / "m", path, more=["mix.guard=0", "mix.unknown_depth=true",
                                                    "mix.depth=9", "mix.share=0.9"])  # fmt: skip
    found = told(report)
    by_id = {record.id: record.origin for record in report.dataset}
    depths = {n: by_id[found[n]["id"]].depth for n in found if found[n]["id"] in by_id}
    kinds = {n: by_id[found[n]["id"]].kind for n in found if found[n]["id"] in by_id}
    assert {n: depths[n] for n in (0, 1, 2, 8, 14)} == {0: 0, 1: 1, 2: 2, 8: 1, 14: 7}
    assert {n for n, depth in depths.items() if depth is None} == {3, 4, 5, 6, 7, 9, 10, 13}
    assert {n: kinds[n] for n in (0, 1, 2, 4, 8, 10)} == {
        0: "human", 1: "synthetic", 2: "mixed", 4: "mixed", 8: "synthetic", 10: "mixed"
    }  # fmt: skip
    assert found[11]["reason"] == "says that its origin is unknown"
    assert report.figures["sources"][0]["derived"] == 12
    poser = next(r for r in report.dataset if r.id == found[1]["id"])
    assert poser.verdict.checks[0].detail == "claims human, but names a maker"
    strict = mixed(run, tmp_path / "n", path, more=["mix.guard=0"])
    found = told(strict)
    assert {n for n in found if found[n]["reason"] == "depth unknown"} == {3, 4, 5, 6, 7, 9, 10, 13}
    assert found[14]["reason"] == "deeper than 2"


def test_lineage_in_csv(run: Path, tmp_path: Path) -> None:
    lines = ["text,parents,maker,depth,id"]
    told_of = (",,,a", ",,,b", "a b,,,", "a z,,,", ",a model,3,")
    lines += [f"{text(n)},{rest}" for n, rest in enumerate(told_of)]
    (tmp_path / "h.csv").write_text("\n".join(lines))
    source = {"path": str(tmp_path / "h.csv"), "evidence": [RELEASE]}
    report = mixed(run, tmp_path / "m", source, more=["mix.guard=0", "mix.depth=2"])
    found = told(report)
    reasons = ["", "", "over the share", "depth unknown", "deeper than 2"]
    assert [found[n]["reason"] for n in range(5)] == reasons


# First-party collections.

KEY = bytes(range(32))


def public(private: bytes = KEY) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw().hex()


def signed(tmp_path: Path, **more: str) -> tuple[Path, Path]:
    rows = [{"text": text(n)} for n in range(8)]
    rows.append(row(8, {"kind": "text", "date": "2024-02-03"}))
    rows.append(row(9, {"kind": "text", "date": "2025-02-03"}))
    path = write(tmp_path / "mine.jsonl", rows)
    given = {"collector": "A. Person", "consent": "I agree.", "since": "2024", "until": "2024-06"}
    return path, collection.sign(path, KEY, **(given | more))


def test_consented_captures_after_the_cutoff(run: Path, tmp_path: Path) -> None:
    path, told_by = signed(tmp_path)
    source = {"path": str(path), "collection": str(told_by), "key": public()}
    report = mixed(run, tmp_path / "m", source, more=["mix.guard=0"])
    human = [record for record in report.dataset if record.world == "human"]
    assert len(human) == 9
    origin = human[0].origin
    assert (origin.tier, origin.earliest, origin.latest) == (
        "first-party", "2024-01-01", "2024-06-30"
    )  # fmt: skip
    assert "A. Person" in origin.evidence[-1]
    assert public() in origin.evidence[-1]
    reasons = report.figures["sources"][0]["reasons"]
    assert reasons == {"review: a date after the collection's period": 1}


def test_collections_that_do_not_hold(run: Path, tmp_path: Path) -> None:
    path, told_by = signed(tmp_path)
    source = {"path": str(path), "collection": str(told_by), "key": public()}

    def refused(words: str, **other: str) -> None:
        with pytest.raises(UserError, match=words):
            mixed(run, tmp_path / "m", source | other)

    refused("signature is not of this key", key=public(bytes(32)))
    refused("needs both `collection`", key="")
    refused("mix.human.0.key", key="abc")
    refused("no such collection file", collection=str(tmp_path / "none.json"))
    whole = json.loads(told_by.read_text())
    for edit, words in (
        ({"consent": "I agree to all."}, "its text was changed"),
        ({"consent": " "}, "says no 'consent'"),
        ({"signature": "zz"}, "signature is not of this key"),
    ):
        told_by.write_text(json.dumps(whole | edit))
        refused(words)
    signed(tmp_path, since="2025", until="2024")
    refused("before it begins")
    signed(tmp_path, since="spring")
    refused("the collection's period: 'spring' is no date")
    signed(tmp_path)
    path.write_text(path.read_text() + json.dumps({"text": text(77)}) + "\n")
    refused("signed for another corpus file")


def test_without_cryptography_the_way_out_is_told(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told_by = signed(tmp_path)
    source = {"path": str(path), "collection": str(told_by), "key": public()}
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(UserError, match=r"pip install 'stillroom\[signed\]'"):
        mixed(run, tmp_path / "m", source)


def test_mistakes_in_the_table_are_told_together(run: Path, tmp_path: Path) -> None:
    settings = (
        tables("human", {"path": "a", "pth": "b", "evidence": [dated("relase", "2020")]}),
        tables("fresh", {"path": "c", "evidence": [dated("release", "yesterday")]}),
        "mix.shar=0.2",
        "mix.targets={level={a=0.7, b=0.6}}",
        "mix.max_weight=0.5",
    )
    with pytest.raises(UserError) as wrong:
        mix(run, out=tmp_path / "m", settings=settings, trust_code=True)
    for words in (
        "mix.human.0.pth = 'b': no such key; did you mean 'path'?",
        "did you mean 'release'?",
        "'yesterday' is no date",
        "mix.shar = 0.2: no such key; did you mean 'share'?",
        "add up to 1.3",
        "mix.max_weight = 0.5",
    ):
        assert words in str(wrong.value)
