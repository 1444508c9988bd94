"""The page of a run: what it counts, and how it behaves in a real Chromium."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from run_example import table
from worlds import Sums

import stillroom
from stillroom import worlds
from stillroom.view import findings
from stillroom.view.histogram import Histogram
from stillroom.view.page import write_page
from stillroom.view.slices import Slice, Tally, slices, worst_first
from stillroom.view.summary import sentences, summary

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EXAMPLES = Path(__file__).parents[1] / "examples"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EVIL = (
    """</script><script>document.title='ran'</script>"'<img src=x onerror="document.title='ran'">"""
)

HOSTILE = '''
import html
import pyarrow as pa
from stillroom import Check, Finding, Verdict, View, World

EVIL = WORDS
SNEAKY = (
    "<b id=drawn>drawn</b><script>top.document.title='ran'</script>"
    "<img src=x onerror=\\"top.document.title='ran'\\"><img src='https://example.org/x.png'>"
)


class Hostile(World):
    """Records whose every word tries to leave its place."""

    name = "hostile"
    schema = pa.struct({"n": pa.int64(), "text": pa.string()})
    shard = 16

    def plan(self, generation):
        return ({"n": n, "evil": EVIL} for n in range(10_000))

    def make(self, task, ctx):
        if task["n"] == 12:
            raise ValueError(EVIL)
        n = task["n"]
        return [{"n": n, "text": f"{EVIL} number {n}. " + "needle" * (n == 7)}]

    def check(self, task, data, ctx):
        return Verdict((Check(EVIL, data["n"] % 5 != 3, EVIL + str(data["n"])),))

    def show(self, record):
        n, text = record.data["n"], record.data["text"]
        kind = "fives" if n % 5 == 3 else "rest"
        tags = {EVIL: EVIL + "abc"[n % 3], "difficulty": str(n % 4), "kind": kind}
        chat = ({"role": "user", "content": EVIL}, {"role": "assistant", "content": text})
        return View(text, chat, SNEAKY + html.escape(text), tags, {EVIL: float(n)})

    def audit(self, generations, ctx):
        return [Finding(EVIL + str(n), n, EVIL, detail=EVIL, low=n - 1, high=n + 1) for n in (1, 2)]

    def overview(self, generations):
        return SNEAKY + html.escape(EVIL) + str(sum(len(list(one)) for one in generations))
'''.replace("WORDS", repr(EVIL))


# Numbers.


def test_a_small_slice_is_not_worst_by_chance() -> None:
    two, bad, good = (
        Slice({"a": "1"}, 0, 2, 0),
        Slice({"a": "2"}, 60, 40, 0),
        Slice({"a": "3"}, 99, 1, 0),
    )
    few_bad = Slice({"a": "4"}, 5, 6, 0)
    assert worst_first([two, good, few_bad, bad]) == [bad, few_bad, good, two]


def test_slices_are_values_and_pairs_with_difficulty() -> None:
    tally = Tally()
    for n in range(300):
        tags = {"topic": "xyz"[n % 3], "difficulty": str(n % 2), "level": str(n % 2), "key": str(n)}
        tally.add(tags, "refused" if n % 6 == 1 else "kept")
    assert tally.main == "topic"
    assert tally.labels == {"key"}  # a tag that names each record sorts nothing
    found = slices(tally)
    assert found[0].tags == {"topic": "y", "difficulty": "1"}
    assert (found[0].kept, found[0].refused) == (0, 50)
    assert len(found) == 3 + 2 + 6
    assert not any("level" in one.tags for one in found)  # the difficulty says it already


@pytest.mark.parametrize("many", [50, 5000, 60_000])
def test_a_histogram_counts_every_number_in_round_bins(many: int) -> None:
    histogram = Histogram(2)
    numbers = [(n * 7919) % many for n in range(many)]
    for n in numbers:
        histogram.add(float(n), n % 2)
    histogram.add(float("nan"), 0)
    bins = histogram.bins()
    assert 1 < len(bins) <= 40
    for low, high, counts in bins:
        inside = [n for n in range(many) if low <= n < high]
        assert counts == [sum(n % 2 == kind for n in inside) for kind in (0, 1)]
        assert low == int(low)


def test_a_histogram_of_fractions_and_of_one_number() -> None:
    histogram = Histogram(1)
    for n in range(11):
        histogram.add(n / 10, 0)
    assert sum(counts[0] for *_, counts in histogram.bins()) == 11
    single = Histogram(1)
    single.add(3.7, 0)
    ((low, high, counts),) = single.bins()
    assert low <= 3.7 < high
    assert counts == [1]
    assert Histogram(1).bins() == []


# Pages.


@pytest.mark.parametrize("name", ["hello", "projectile", "nim", "quiz", "clinic"])
def test_every_example_has_a_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    config: dict[str, Any] = {"table": str(table(tmp_path))} if name == "clinic" else {}
    world = worlds.build(worlds.find(str(EXAMPLES / f"{name}.py")), config)
    teacher = __import__("quiz").Parrot() if name == "quiz" else None
    out = tmp_path / "run"
    stillroom.run(world, out=out, count=20, workers=0, teacher=teacher,
                  settings=("power.sample=2",))  # fmt: skip
    for shown in (world, None):
        page = write_page(out, shown).read_bytes()
        assert b"PLANTED" not in page
        assert len(page) < 1_500_000
        for sentence in sentences(summary(out))[:4]:
            assert sentence.split(";")[0].split("(")[0] in page.decode().replace("&#39;", "'")


def test_the_rare_cases_are_told(tmp_path: Path) -> None:
    (tmp_path / "hostile.py").write_text(HOSTILE)
    stillroom.run(tmp_path / "hostile.py", out=tmp_path / "run", count=60, workers=0)
    one = summary(tmp_path / "run")
    assert one["rare"]["gone"] == [{"tag": "kind", "value": "fives"}]
    rare = sentences(one)[3]
    assert rare.startswith(
        "1 of 9 tag values have no kept record: kind fives; the rarest that have: "
    )
    hello = tmp_path / "hello"
    stillroom.run(EXAMPLES / "hello.py", out=hello, count=10, workers=0)
    assert "no tags" in sentences(summary(hello))[3]


def test_numbers_are_told_without_exponent() -> None:
    def one(name: str, value: float, **more: Any) -> dict[str, Any]:
        return {"name": name, "value": value, "unit": "", "ok": None, "detail": "", **more}

    values = (1234, 1234567, 999.9, 0.000012, 2.5, -1e6, 1e20)
    words = ("1,234", "1,234,567", "999.9", "1.2e-05", "2.5", "-1,000,000", "1e+20")
    told = findings.told([one(f"x{n}x", value) for n, value in enumerate(values)])
    assert tuple(line.value for line in told) == words
    (line,) = findings.told([one("games", 12345.6, low=9999.96, high=123456)])
    assert (line.value, line.interval) == ("12,346", "10,000 to 123,456")
    (line,) = findings.told([one(f"games {n}", 999.6 + n) for n in range(3)])
    assert line.value == "1,000 → 1,001 → 1,002"


@pytest.mark.parametrize("drawn", [None, 3, 0, ()])
def test_what_is_no_picture_leaves_the_page_whole(drawn: object, tmp_path: Path) -> None:
    class Draws(Sums):
        name = "draws"

        def overview(self, generations: Any) -> Any:
            return drawn

    world = Draws()
    stillroom.run(world, out=tmp_path / "run", count=8, workers=0, settings=("power.sample=0",))
    page = write_page(tmp_path / "run", world).read_text()
    assert ('id="overview"' in page) == (drawn == 3)
    assert "can't draw its set" not in page


def test_a_page_has_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is left out evenly, and the page says so."""
    from stillroom.view import page

    world = worlds.build(worlds.find(str(EXAMPLES / "hello.py")), {})
    stillroom.run(world, out=tmp_path, count=400, workers=0, settings=("power.sample=0",))
    whole = write_page(tmp_path, world).stat().st_size
    monkeypatch.setattr(page, "BYTES", whole - 8000)
    cut = write_page(tmp_path, world)
    assert cut.stat().st_size <= whole - 8000
    assert "of the 400 records kept, evenly spaced" in cut.read_text()


# In a browser.

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture
def browser() -> "Iterator[Browser]":
    # Not for the whole module: Playwright's loop would be in the way of a run's.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.py").write_text(HOSTILE)
    stillroom.run(folder / "hostile.py", out=folder / "run", count=60, workers=0)
    world = worlds.build(worlds.find(str(folder / "hostile.py")), {})
    write_page(folder / "run", world)
    return folder / "run"


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lessons")
    stillroom.run("lessons", out=folder, count=130, workers=0, settings=("power.sample=5",))
    write_page(folder, worlds.build(worlds.find("lessons"), {}))
    return folder


@pytest.fixture
def visit(browser: "Browser") -> "Iterator[Callable[..., Page]]":
    """Opens a run's page; at the end nothing may have gone wrong, run, or been asked for."""
    wrong: list[str] = []
    contexts = []

    def open_page(run: Path, address: str = "", **settings: Any) -> "Page":
        context = browser.new_context(viewport={"width": 1400, "height": 900}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append("a dialog"))
        page.on("requestfinished", lambda r: r.url.startswith("file:") or wrong.append(r.url))
        page.on("requestfailed", lambda r: r.failure == "csp" or wrong.append(r.url))
        page.goto((run / "report.html").as_uri() + address)
        page.wait_for_selector("#list a")
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert page.title() != "ran"
        context.close()
    # What the hostile world's picture tries is not done, aloud.
    aloud = ("Content Security Policy", "Blocked script execution in 'about:srcdoc'")
    assert [one for one in wrong if not any(words in one for words in aloud)] == []


def shows(page: "Page", records: int | str) -> None:
    """Wait until the list says that it holds so many records."""
    from playwright.sync_api import expect

    expect(page.locator("#said")).to_contain_text(re.compile(rf"^{records} of "))


def ids(run: Path) -> dict[str, str]:
    """The id of a record of each outcome."""
    from stillroom import dataset

    rest = {record.outcome: record.id for record in dataset.rest(run)}
    return rest | {"kept": next(iter(dataset.open(run))).id}


@pytest.mark.browser
@needs_chromium
def test_hostile_words_are_shown_as_text(visit: "Callable[..., Page]", hostile: Path) -> None:
    page = visit(hostile, "#" + ids(hostile)["refused"])
    page.wait_for_selector(".charts:not([aria-busy])")
    page.wait_for_selector("#detail .why")
    assert EVIL in page.inner_text("#detail .why")
    assert (
        EVIL in page.inner_text("#detail pre") or page.click("#detail summary >> text=Text") is None
    )
    assert EVIL in page.inner_text("#detail pre")
    assert EVIL in page.inner_text("#detail .tags")
    assert EVIL in page.inner_text("#refused")
    assert EVIL in page.inner_text("#slices")
    assert EVIL.split(">")[0] in page.inner_text("#curriculum table")
    frame = page.frame_locator("#detail iframe")
    assert frame.locator("#drawn").inner_text() == "drawn"
    assert EVIL in frame.locator("body").inner_text()
    whole = page.frame_locator("#overview iframe")
    assert whole.locator("#drawn").inner_text() == "drawn"
    assert f"{EVIL}{summary(hostile)['records']}" in whole.locator("body").inner_text()
    assert "allow-scripts" not in str(page.locator("#overview iframe").get_attribute("sandbox"))
    assert f"{EVIL}1" in page.inner_text("#findings")
    assert "0 to 2" in page.inner_text("#findings")
    assert page.locator("main img").count() == 0


@pytest.mark.browser
@needs_chromium
def test_links_to_records(visit: "Callable[..., Page]", hostile: Path) -> None:
    for outcome, name in ids(hostile).items():
        page = visit(hostile, "#" + (name[:12] if outcome == "failed" else name))
        page.wait_for_selector("#detail h3")
        assert page.locator("#list [aria-current]").get_attribute("href") == f"#{name}"
        assert page.locator("#list [aria-current]").get_attribute("class") == outcome
        assert page.locator("#records").bounding_box()["y"] < 400  # type: ignore[index]
    page = visit(hostile, "#zzzz")
    page.wait_for_selector("#detail >> text=No record on this page")


@pytest.mark.browser
@needs_chromium
def test_slices_filters_and_search(visit: "Callable[..., Page]", hostile: Path) -> None:
    page = visit(hostile)
    count = lambda: page.inner_text("#said").split(" of ")[0]  # noqa: E731
    everything = count()
    worst = page.locator("#slices tbody button").first
    assert "fives" in worst.inner_text()
    worst.click()
    refused = summary(hostile)["refused"]
    shows(page, refused)
    assert page.locator("#list a.kept").count() == 0
    page.keyboard.press("Escape")
    shows(page, everything)
    page.select_option("#outcome", "failed")
    shows(page, 1)
    page.click("#said .chip")
    shows(page, everything)
    page.keyboard.press("/")
    page.keyboard.type("NEEDLE")
    shows(page, 1)
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail h3 >> text=number 7")
    page.fill("#search", "</script>")
    shows(page, everything)
    page.fill("#search", "nowhere at all")
    shows(page, 0)


@pytest.mark.browser
@needs_chromium
def test_keys_move_through_the_records(visit: "Callable[..., Page]", lessons: Path) -> None:
    page = visit(lessons)
    href = lambda: page.locator("#list [aria-current]").get_attribute("href")  # noqa: E731
    lines = [link.get_attribute("href") for link in page.locator("#list a").all()]
    page.keyboard.press("j")
    assert href() == lines[0]
    for key, place in (("j", 1), ("ArrowRight", 2), ("k", 1)):
        page.keyboard.press(key)
        assert href() == lines[place]
    page.evaluate("document.getElementById('records').scrollIntoView({behavior: 'instant'})")
    for key, place in (("ArrowDown", 2), ("ArrowDown", 3), ("ArrowUp", 2)):
        page.keyboard.press(key)
        assert href() == lines[place]
    assert page.url.endswith(str(lines[2]))
    page.wait_for_selector("#detail iframe")
    assert page.locator("#detail iframe").bounding_box()["height"] > 300  # type: ignore[index]
    page.evaluate("document.getElementById('list').scrollTop = 1e6")  # past its first lines
    page.wait_for_selector(f"#list li:nth-child({len(lines) + 1})", state="attached")


@pytest.mark.browser
@needs_chromium
def test_charts_dark_mode_and_print(visit: "Callable[..., Page]", lessons: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    seen = {}
    for scheme in ("light", "dark"):
        page = visit(lessons, color_scheme=scheme)
        seen[scheme] = page.evaluate(paper)
        page.wait_for_selector(".charts:not([aria-busy])")
        figures = page.locator(".charts figure").count()
        assert page.locator(".charts figure svg").count() == figures > 2
    assert seen["light"] != seen["dark"]
    page.click("#theme")
    assert page.evaluate(paper) == seen["light"]
    page.click("#theme")
    assert page.evaluate(paper) == seen["dark"]
    page.emulate_media(media="print")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    assert not page.is_visible("#filters")
    page.emulate_media(media="screen")
    page.locator(".charts figure svg path[aria-roledescription=bar]").first.click()
    page.wait_for_selector("#said .chip")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
