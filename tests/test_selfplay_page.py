"""The board player of a record: what it shows at each position, and that nothing in it can run."""

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from test_page import CHROMIUM, FLAGS, needs_chromium

import stillroom
from stillroom import open as open_dataset
from stillroom.view.charts import curves
from stillroom.view.findings import told, words
from stillroom.view.page import write_page
from stillroom.worlds.selfplay import SelfPlay
from stillroom.worlds.selfplay.drawing import placing
from stillroom.worlds.selfplay.game import game_of
from stillroom.worlds.selfplay.openings import openings
from stillroom.worlds.selfplay.player import player
from stillroom.worlds.selfplay.referee import referee_of
from stillroom.worlds.selfplay.showing import move_name

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

GAMES = {"go": {"size": 4, "komi": 0.5}, "othello": {"size": 4}, "hex": {"size": 3}, "connect4": {}}
EVIL = """</p><script>document.title='ran'</script><img src=x onerror="alert(1)">'"""


def random_game(name: str, seed: int) -> dict:
    """A game of random moves as a record's data, each position searched for one visit."""
    game, referee = game_of(name, **GAMES[name]), referee_of(name, **GAMES[name])
    rng, moves, positions = np.random.default_rng(seed), [], []
    while referee.result() is None:
        legal = referee.legal()
        move = int(rng.choice(legal[:-1] if name == "go" and len(legal) > 1 else legal))
        visits = [int(a == move) for a in range(game.actions)]
        policy = [0.5 * (a in legal) / len(legal) + 0.5 * (a == move) for a in range(game.actions)]
        positions.append(
            {
                "ply": len(moves),
                "policy": policy,
                "visits": visits,
                "move": move,
                "full": True,
                "value": 0.25 * referee.mover,
                "proof": None,
            }
        )
        moves.append(move)
        referee.play(move)
    return {
        "moves": moves, "positions": positions[2:], "opening": 2, "result": referee.result(),
        "ended": "rules", "score": None,
    }  # fmt: skip


class Shown(HTMLParser):
    """The document's elements in order, as (name, attributes)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))


def cells(name: str) -> dict[str, int]:
    """Where the player draws each cell, as its style says it."""
    game = game_of(name, **GAMES[name])
    found = {placing(game, cell): cell for cell in range(game.height * game.width)}
    assert len(found) == game.height * game.width
    return found


def board_at(html: str, ply: int, places: dict[str, int]) -> list[int]:
    """What stands on the board when the button of a position is chosen, by the rules of the CSS."""
    board, reached = [0] * len(places), False
    for tag, attrs in Shown(html).elements:
        if tag == "input" and attrs["id"] == f"m{ply}":
            reached = True
        if tag == "i" and not reached:
            gone = re.search(r"k(\d+)", attrs.get("class", ""))
            if not gone or int(gone[1]) > ply:
                board[places[attrs["style"]]] = -1 if "o" in attrs.get("class", "").split() else 1
    assert reached
    return board


@pytest.mark.parametrize("name", GAMES)
def test_each_position_shows_its_board(name):
    captures, places = 0, cells(name)
    for seed in range(2):
        data = random_game(name, seed)
        html = player(game_of(name, **GAMES[name]), referee_of(name, **GAMES[name]), data)
        referee = referee_of(name, **GAMES[name])
        for ply, move in enumerate([*data["moves"], None]):
            assert board_at(html, ply, places) == list(referee.board)
            if move is not None:
                referee.play(move)
        (chosen,) = [a for tag, a in Shown(html).elements if tag == "input" and "checked" in a]
        assert chosen["id"] == f"m{len(data['moves'])}"
        for ply in set(re.findall(r"\bk(\d+)", html)):
            captures += 1
            assert f"i.k{ply}:has(~ #m{ply}:checked, ~ #m{ply} ~ input:checked)" in html
    assert (captures > 0) == (name == "go")


@pytest.mark.parametrize("name", GAMES)
def test_the_policy_stands_on_the_cells_that_moves_would_take(name):
    data, places = random_game(name, 5), cells(name)
    game, referee = game_of(name, **GAMES[name]), referee_of(name, **GAMES[name])
    html = player(game, referee_of(name, **GAMES[name]), data)
    parts = re.split(r'<input [^>]*id="m\d+"', html)[1:]
    for ply, move in enumerate(data["moves"]):
        before = list(referee.board)
        referee.play(move)
        shown = re.findall(r'<u[^>]*style="(--x:[^;]*;--y:[^;]*);--p:([\d.]+)"', parts[ply])
        if ply < data["opening"]:
            assert not shown
            continue
        if move_name(game, move) != "pass":
            place, share = max(shown, key=lambda one: float(one[1]))
            assert before[places[place]] == 0
            assert referee.board[places[place]] != 0
            assert float(share) == pytest.approx(
                max(data["positions"][ply - 2]["policy"]), abs=0.01
            )
        value = data["positions"][ply - 2]["value"] * (1 if ply % 2 == 0 else -1)
        assert value == 0.25 or name == "othello"  # who passes there moves twice
    assert html.count("<polyline") == 1 + 4 * (name == "hex")
    if name == "connect4":
        points = re.findall(r'<polyline points="([^"]*)"', html)[0].split()
        heights = [float(point.split(",")[1]) for point in points]
        assert heights[:-1] == [-0.25] * (len(data["moves"]) - 2)  # up is good for X
        assert heights[-1] == -data["result"]


def test_a_record_can_say_nothing_that_runs():
    data = random_game("connect4", 1) | {"ended": EVIL}
    data["positions"][3] = data["positions"][3] | {"visits": [], "policy": [1.0]}
    data["moves"] = [*data["moves"][:8], 99]
    html = player(game_of("connect4"), referee_of("connect4"), data)
    assert "can&#x27;t be made" in html or "can't be made" in html
    assert "can't be read" in html
    for of in (html, player(game_of("connect4"), referee_of("connect4"),
                            random_game("connect4", 1) | {"ended": EVIL})):  # fmt: skip
        for tag, attrs in Shown(of).elements:
            assert tag not in ("script", "img", "iframe", "object", "link", "form", "a")
            assert not any(name.startswith("on") or name in ("src", "href") for name in attrs)
        assert "url(" not in of
        assert "@import" not in of


# Findings.


def test_findings_of_one_net_after_another_are_a_curve():
    values = {0: 40.0, 10: 80.0, 2: 55.0}
    findings = [
        {"name": f"raw policy keeps the result, net {n}", "unit": "%", "value": value,
         "low": value - 3, "high": value + 2, "ok": None, "detail": "of 9"}
        for n, value in values.items()
    ]  # fmt: skip
    # Written before there were intervals; and what should be so, which no series may hide.
    old = {"unit": "", "value": 1.0, "ok": None, "detail": ""}
    others = [old | {"name": f"lone {n}"} for n in (1, 2)]
    others += [old | {"name": f"search of {n} keeps the result"} for n in range(4)]
    others += [old | {"name": f"right {n}", "ok": n > 1} for n in range(4)]
    (chart,) = curves([*others, *findings])
    assert (chart["title"], chart["section"]) == ("raw policy keeps the result, net", "findings")
    assert chart["note"].startswith("%")
    (drawn,) = chart["spec"]["datasets"].values()
    assert [(one["n"], one["value"]) for one in drawn] == sorted(values.items())
    assert [(one["low"], one["high"]) for one in drawn] == [(37, 42), (52, 57), (77, 82)]
    encoding = chart["spec"]["layer"][0]["encoding"]
    assert (encoding["y"]["field"], encoding["y2"]["field"]) == ("low", "high")
    (plain,) = curves([old | {"name": f"old {n}"} for n in range(3)])
    assert "layer" not in plain["spec"]

    lines = words([*findings, *others])
    assert len(lines) == 1 + len(others)
    assert lines[0] == (
        "raw policy keeps the result, net 0, 2, 10: 40 → 55 → 80 % (95 % interval 77 to 82; of 9)."
    )
    assert lines[1] == "lone 1: 1."
    many = told([old | {"name": f"old {n}", "value": n / 7} for n in range(30)])
    assert [(one.name, one.value) for one in many] == [("old 0 to 29", "0 → 4.14")]


# Openings.


def tree(name: str, games: list[dict]) -> str:
    records = [SimpleNamespace(data=game) for game in games]
    return openings(
        game_of(name, **GAMES[name]), lambda: referee_of(name, **GAMES[name]), [records]
    )


def bars(html: str) -> dict[str, str]:
    """What each bar says, by its moves."""
    found = [a["title"].partition(": ") for tag, a in Shown(html).elements if "title" in a]
    return {moves: said for moves, _, said in found}


def test_openings_are_counted_once_with_their_mirror_images():
    lines = [([3, 3, 0], 1), ([3, 3, 6], -1), ([2, 0], 0), ([4, 6], 1), ([4, 0], 1)]
    games = [{"moves": moves, "result": result, "opening": 0} for moves, result in lines]
    random = {"moves": [3, 3, 3], "result": 1, "opening": 2}
    html = tree("connect4", [*games, random])
    assert bars(html) == {
        "c": "3 of the games, X won 67 %, O 0 %, drawn 33 %",
        "c a": "2 of the games, X won 50 %, O 0 %, drawn 50 %",
        "c g": "1 of the games, X won 100 %, O 0 %, drawn 0 %",
        "d": "2 of the games, X won 50 %, O 50 %, drawn 0 %",
        "d d": "2 of the games, X won 50 %, O 50 %, drawn 0 %",
        "d d a": "2 of the games, X won 50 %, O 50 %, drawn 0 %",
    }
    assert "Of 6 games of generation 0, 5 were chosen from the first move on" in html
    assert "The other 1 began with random moves" in html
    shares = [float(part) for part in re.findall(r"flex-grow:(\d+)\"><div", html)]
    assert shares == [3, 2, 1, 2, 2, 2]
    assert "All 1 games of generation 0 began with random moves" in tree("connect4", [random])


@pytest.mark.parametrize("name", GAMES)
def test_the_tree_is_the_same_of_all_images_of_its_games(name):
    """A symmetry counts whose images of all games a referee lets pass, from the same start."""
    game = game_of(name, **GAMES[name])
    games = [random_game(name, seed) | {"opening": 0} for seed in range(5)]
    whole, others = tree(name, games), 0
    assert sum(tag == "svg" and "board" in a.get("class", "") for tag, a in Shown(whole).elements)
    for actions in game.symmetries[1:]:
        images = [one | {"moves": actions[one["moves"]].tolist()} for one in games]
        try:
            for one in images:
                referee = referee_of(name, **GAMES[name])
                for move in one["moves"]:
                    referee.play(move)
        except ValueError:
            continue
        others += 1
        assert tree(name, images) == whole
        assert tree(name, [games[0], *images[1:]]) == whole
    assert others == {"connect4": 1, "go": 7, "hex": 1, "othello": 3}[name]


@pytest.mark.parametrize("name", GAMES)
def test_no_part_of_the_openings_runs(name):
    for tag, attrs in Shown(tree(name, [random_game(name, 1) | {"opening": 0}])).elements:
        assert tag not in ("script", "img", "iframe", "object", "link", "form", "a")
        assert not any(one.startswith("on") or one == "src" for one in attrs)
        assert attrs.get("href", "#ground") == "#ground"


# In a browser.


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "run"
    world = SelfPlay(
        game="go", size=3, komi=0.5, blocks=1, channels=8, simulations=4, batch=6,
        judge_games=0, samples=0.0, device="cpu", generations=2, temperature_plies=40,
        opening_share=0.5, opening_plies=2,
    )  # fmt: skip
    stillroom.run(world, out=folder, count=6, workers=0, settings=("power.sample=0",))
    write_page(folder, world)
    return folder


def detail(page: "Page") -> "Frame":
    """The document of the opened record's picture."""
    found = page.locator("#detail iframe").element_handle().content_frame()
    assert found is not None
    return found


@pytest.mark.browser
@needs_chromium
def test_arrows_step_through_a_game_without_a_script(run: Path) -> None:
    from playwright.sync_api import sync_playwright

    record = next(iter(open_dataset(run)))
    boards, referee = [], referee_of("go", size=3, komi=0.5)
    for move in [*record.data["moves"], None]:
        boards.append([sum(s == who for s in referee.board) for who in (1, -1)])
        if move is not None:
            referee.play(move)
    last = len(boards) - 1

    def counted(page: "Page") -> list[int]:
        frame = detail(page)
        seen = "[...document.querySelectorAll('SELECTOR')].filter(i => getComputedStyle(i).visibility == 'visible').length"  # noqa: E501
        return [frame.evaluate(seen.replace("SELECTOR", s)) for s in ("i:not(.o)", "i.o")]

    wrong: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 400, "height": 900})
        page.set_default_timeout(8000)
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.goto((run / "report.html").as_uri() + f"#{record.id}")
        frame = page.frame_locator("#detail iframe")
        frame.locator(f"#m{last}:checked").wait_for(state="attached")
        assert counted(page) == boards[last]
        assert "wins" in frame.locator("p:visible").first.inner_text()
        frame.locator(f"#m{last}").click()
        address = page.url
        for ply in range(last - 1, -1, -1):
            page.keyboard.press("ArrowLeft")
            assert frame.locator("input:checked").get_attribute("id") == f"m{ply}"
            assert counted(page) == boards[ply]
        page.keyboard.press("ArrowRight")
        assert frame.locator("#m1").is_checked()
        assert page.url == address  # the arrows didn't go on to another record
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert detail(page).evaluate("document.documentElement.scrollWidth") <= 400
        browser.close()
    assert wrong == []


@pytest.mark.browser
@needs_chromium
def test_the_openings_of_a_generation_are_chosen_without_a_script(run: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    chosen = [
        sum(not record.data["opening"] for record in open_dataset(run) if record.generation == g)
        for g in (0, 1)
    ]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 400, "height": 900})
        page.set_default_timeout(8000)
        page.goto((run / "report.html").as_uri())
        frame = page.frame_locator("#overview iframe")
        for place, many in ((1, chosen[1]), (0, chosen[0]), (2, sum(chosen))):
            if place != 1:  # the last generation is shown first
                frame.locator(f"#t{place}").check()
            expect(frame.locator("section:visible")).to_have_count(1)
            expect(frame.locator("section:visible")).to_contain_text(f"{many} were chosen")
        box = page.locator("#overview iframe").bounding_box()
        assert box is not None
        assert box["height"] > 400
        inside = page.locator("#overview iframe").element_handle().content_frame()
        assert inside is not None
        assert inside.evaluate("document.documentElement.scrollWidth") <= 400
        browser.close()
