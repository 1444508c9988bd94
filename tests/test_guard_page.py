"""What people see of the guard, a mix and the laboratory: the page's sections, words, forecasts."""

import copy
import html
import json
import random
import re
from collections.abc import Callable
from math import log, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import human
import numpy as np
import pytest
from click.testing import CliRunner
from test_page import EVIL, browser, needs_chromium, visit  # noqa: F401

import stillroom
from stillroom import UserError, files
from stillroom.cli import cli
from stillroom.collapse.lab import Collapse
from stillroom.collapse.lab.reading import curves
from stillroom.collapse.predict import forecast
from stillroom.stages.foresight import foresee
from stillroom.view import (
    guard_charts,
    guard_tables,
    lab_charts,
    lab_tables,
    mix_charts,
    mix_tables,
)
from stillroom.view.guarded import headline
from stillroom.view.page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXAMPLES = Path(__file__).parents[1] / "examples"
Told = dict[str, Any]

WORLD = '''
import pyarrow as pa
from stillroom import Check, Verdict, View, World


class Topics(World):
    """Records of two common topics and, too seldom, of ten rare ones; every word is hostile."""

    name = "topics"
    schema = pa.struct({"topic": pa.string(), "text": pa.string()})

    def plan(self, generation):
        return ({"n": n} for n in range(10_000))

    def make(self, task, ctx):
        rare = ctx.rng.random() < 0.015
        topic = f"rare {ctx.rng.integers(10)}" if rare else f"common {ctx.rng.integers(2)}"
        return [{"topic": topic, "text": EVIL + f" {topic}, number {task['n']}"}]

    def check(self, task, data, ctx):
        return Verdict((Check("said", bool(data["text"]), ""),))

    def show(self, record):
        return View(record.data["text"], (), "", {"topic": record.data["topic"] + EVIL}, {})


EVIL = WORDS
'''.replace("WORDS", repr(EVIL))


def anchor_rows(count: int) -> list[Told]:
    """Records of the same topics, of which three in ten are rare."""
    rng, rows = random.Random(4), []
    for number in range(count):
        rare = rng.random() < 0.3
        topic = f"rare {rng.randrange(10)}" if rare else f"common {rng.randrange(2)}"
        rows.append({"text": f"{EVIL} {topic}, {number} of the anchor", "topic": topic + EVIL})
    return rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was mixed with human data and lost the rare topics of an anchor: an ALARM."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "topics.py").write_text(WORLD)
    quick = ("power.sample=0", "audit.run=false")
    stillroom.run(folder / "topics.py", out=folder / "run", count=500, workers=0, settings=quick)
    old = {"kind": "repository", "date": "1999", "blob": "cd" * 20}
    rows = [human.row(n, *([old] if n % 4 == 0 else []), licence=f"CC0 {EVIL}") for n in range(60)]
    rows += [human.row(n) for n in range(5)]
    anchor = human.write(folder / "people.jsonl", rows)
    pool = human.write(folder / "pool.jsonl", (human.row(n) for n in range(200, 260)))
    fresh = (human.tables("fresh", {"path": str(pool)}), "mix.fresh_share=0.2")
    people = {"path": str(anchor), "source": EVIL}
    human.mixed(folder / "run", folder / "run" / "mix", people, more=fresh)
    like = human.write(folder / "anchor.jsonl", anchor_rows(400))
    report = stillroom.guard(folder / "run", like, trust_code=True)
    assert report.verdict == "ALARM"
    return folder / "run"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab") / "run"
    world = Collapse(student="table", seeds=(1, 2), generations=3, n=1500,
                     arms=("replace", "anchor-fresh"))  # fmt: skip
    stillroom.run(world, out=folder, workers=0, settings=("power.sample=0",))
    return folder


def report(run: Path) -> Told:
    told = guard_tables.read_report(run)
    assert told is not None
    return told


def section_of(page: str, name: str, following: str) -> str:
    """The words of a section of the page."""
    part = page[page.index(f'<section id="{name}"') : page.index(f'<section id="{following}"')]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", part)).split())


# Words.


def verdict(one: Told, word: str, why: str) -> Told:
    """The comparison, had the guard found something else."""
    channels = {name: found | {"verdict": word, "why": why} for name, found in
                one["channels"].items()}  # fmt: skip
    return one | {"verdict": word, "channels": channels}


def interval(part: Told) -> list[float] | None:
    return part["interval"]


def test_the_headline_says_whether_the_rare_cases_are_alive(run: Path) -> None:
    [one] = report(run)["comparisons"]
    lost = one["lost"][0]
    assert headline([one]).startswith("ALARM: rare cases are missing (run beside anchor.jsonl)")
    assert f"{lost['set']:,} units have “" in headline([one])
    sets, due = one["channels"][lost["channel"]]["units"], lost["anchor"]
    assert headline([one]).endswith(f"{due / sets[0] * sets[1]:,.0f} should.")
    good = verdict(copy.deepcopy(one), "PASS", "all kept")
    parts = [part for found in good["channels"].values() for part in found["parts"]]
    for end, part in zip((0.91, 0.83, 0.87, 0.95), filter(interval, parts), strict=True):
        part["interval"] = [end, 1.0]
    assert headline([good]).startswith("The rare cases are alive: at least 83 % of them are kept")
    small = verdict(one, "UNDERPOWERED", "about 9,999 units a set would decide")
    said = headline([good, small])
    assert said.startswith("Too small to tell whether the rare cases are alive")
    assert said.endswith("about 9,999 units a set would decide.")
    assert headline([good, small, one]).startswith("ALARM")


# A forecast before anything is paid for.


def forecasts(*words: Any) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["guard", *map(str, words)])
    code = 2 if isinstance(result.exception, UserError) else result.exit_code
    return code, result.output, str(result.exception or "")


def test_a_forecast_on_the_command_line(tmp_path: Path) -> None:
    topics = [f"rare-{n}" for n in range(40) for _ in range(1 + n % 5)] + ["common"] * 200
    anchor = human.write(tmp_path / "anchor.jsonl", ({"text": "", "topic": one} for one in topics))
    counts = [1 + n % 5 for n in range(40)] + [200]
    told = forecast(counts, generations=6, fresh=0.1)
    code, said, _ = forecasts(anchor, "--forecast", 6, "--fresh", 0.1, "--json")
    found = json.loads(said)["channels"]["tags"]
    assert code == 0
    assert found["words"] == told.words()
    assert found["units"] == len(topics)
    assert found["types"] == 41
    for mine, curve in zip(found["bins"], told.bins, strict=True):
        assert (mine["name"], mine["types"]) == (curve.name, curve.types)
        assert np.allclose(mine["share"], curve.share, atol=1e-4)
    code, said, _ = forecasts(anchor, "--forecast", 6, "--fresh", 0.1)
    assert code == 0
    assert told.words() in said
    assert "With 10 % fresh, types seen fewer than 3 times survive 6 generations" in said
    less = foresee(anchor, 6)["channels"]["tags"]["bins"][0]["share"][-1]
    cool = foresee(anchor, 6, temperature=0.5, on=("tags",))["channels"]["tags"]
    assert less < found["bins"][0]["share"][-1]
    assert cool["method"] == "simulation"
    assert cool["bins"][0]["share"][-1] < less


def test_options_that_do_not_go_together(tmp_path: Path) -> None:
    rows = human.write(tmp_path / "a.jsonl", ({"text": human.text(n)} for n in range(20)))
    for words, why in (
        (("--forecast", 3, "--against", rows), "--against does not go with --forecast"),
        (("--forecast", 3, "--monitor", tmp_path / "s"), "--monitor does not go with --forecast"),
        (("--forecast", 3, "--alpha", 0.1), "--alpha does not go with --forecast"),
        (("--against", rows, "--fresh", 0.1), "--fresh needs --forecast N"),
        (("--against", rows, "--top-p", 0.9), "--top-p needs --forecast N"),
        (("--against", rows, "--monitor", tmp_path / "s", "--unit", "a"), "--unit does not go"),
        ((), "there is nothing to compare the set with"),
        (("--forecast", 3, "--fresh", 1.5), "fresh is 1.5"),
        (("--forecast", 3, "--temperature", 0), "temperature is 0"),
        (("--forecast", 3, "--on", "tags"), "there are no tags"),
    ):
        code, _, said = forecasts(rows, *words)
        assert code == 2, words
        assert why in said, words


# The guard's section.


def test_a_page_without_a_guard_has_no_section(tmp_path: Path) -> None:
    stillroom.run(EXAMPLES / "hello.py", out=tmp_path, count=10, workers=0)
    page = write_page(tmp_path, None).read_text()
    for name in ("guard", "mix", "lab"):
        assert f'id="{name}"' not in page
        assert f'href="#{name}"' not in page
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "report.json").write_text("{}")
    with pytest.raises(UserError, match="not what Stillroom wrote"):
        write_page(tmp_path, None)


def test_the_section_holds_every_part(run: Path) -> None:
    page = write_page(run, None).read_text()
    assert EVIL not in page
    assert html.escape(headline(report(run)["comparisons"]))[:60] in page
    said = section_of(page, "guard", "records")
    [one] = report(run)["comparisons"]
    for name, channel in one["channels"].items():
        anchor, made = channel["units"]
        assert (
            f"{channel['rare']:,} rare types; {made:,} units beside the anchor's {anchor:,}."
            in said
        )
        for part in channel["parts"]:
            assert f"{part['p']:.2g} {part['alpha']:.2g}" in said, (name, part["name"])
            if part["interval"]:
                low, high = part["interval"]
                assert f"{100 * part['effect']:.0f} ({100 * low:.0f} to {100 * high:.0f})" in said
            if part["needs"]:
                assert f"{part['needs']:,}" in said
        assert channel["why"][1:] in said
    assert one["lost"]
    for lost in one["lost"]:
        shown = " ".join(lost["slice"].split())
        due = lost["anchor"] * 500 / 400
        due = f"{due:,.0f}" if due >= 10 else f"{due:.1f}"
        row = f"{shown} {lost['channel']} {lost['anchor']:,} {lost['set']:,} {due}"
        assert row in said
        assert f"{lost['p']:.2g} {lost['corrected']:.2g}" in said
        for example in lost["examples"]:
            assert example in said
    surely = sum(lost["corrected"] <= one["alpha"] for lost in one["lost"])
    assert surely > 0
    assert f"{surely} of these {len(one['lost'])} types" in said
    for some in one["forecast"].values():
        for told in some:
            assert told["words"] in said


def test_the_forecast_of_a_run_knows_its_mix(run: Path) -> None:
    [one] = report(run)["comparisons"]
    share = round(mix_tables.read_mixes(run)["mix"]["shares"]["fresh"], 3)
    assert 0.15 < share < 0.25
    assert [told["fresh"] for told in one["forecast"]["tags"]] == [0.0, share]
    poor, rich = (told["bins"][0]["share"][-1] for told in one["forecast"]["tags"])
    assert rich > poor


def test_charts_of_the_guard_bear_its_figures(run: Path) -> None:
    told = report(run)
    [one] = told["comparisons"]
    drawn = {chart["title"]: chart for chart in guard_charts.charts(told)}
    assert list(drawn) == [
        "Wealth of the bets",
        "Survival foretold: text",
        "Survival foretold: tags",
    ]
    wealth = json.dumps(drawn["Wealth of the bets"]["spec"])
    bets = next(part for part in one["channels"]["tags"]["parts"] if part["name"] == "bets")
    assert f'"wealth": {log10(1.5 / bets["alpha"])}' in wealth
    units, last = one["channels"]["tags"]["path"][-1]
    assert f'"units": {units}, "wealth": {last / np.log(10)}' in wealth
    # A path that is beyond the line is an alarm of the guard's, and no other.
    for channel, alarm in (("tags", True), ("text", False)):
        found = one["channels"][channel]
        part = next(part for part in found["parts"] if part["name"] == "bets")
        assert (part["p"] <= part["alpha"]) is alarm
        most = max(wealth for _, wealth in found["path"])
        assert (most >= log(1.5 / part["alpha"])) is alarm
    tags = drawn["Survival foretold: tags"]
    for curve in one["forecast"]["tags"][1]["bins"]:
        assert f'"share": {curve["share"][-1]}' in json.dumps(tags["spec"])
    share = one["forecast"]["tags"][1]["fresh"]
    assert f"dashed: with {100 * share:g} % fresh human data" in tags["note"]
    assert all(chart["section"] == "guard-0" for chart in drawn.values())


def test_what_a_report_lacks_and_an_edited_one(run: Path, tmp_path: Path) -> None:
    told = report(run)
    assert not guard_tables.section(told)["edited"]
    [one] = told["comparisons"]
    bare = {key: value for key, value in one.items() if key != "forecast"}
    bare["lost"] = []
    channel = {"verdict": "UNDERPOWERED", "why": "there is no tail", "units": [3, 3], "rare": 0,
               "parts": [], "lost": [], "meters": {}, "path": []}  # fmt: skip
    bare |= {"verdict": "UNDERPOWERED", "channels": {"tags": channel}}
    many = files.seal({"verdict": "ALARM", "comparisons": [bare, bare, *[one] * 4]}) | {
        "verdict": "PASS"
    }
    found = guard_tables.section(many)
    assert found["edited"]
    assert [part["mark"][1] for part in found["comparisons"]] == ["ALARM"] * 3
    assert [part["mark"][1] for part in found["others"]] == ["ALARM"] + ["too small to tell"] * 2
    assert len(guard_charts.charts(many)) == 9
    alone = {"verdict": "UNDERPOWERED", "comparisons": [bare]}
    assert guard_charts.charts(alone) == []
    whole = json.loads((run / "guard" / "report.json").read_text())
    try:
        (run / "guard" / "report.json").write_text(json.dumps(alone))
        said = section_of(write_page(run, None).read_text(), "guard", "records")
    finally:
        (run / "guard" / "report.json").write_text(json.dumps(whole))
    assert "There is no tail to test." in said
    assert "What was lost" not in said
    assert "This report was edited after the guard wrote it" in said


# The mix's section.


def test_the_mix_is_told_of(run: Path) -> None:
    [(name, told)] = mix_tables.read_mixes(run).items()
    said = section_of(write_page(run, None).read_text(), "mix", "guard")
    counts, shares = told["counts"], told["shares"]
    assert f"{counts['anchor']:,} of the human anchor ({100 * shares['anchor']:.1f} %)" in said
    assert f"{counts['fresh']:,} fresh human ({100 * shares['fresh']:.1f} %)" in said
    assert f"{counts['guard']:,} human records are held out for the guard" in said
    copies = told["copies"]
    assert copies["exact"] == 5
    assert f"5 exact copies and {copies['near']:,} near-duplicates were dropped" in said
    assert "pre-cutoff, presumed human" in said
    assert EVIL in said
    assert "exact copy of a" in said
    assert f"CC0 {EVIL}" in said
    assert ": not drawn" in said
    people = told["sources"][0]
    assert set(people["vintages"]) == {"1999", "2020"}
    for tier, count in people["tiers"].items():
        assert f"{tier}: {count:,}" in said
        assert sum(year.get(tier, 0) for year in people["vintages"].values()) == count
    drawn = {chart["title"]: chart for chart in mix_charts.charts({name: told})}
    rows = json.dumps(drawn["Vintages"]["spec"])
    assert f'"year": "1999", "tier": "B", "n": {people["vintages"]["1999"]["B"]}' in rows
    assert '"2010"' in rows  # a year without a record is a gap
    both = sum(one["vintages"].get("2020", {}).get("A", 0) for one in told["sources"])
    assert f'"year": "2020", "tier": "A", "n": {both}' in rows
    depth = json.dumps(drawn["Depth"]["spec"])
    assert f'"depth": "1", "n": {told["depths"]["1"]}' in depth
    assert f'"depth": "0, human", "n": {told["depths"]["0"]}' in depth
    two = mix_charts.charts({"g000": told, "g001": told})
    assert two[-1]["title"] == "Mix by mix"
    assert f'"role": "fresh", "share": {shares["fresh"]}' in json.dumps(two[-1]["spec"])


# The laboratory's section.


def test_the_laboratory_is_drawn_as_its_curves(lab: Path) -> None:
    told = curves(lab)
    page = write_page(lab, None).read_text()
    said = section_of(page, "lab", "records")
    arm = told["arms"]["replace"]["points"]
    rare = arm[-1]["accuracy"]["rare"]["mean"]
    line = lab_tables.headline(told)
    assert line.startswith("In generation 2 the students of the arm replace are right on")
    assert f"right on {100 * rare:.1f} % of what is rare" in line
    assert "those of anchor-fresh" in line
    assert line in html.unescape(page)
    assert f"{100 * rare:.1f} (" in said
    lost = 100 * (arm[0]["accuracy"]["rare"]["mean"] - rare)
    assert f"{lost:+.1f}" in said
    drawn = {chart["title"]: json.dumps(chart["spec"]) for chart in lab_charts.charts(told)}
    assert list(drawn) == [
        "Right on what is rare", "Right on all", "Rare types that live", "Predicted and seen",
    ]  # fmt: skip
    assert f'"value": {rare}' in drawn["Right on what is rare"]
    low = max(0.0, arm[1]["accuracy"]["rare"]["low"])
    assert f'"low": {low}' in drawn["Right on what is rare"]
    assert f'"value": {arm[-1]["alive"]["rare"]["mean"]}' in drawn["Rare types that live"]
    assert f'"predicted": {arm[-1]["predicted"]["rare"]}' in drawn["Rare types that live"]
    for cell in told["cells"]:
        assert (
            f'"predicted": {cell["predicted"]}, "seen": {cell["seen"]}'
            in drawn["Predicted and seen"]
        )


def test_a_laboratory_of_documents_has_perplexity(lab: Path) -> None:
    told = copy.deepcopy(curves(lab))
    for arm in told["arms"].values():
        for point in arm["points"]:
            point["accuracy"] = point["foretold"] = {"rare": None, "mean": None}
    told["cells"] = [cell | {"predicted": None, "open": False} for cell in told["cells"]]
    assert [chart["title"] for chart in lab_charts.charts(told)] == [
        "Perplexity of rare words", "Perplexity of all words", "Rare types that live",
    ]  # fmt: skip
    assert "have a perplexity of" in lab_tables.headline(told)
    told["arms"]["replace"]["points"][1]["perplexity"]["rare"]["low"] = -5.0
    assert '"low": 1.0' in json.dumps(lab_charts.charts(told)[0]["spec"])  # no perplexity is less
    assert lab_tables.section(told)["near"] is None


# In a browser.


@pytest.mark.browser
@needs_chromium
def test_the_sections_in_a_browser(visit: "Callable[..., Page]", run: Path) -> None:  # noqa: F811
    write_page(run, None)
    page = visit(run, reduced_motion="reduce")
    page.wait_for_selector("#guard .charts:not([aria-busy])")
    assert page.locator("#guard .charts figure svg").count() == 3
    assert page.locator("#mix .charts figure svg").count() == 2
    assert EVIL in page.inner_text("#guard .lost tbody")
    assert EVIL in page.inner_text("#mix table")
    assert page.locator("#guard img, #guard script, #mix img, #mix script").count() == 0
    assert page.locator("#guard .guards .no").first.is_visible()
    page.locator("#guard summary").last.focus()
    page.keyboard.press("Enter")
    assert page.locator("#guard details table").last.is_visible()
    page.click("nav a >> text=Guard")
    assert page.locator("#guard").bounding_box()["y"] < 100  # type: ignore[index]


@pytest.mark.browser
@needs_chromium
def test_dark_narrow_and_printed(visit: "Callable[..., Page]", run: Path) -> None:  # noqa: F811
    write_page(run, None)
    colours = {}
    for scheme in ("light", "dark"):
        page = visit(run, color_scheme=scheme)
        page.wait_for_selector("#guard .charts:not([aria-busy])")
        bar = page.locator("#mix .charts svg path[aria-roledescription=bar]").first
        bets = page.locator("#guard .charts svg path[aria-roledescription='line mark']").first
        colours[scheme] = (
            bar.evaluate("e => getComputedStyle(e).fill"),
            bets.evaluate("e => getComputedStyle(e).stroke"),
        )
    assert all(a != b for a, b in zip(*colours.values(), strict=True))
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins
    tables = page.locator("#guard table.arms, #mix table.arms")
    for place in range(tables.count()):
        assert tables.nth(place).bounding_box()["width"] <= 718  # type: ignore[index]


@pytest.mark.browser
@needs_chromium
def test_the_laboratory_in_a_browser(visit: "Callable[..., Page]", lab: Path) -> None:  # noqa: F811
    write_page(lab, None)
    page = visit(lab, color_scheme="dark")
    page.wait_for_selector("#lab .charts:not([aria-busy])")
    assert page.locator("#lab .charts figure svg").count() == 4
    points = page.locator("#lab .charts figure").first.locator("path[aria-roledescription=point]")
    assert points.count() == 2 * 3
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
