"""Exports of self-play: positions, merged positions, chats, SGF."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stillroom
from stillroom import open as open_dataset
from stillroom.errors import UserError
from stillroom.worlds.selfplay import SelfPlay, exporting
from stillroom.worlds.selfplay.game import game_of
from stillroom.worlds.selfplay.records import canonical, unpacked
from stillroom.worlds.selfplay.referee import referee_of
from stillroom.worlds.selfplay.showing import move_name

SMALL = {
    "blocks": 1,
    "channels": 8,
    "simulations": 6,
    "full_share": 0.6,
    "fast": 3,
    "batch": 8,
    "judge_games": 0,
    "samples": 0.0,
    "opening_plies": 4,
    "device": "cpu",
}


def played(folder: Path, games: int, **config) -> Path:
    world = SelfPlay(**SMALL | {"generations": 2} | config)
    stillroom.run(world, out=folder, count=games, workers=0, settings=("power.sample=0",))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Tic-tac-toe: short games that meet often, with all eight symmetries."""
    return played(tmp_path_factory.mktemp("export") / "run", 128, game="tictactoe", search="puct")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    formats = ("positions", "positions-unique", "positions-chat")
    return {to: stillroom.export(run, to, folder / to) for to in formats}


def parts(folder: Path) -> dict[str, list[dict]]:
    """The rows of each split."""
    found: dict[str, list[dict]] = {}
    for part in sorted((folder / "data").glob("*/*.parquet")):
        found.setdefault(part.parent.name, []).extend(pq.read_table(part).to_pylist())
    for part in sorted((folder / "data").glob("*/*.jsonl")):
        rows = [json.loads(line) for line in part.read_text().splitlines()]
        found.setdefault(part.parent.name, []).extend(rows)
    return found


def test_a_row_is_what_replaying_its_game_shows(run, exported):
    games = {record.id: record for record in open_dataset(run)}
    rows = [row for some in parts(exported["positions"]).values() for row in some]
    assert Counter(row["game"] for row in rows) == {
        name: len(game.data["positions"]) for name, game in games.items()
    }
    game = game_of("tictactoe")
    for row in rows:
        record = games[row["game"]]
        referee = referee_of("tictactoe")
        for move in record.data["moves"][: row["ply"]]:
            referee.play(move)
        bits = np.frombuffer(row["planes"], np.uint8)[None]
        levels = np.ones((1, game.planes), np.float32)
        planes = unpacked(bits, levels, (game.planes, 3, 3))
        assert planes[0].reshape(game.planes, -1).tolist() == referee.planes()
        assert row["legal"] == [a in referee.legal() for a in range(9)]
        assert row["move"] == record.data["moves"][row["ply"]]
        assert row["outcome"] == record.data["result"] * referee.mover
        assert ([row["canonical"]], [row["symmetry"]]) == canonical(planes, game.cells)
        assert (row["policy"] is None) == (row["policy_kind"] == "fast")
        assert (row["generation"], row["net"]) == (record.generation, record.data["net"])
        assert row["origin"]["kind"] == "synthetic"
    kinds = Counter(row["policy_kind"] for row in rows)
    assert min(kinds["full"], kinds["fast"]) > 50


def test_no_position_and_no_game_is_in_two_splits(exported):
    splits = parts(exported["positions"])
    assert set(splits) == {"train", "validation", "test", "shared"}  # games do meet: see `shared`
    for of in ("canonical", "game"):
        homes: dict[str, set[str]] = {}
        for home, rows in splits.items():
            for row in rows if home != "shared" else ():
                homes.setdefault(row[of], set()).add(home)
        assert all(len(some) == 1 for some in homes.values())
    known = {row["canonical"] for home in ("train", "validation") for row in splits[home]}
    assert {row["canonical"] for row in splits["shared"]} <= known


def test_merging_keeps_every_position_and_turns_what_it_says(exported):
    game = game_of("tictactoe")
    one, merged = parts(exported["positions"]), parts(exported["positions-unique"])
    assert set(one) == set(merged)
    for home, rows in merged.items():
        groups: dict[str, list[dict]] = {}
        for row in one[home]:
            groups.setdefault(row["canonical"], []).append(row)
        assert len(rows) == len(groups)
        for row in rows:
            group = groups[row["canonical"]]
            assert row["weight"] == len(group)
            visits, policy = np.zeros(9), np.zeros(9)
            for at in group:
                for a in range(9):
                    there = game.symmetries[at["symmetry"], a]
                    visits[there] += at["visits"][a]
                    policy[there] += at["policy"][a] if at["policy"] else 0
                    assert row["legal"][there] == at["legal"][a]
            full = sum(at["policy"] is not None for at in group)
            assert row["visits"] == visits.tolist()
            assert row["policy_weight"] == full
            if full:
                np.testing.assert_allclose(row["policy"], policy / full, rtol=1e-5, atol=1e-7)
            assert (row["policy"] is None) == (full == 0)
            assert row["outcome"] == pytest.approx(np.mean([at["outcome"] for at in group]))
            assert set(row["origin"]["parents"]) == {at["game"] for at in group}
            planes = unpacked(
                np.frombuffer(row["planes"], np.uint8)[None],
                np.ones((1, game.planes), np.float32),
                (game.planes, 3, 3),
            )
            assert canonical(planes, game.cells) == ([row["canonical"]], [0])
            taken = planes[0, :2].reshape(2, 9).any(axis=0)
            assert row["legal"] == (~taken).tolist()
    turned = [at["symmetry"] for rows in one.values() for at in rows]
    assert len(set(turned)) > 4


def test_chats_ask_for_the_move_that_search_recommends(exported):
    unique = {row["canonical"]: row for some in parts(exported["positions-unique"]).values()
              for row in some if row["policy"] is not None}  # fmt: skip
    chats = parts(exported["positions-chat"])
    game = game_of("tictactoe")
    seen = set()
    for home in ("train", "validation", "test"):
        for row in chats[home]:
            asked, answer = row["messages"]
            known = unique[row["id"]]
            best = move_name(game, int(np.argmax(known["policy"])))
            assert answer["content"] == best
            assert ("visited" in answer["reasoning_content"]) == (sum(known["visits"]) > 0)
            assert known["proof"] != -1
            board = [line for line in asked["content"].splitlines() if re.match(r" ?\d ", line)]
            assert len(board) == 3
            column, line = ord(best[0]) - ord("a"), board[3 - int(best[1])]
            assert line.split()[1 + column] == "."
            assert row["id"] not in seen
            seen.add(row["id"])
    card = (exported["positions-chat"] / "README.md").read_text()
    for words in ("path: data/train/*.jsonl", "synthetic", "`shared`", "tictactoe"):
        assert words in card


def test_positions_are_dealt_out_alike_in_any_number_of_buckets(
    run, exported, tmp_path, monkeypatch
):
    monkeypatch.setattr(exporting, "BUCKET", 16 * 81)
    monkeypatch.setattr(exporting, "CHUNK", 10 * 81)
    again = parts(stillroom.export(run, "positions-unique", tmp_path / "again"))
    for home, rows in parts(exported["positions-unique"]).items():
        by_name = {row["canonical"]: row for row in again[home]}
        assert len(again[home]) == len(rows)
        assert all(by_name[row["canonical"]] == row for row in rows)


def test_a_hash_that_two_positions_have_is_noticed(run):
    game = game_of("tictactoe")
    rows = [row for record in open_dataset(run) for row in exporting.rows_of(record)]
    first = next(row for row in rows if row["ply"] == 2)
    other = next(row for row in rows if row["canonical"] != first["canonical"])
    table = pa.Table.from_pylist(
        [first, other | {"canonical": first["canonical"]}], schema=exporting.ROW
    )
    with pytest.raises(ValueError, match="not the same"):
        exporting.merged(game, table)


# SGF.


def parsed(text: str) -> list[list[dict[str, list[str]]]]:
    """SGF, FF[4], read strictly: games as nodes as properties; no variations, no rest."""
    prop = re.compile(r"([A-Z]+)((?:\[(?:[^\]\\]|\\.)*\])+)\s*", re.S)
    games, at = [], 0

    def eat(mark: str) -> None:
        nonlocal at
        assert text[at : at + 1] == mark, text[at : at + 40]
        at = at + 1
        while text[at : at + 1].isspace():
            at += 1

    while at < len(text):
        eat("(")
        nodes: list[dict[str, list[str]]] = []
        while text[at : at + 1] == ";":
            eat(";")
            node: dict[str, list[str]] = {}
            while found := prop.match(text, at):
                name, values = found.groups()
                assert name not in node
                some = re.findall(r"\[((?:[^\]\\]|\\.)*)\]", values, re.S)
                node[name] = [re.sub(r"\\(.)", r"\1", one, flags=re.S) for one in some]
                at = found.end()
            nodes.append(node)
        eat(")")
        games.append(nodes)
    return games


GAMES = {
    "go": {"size": 3, "komi": 0.5},
    "othello": {"size": 4},
    "hex": {"size": 3},
    "connect4": {},
}


@pytest.mark.parametrize("name", GAMES)
def test_sgf_can_be_read_and_replayed(name, tmp_path):
    folder = played(tmp_path / "run", 16, game=name, resign=0.01, proofs=False, **GAMES[name])
    records = {record.id: record for record in open_dataset(folder)}
    files = sorted((stillroom.export(folder, "sgf", tmp_path / "sgf") / "data").glob("*"))
    assert [file.name for file in files] == ["generation-000.sgf", "generation-001.sgf"]
    game, passes, resigned = game_of(name, **GAMES[name]), 0, 0
    trees = [tree for file in files for tree in parsed(file.read_text())]
    assert len(trees) == len(records)
    for root, *nodes in trees:
        data = records[root["GN"][0]].data
        assert (root["FF"], root["RU"]) == (["4"], [game.rules])
        assert data["net"] in root["PB"][0]
        assert root.get("KM") == (["0.5"] if name == "go" else None)
        referee = referee_of(name, **GAMES[name])
        for ply, node in enumerate(nodes):
            (point,) = node["WB"[referee.mover > 0]]
            assert ("B" in node) == (referee.mover == 1)
            passes += not point
            before = list(referee.board)
            referee.play(data["moves"][ply])
            if point:
                row = int(point[1:]) - 1 if name == "hex" else ord(point[1]) - ord("a")
                cell = row * game.width + ord(point[0]) - ord("a")
                assert before[cell] == 0
                assert referee.board[cell] == (1 if "B" in node else -1)
            else:
                assert before == list(referee.board)
            if ply + 1 < len(nodes) and ply + 1 >= data["opening"]:
                seen = data["positions"][ply + 1 - data["opening"]]["value"] * referee.mover
                assert float(node["V"][0]) == pytest.approx(seen, abs=1e-3)
        said = root["RE"][0]
        assert {"B": 1, "W": -1, "D": 0}[said[0]] == data["result"]
        resigned += said.endswith("+R")
        if data["ended"] == "resigned":
            assert said.endswith("+R")
        elif name in ("go", "othello") and data["result"]:
            assert float(said[2:]) == abs(referee.score()[0])
    assert resigned or name not in ("go", "othello")  # the others' nets know nothing yet
    assert (passes > 0) == (name in ("go", "othello"))


def test_othello_by_its_sgf_alone(tmp_path):
    """Who knows nothing but SGF and how discs turn over sees every game to its count of discs."""
    folder = played(tmp_path / "run", 16, game="othello", size=6)
    files = sorted((stillroom.export(folder, "sgf", tmp_path / "sgf") / "data").glob("*"))
    counted = 0
    for root, *nodes in [tree for file in files for tree in parsed(file.read_text())]:
        board = dict.fromkeys(root["AB"], "B") | dict.fromkeys(root["AW"], "W")
        assert board == {"cc": "W", "dd": "W", "dc": "B", "cd": "B"}
        for node in nodes:
            ((colour, (point,)),) = ((c, node[c]) for c in "BW" if c in node)
            if point:
                discs = turned(board, point, colour)
                assert discs, (point, board)
                board |= dict.fromkeys(discs, colour)
        if "R" not in root["RE"][0]:
            counts = Counter(board.values())
            ahead = counts["B"] - counts["W"]
            assert root["RE"][0] == (
                f"{'B' if ahead > 0 else 'W'}+{abs(ahead)}" if ahead else "Draw"
            )
            counted += 1
    assert counted > 4


def turned(board: dict[str, str], point: str, colour: str) -> list[str]:
    """The point and the discs that turn over; nothing where none does."""
    found = []
    for right, down in ((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y):
        line = []
        at = chr(ord(point[0]) + right) + chr(ord(point[1]) + down)
        while board.get(at, colour) != colour:
            line.append(at)
            at = chr(ord(at[0]) + right) + chr(ord(at[1]) + down)
        found += line if at in board else []
    return [point, *found] if found and point not in board else []


def test_what_sgf_has_no_name_for(run, tmp_path):
    with pytest.raises(UserError, match="no SGF for tictactoe"):
        stillroom.export(run, "sgf", tmp_path / "x")
    with pytest.raises(UserError, match="allowed here: chat, text, parquet, positions"):
        stillroom.export(run, "csv", tmp_path / "y")
