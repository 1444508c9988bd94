"""The board player of a record: what it shows at each position, and that nothing in it can run."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from test_page import CHROMIUM, FLAGS, needs_chromium

import stillroom
from stillroom import open as open_dataset
from stillroom.view.charts import curves
from stillroom.view.page import write_page
from stillroom.worlds.selfplay import SelfPlay
from stillroom.worlds.selfplay.game import game_of
from stillroom.worlds.selfplay.player import player
from stillroom.worlds.selfplay.referee import referee_of
from stillroom.worlds.selfplay.showing import move_name

if TYPE_CHECKING:
    from playwright.sync_api import Page

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
    from stillroom.worlds.selfplay.player import _at

    game = game_of(name, **GAMES[name])
    found = {_at(game, cell): cell for cell in range(game.height * game.width)}
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


def test_findings_of_one_net_after_another_are_a_curve():
    values = {0: 40.0, 10: 80.0, 2: 55.0}
    findings = [
        {"name": f"raw policy keeps the result, net {n}", "unit": "%", "value": value}
        for n, value in values.items()
    ]
    others = [{"name": f"lone {n}", "unit": "", "value": 1.0} for n in (1, 2)]
    others += [{"name": f"search of {n} keeps the result", "unit": "%", "value": 1.0}
               for n in range(4)]  # fmt: skip
    (chart,) = curves([*findings, *others])
    assert (chart["title"], chart["note"]) == ("raw policy keeps the result, net", "%")
    (drawn,) = chart["spec"]["datasets"].values()
    assert [(one["n"], one["value"]) for one in drawn] == sorted(values.items())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "run"
    world = SelfPlay(
        game="go", size=3, komi=0.5, blocks=1, channels=8, simulations=4, batch=6,
        judge_games=0, samples=0.0, device="cpu", generations=1, temperature_plies=40,
    )  # fmt: skip
    stillroom.run(world, out=folder, count=6, workers=0, settings=("power.sample=0",))
    write_page(folder, world)
    return folder


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
        frame = page.frames[1]
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
        assert page.frames[1].evaluate("document.documentElement.scrollWidth") <= 400
        browser.close()
    assert wrong == []
