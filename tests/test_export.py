"""Exports: splits by task, the card, going on after a stop."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from test_run import Powers

import stillroom
from stillroom import Record, UserError, View
from stillroom.stages import export as stage


class Talk(Powers):
    """Powers as a chat, with an export of its own."""

    name = "talk"
    formats = ("numbers",)

    def show(self, record: Record) -> View:
        turns = (
            {"role": "user", "content": f"{record.data['n']} squared?"},
            {"role": "assistant", "content": str(record.data["value"])},
        )
        return View(text=turns[1]["content"], messages=turns)

    def export(self, records: object, format: str, folder: Path) -> None:
        with (folder / "numbers.txt").open("w") as file:
            for record in records:  # type: ignore[attr-defined]
                file.write(f"{record.data['value']}\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "talk"
    stillroom.run(Talk(), out=folder, count=300, workers=0)
    return folder


def lines(folder: Path) -> list[dict]:
    return [
        json.loads(line)
        for part in sorted(folder.glob("*/*.jsonl"))
        for line in part.read_text().splitlines()
    ]


def test_chat_keeps_origin_and_splits_by_task(run: Path, tmp_path: Path) -> None:
    folder = stillroom.export(run, "chat", tmp_path / "chat", trust_code=True)
    rows = lines(folder)
    assert len(rows) == 300
    assert all(row["origin"]["kind"] == "synthetic" for row in rows)
    assert all(row["messages"][-1]["role"] == "assistant" for row in rows)
    homes: dict[int, set[str]] = {}
    for part in folder.glob("*/*.jsonl"):
        for line in part.read_text().splitlines():
            homes.setdefault(json.loads(line)["task"]["n"], set()).add(part.parent.name)
    assert all(len(splits) == 1 for splits in homes.values())  # even n have two records each
    assert set.union(*homes.values()) == {"train", "validation", "test"}


def test_the_card_says_what_it_is(run: Path, tmp_path: Path) -> None:
    card = (
        stillroom.export(run, "text", tmp_path / "t", trust_code=True) / "README.md"
    ).read_text()
    root = json.loads((run / "make" / "manifest.json").read_text())["root"]
    for words in ("synthetic", "licence", root, "300", "path: train/*.jsonl"):
        assert words in card


def test_parquet_and_own_formats(run: Path, tmp_path: Path) -> None:
    folder = stillroom.export(run, "parquet", tmp_path / "p", trust_code=True)
    assert sum(pq.read_metadata(part).num_rows for part in folder.glob("*/*.parquet")) == 300
    own = stillroom.export(run, "numbers", tmp_path / "n", trust_code=True)
    assert len((own / "data" / "numbers.txt").read_text().split()) == 300


def test_a_stopped_export_goes_on(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PART", 40)
    whole = lines(stillroom.export(run, "chat", tmp_path / "whole", trust_code=True))
    calls = 0

    def stop(*given: object) -> bytes:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise KeyboardInterrupt
        return content(*given)  # type: ignore[arg-type]

    content = stage._content
    monkeypatch.setattr(stage, "_content", stop)
    with pytest.raises(KeyboardInterrupt):
        stillroom.export(run, "chat", tmp_path / "stopped", trust_code=True)
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "stopped").glob("*/*.jsonl")}
    assert len(made) == 5
    monkeypatch.setattr(stage, "_content", content)
    assert lines(stillroom.export(run, "chat", tmp_path / "stopped", trust_code=True)) == whole
    assert all(p.stat().st_mtime_ns == when for p, when in made.items())


def test_what_is_asked_wrongly(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="allowed here: chat, text, parquet, numbers"):
        stillroom.export(run, "csv", tmp_path / "x", trust_code=True)
    with pytest.raises(UserError, match="trust-code"):
        stillroom.export(run, "chat", tmp_path / "x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        stillroom.export(run, "chat", tmp_path / "full", trust_code=True)
    with pytest.raises(UserError, match="no finished run"):
        stillroom.export(tmp_path, "chat", tmp_path / "y")
