"""What people see of a distillation: the page's section, the words, and the card by the model."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import student_report
from test_page import EVIL, browser, needs_chromium, shows, visit  # noqa: F401

import stillroom
from stillroom import UserError, worlds
from stillroom.stages.card import card
from stillroom.stages.distill import Report
from stillroom.view import student_charts, student_tables
from stillroom.view.page import write_page
from stillroom.view.student import headline, sentences, words

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXAMPLES = Path(__file__).parents[1] / "examples"
TINY = (
    "distill.tokenizer=bytes", "distill.context=64", "distill.test=20", "distill.validation=20",
    "distill.train.tokens=20000", "distill.rates=[0.004, 0.008]", 'distill.arms=["untrained"]',
    "distill.samples=2", "distill.seeds=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of lessons whose report is handmade, every text in it hostile."""
    folder = tmp_path_factory.mktemp("handmade") / "run"
    stillroom.run("lessons", out=folder, count=60, workers=0, settings=("power.sample=0",))
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A real distillation, so small that its student has learnt nothing."""
    folder = tmp_path_factory.mktemp("real") / "run"
    settings = ('world.families=["cups"]', "world.sizes={cups=[3]}", "world.beyond={cups=[4]}",
                "power.sample=0", "audit.run=false")  # fmt: skip
    stillroom.run("drills", out=folder, count=400, workers=0, settings=settings)
    return stillroom.distill(folder, settings=TINY, workers=1)


def page_of(run: Path, figures: dict[str, Any]) -> str:
    student_report.write(run, figures)
    return write_page(run, None).read_text()


def text_of(page: str) -> str:
    """The words of the page's section about the student."""
    import html

    section = page[page.index('<section id="student"') : page.index('<section id="records"')]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", section)).split())


# Words.


def test_the_sentences_say_what_was_found() -> None:
    told = student_report.told()
    said = sentences(told)
    assert said[0] == (
        "The teacher, small , gave 4,000 answers to 1,000 training questions; 940 of the questions "
        "have one that passed the check. Answers were refused for: sum  (300), read (20)."
    )
    assert said[1] == (
        "The student (mean of 2 seeds) is right on 90.0 % (85.1 to 93.4) of 200 ordinary "
        "questions; the best baseline, unverified, on 75.0 %: 15.0 points less (9.0 to 21.0); "
        "guessing: 25.0 %."
    )
    assert said[2].startswith("It keeps 92.5 % of its teacher's lead over guessing on ordinary")
    assert "(90.0 % in the worst seed)" in said[2]
    assert "a difference of 1.0 points, which may be chance (−5.0 to 7.0)" in said[3]
    assert "taught by small , is right on 90.0 %" in headline(told)
    poor = student_report.told()
    for line in poor["against"]:
        line |= {"difference": -0.1, "interval": [-0.15, -0.05]}
    assert "10.0 points more (5.0 to 15.0)" in sentences(poor)[1]


def test_the_terminal_says_the_same(tmp_path: Path) -> None:
    said = words(tmp_path, student_report.told())
    assert "teacher                95.0 %  (91.0 to 97.3), 4,000,000 parameters" in said
    assert "ahead by +15.0 points (9.0 to 21.0)" in said
    assert "none stands among them word for word; 12.5 % share a run of 13 tokens" in said
    assert str(tmp_path / "model") in said


# The page.


def test_a_page_without_a_student_has_no_section(tmp_path: Path) -> None:
    stillroom.run(EXAMPLES / "hello.py", out=tmp_path, count=10, workers=0)
    assert 'id="student"' not in write_page(tmp_path, None).read_text()
    bare = page_of(tmp_path, student_report.told())
    assert 'id="student"' in bare
    student_report.write(tmp_path, {"root": ""})
    with pytest.raises(UserError, match="not what Stillroom wrote"):
        write_page(tmp_path, None)


def test_the_section_holds_every_part(run: Path) -> None:
    page = page_of(run, student_report.told(EVIL))
    assert EVIL not in page  # not even in a title
    said = text_of(page)
    for part in (
        "90.0 (85.1 to 93.4)",  # accuracy
        "+15.0 (9.0 to 21.0)",  # what the student is ahead by
        "3 of 400",  # cut off
        "0.041",  # calibration
        "pass@4",
        "80.0 (75.0 to 85.0)",
        "4,000,000 300 1,500,000",  # the teacher's parameters, examples, tokens
        "250.5",  # its CPU-seconds
        "0.001: 70.0 , 0.002: 75.0",  # rates tried
        "400 held-out questions were compared with 1,000 training questions",
        f"sum {EVIL} 300",  # what was refused
        f"Teacher 5 {EVIL} Check sum: {EVIL}",
    ):
        assert " ".join(part.split()) in said, part
    assert "the student is right on 88.0 % (76.2 to 94.4) of 50; teacher 93.0" in page
    marks = re.findall(r'<p class="mark (\w+)">([^<]+)', page)
    assert [mark for mark, _ in marks] == ["no"] * 4 + ["yes"] * 2
    assert [mark for _, mark in marks][:2] == ["wrong", "wrong"]
    assert page.index("<details><summary>3 more") > page.index("question 2")


def test_what_the_report_lacks_is_not_on_the_page(run: Path) -> None:
    told = student_report.told(teacher=False)
    said = text_of(page_of(run, told))
    for part in ("pass@", "teacher 95", "beyond", "It keeps", "Seed by seed", "For example"):
        assert part not in said, part
    assert "None was refused." in said
    told["graded"], told["teacher"] = [], told["teacher"] | {
        "kind": "asked", "prompt_tokens": 5000, "completion_tokens": 7000, "cost": 1.5,
    }  # fmt: skip
    said = text_of(page_of(run, told))
    assert "Answers of the student" not in said
    assert "1,000 answers took 5,000 tokens of prompts and 7,000 of answers, money 1.5000" in said


def test_charts_bear_the_reports_figures() -> None:
    told = student_report.told(EVIL)
    drawn = student_charts.charts(told)
    assert [one["title"] for one in drawn] == [
        "Ordinary questions", "Questions beyond its training's range", "Training loss",
    ]  # fmt: skip
    ordinary = drawn[0]["spec"]["datasets"] if "datasets" in drawn[0]["spec"] else drawn[0]["spec"]
    held = json.dumps(ordinary)
    low, high = told["arms"]["distilled"]["tests"]["test"]["interval"]
    assert f'"low": {low}' in held
    assert f'"high": {high}' in held
    assert '"right": 0.25' in held  # guessing
    assert '"arm": "teacher"' in held
    loss = json.dumps(drawn[2]["spec"])
    assert '"type": "log"' in loss
    assert 50 < loss.count('"arm": "gold"') <= 151  # thinned
    assert '"arm": "untrained"' not in loss
    for arm in told["arms"].values():
        arm["curve"] = [[step, 400 * step, 2 + 1 / step] for step in range(1, 9)]
    assert '"type": "log"' not in json.dumps(student_charts.charts(told)[2]["spec"])


def test_the_section_stays_small(run: Path) -> None:
    """Hundreds of concepts and long texts do not blow the page up."""
    told = student_report.told("x" * 40, concepts=300)
    for one in told["graded"]:
        one["text"] = "y" * 100_000
    few = len(page_of(run, student_report.told()))
    page = page_of(run, told)
    assert len(page) < few + 300_000
    assert "the 60 worst of 300 concepts" in text_of(page)
    shown = student_tables.section(told)["heat"]["rows"]
    assert {name.split()[1] for name, _ in shown} == {str(n) for n in range(4, 300, 5)}


# A real one.


def test_a_real_distillation_is_shown(real: Report) -> None:
    run = real.folder.parent
    page = write_page(run, worlds.build(worlds.find("drills"), {})).read_text()
    assert headline(real.figures).split(";")[0] in page
    said = text_of(page)
    right = real.figures["arms"]["distilled"]["tests"]["test"]["accuracy"]
    assert f"distilled {100 * right:.1f} (" in said
    assert "pass@2" in said
    assert "20 questions beyond its training's range" in said


def test_the_card_loads_the_model_offline(real: Report) -> None:
    """The code of the card is run as it stands, in the model's folder, without a network."""
    text = (real.model / "README.md").read_text()
    code = re.search(r"\n(`{3,})python\n(.*?)\n\1\n", text, re.S)
    assert code is not None
    assert len(code[2].splitlines()) == 3
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code[2]], cwd=real.model, env=env, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    question = json.loads(re.search(r"ask\((\[.*?\]),", code[2])[1])  # type: ignore[index]
    expected = next(
        one["text"] for one in _answers(real) if one["question"] == question[-1]["content"]
    )
    assert done.stdout.rstrip("\n") == expected


def _answers(real: Report) -> list[dict[str, Any]]:
    """Greedy answers of the student to its test questions, from what the distillation wrote."""
    import pyarrow.parquet as pq

    asked = pq.read_table(real.folder / "questions" / "test.parquet").to_pylist()
    said = pq.read_table(real.model.resolve().parent / "test.parquet").to_pylist()
    texts = {row["id"]: row["text"] for row in said if row["sample"] == 0}
    tag = re.compile(r"<\|(?:user|system|assistant)\|>")
    return [{"question": tag.sub("", row["prompt"]), "text": texts[row["id"]]} for row in asked]


def test_the_card_says_what_the_model_is(real: Report) -> None:
    text = (real.model / "README.md").read_text()
    front, _, body = text.removeprefix("---\n").partition("---\n")
    assert "library_name: transformers\n" in front
    assert "tags:\n- synthetic\n- stillroom\n- distillation\n" in front
    assert "base_model" not in front
    first = real.figures["arms"]["distilled"]["tests"]["test"]["seeds"][0]
    for part in (
        real.figures["root"], "program of world drills", "| guessing |", "| mean of 2 seeds |",
        f"| **this model** | {100 * first['accuracy']:.1f} % (",
        "| untrained: the same student before it learnt anything |",
        "none stands among them word for word", "as set by who made it",
    ):  # fmt: skip
        assert part in body, part
    assert "seconds" not in text
    assert str(real.folder) not in text


def test_what_is_measured_is_not_in_the_card() -> None:
    slow = student_report.told()
    slow["teacher"] |= {"cpu_seconds": 9999.0, "answering_cpu_seconds": 9999.0}
    for arm in slow["arms"].values():
        arm["cpu_seconds"] = 9999.0
    given = ({"name": "drills", "version": 1}, 7, "", "2 + 2?\n", 64)
    assert card(slow, *given) == card(student_report.told(), *given)
    assert 'ask("2 + 2?\\n", max' in card(slow, *given)  # a model without a chat template


def test_the_card_of_hostile_words() -> None:
    base = 'evil"\nlicense: mit'
    asked = [{"role": "user", "content": f"````\n{EVIL}"}]
    told = student_report.told(f"a | b\n# `{EVIL}`")
    text = card(told, {"name": "drills", "version": 1}, 7, base, asked, 64)
    front, _, body = text.removeprefix("---\n").partition("---\n")
    assert front.count("license:") == 1 + front.count('\\nlicense: mit"')
    assert f"base_model: {json.dumps(base)}\n" in front
    outside, _, code = body.partition("`````python\n")
    assert "<script" not in outside
    assert "\n# `" not in outside
    rows = [line for line in outside.splitlines() if line.startswith("| teacher")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 3
    assert json.dumps(asked) in code.partition("\n`````")[0]


# In a browser.


@pytest.mark.browser
@needs_chromium
def test_the_section_in_a_browser(visit: "Callable[..., Page]", run: Path) -> None:  # noqa: F811
    student_report.write(run, student_report.told(EVIL))
    write_page(run, worlds.build(worlds.find("lessons"), {}))
    page = visit(run, reduced_motion="reduce")
    page.wait_for_selector("#student .charts:not([aria-busy])")
    assert page.locator("#student .charts figure svg").count() == 3
    assert page.locator("#charts .charts figure svg").count() > 3
    assert EVIL in page.inner_text("#student ol.graded >> nth=0")
    assert EVIL in page.inner_text("#student dl.graded")
    assert page.locator("#student img, #student script").count() == 0
    cell = page.locator("#student .heat button").first
    cell.focus()
    assert "the student is right on" in page.inner_text("#student output")
    assert EVIL in page.inner_text("#student output")
    page.locator("#student summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#student details .mark.yes").first.is_visible()
    page.click("nav a >> text=Student")
    assert page.locator("#student").bounding_box()["y"] < 100  # type: ignore[index]


@pytest.mark.browser
@needs_chromium
def test_dark_narrow_and_printed(visit: "Callable[..., Page]", run: Path) -> None:  # noqa: F811
    student_report.write(run, student_report.told(EVIL, concepts=12))
    write_page(run, worlds.build(worlds.find("lessons"), {}))
    colours = {}
    for scheme in ("light", "dark"):
        page = visit(run, color_scheme=scheme)
        page.wait_for_selector("#student .charts:not([aria-busy])")
        point = page.locator("#student .charts svg path[aria-roledescription=point]").nth(1)
        cell = page.locator("#student .heat button").first
        colours[scheme] = (
            point.evaluate("e => getComputedStyle(e).fill"),
            cell.evaluate("e => getComputedStyle(e).backgroundColor"),
        )
    assert all(a != b for a, b in zip(*colours.values(), strict=True))
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins
    tables = page.locator("#student table.arms")
    for place in range(tables.count()):
        assert tables.nth(place).bounding_box()["width"] <= 718  # type: ignore[index]


@pytest.mark.browser
@needs_chromium
def test_a_cell_shows_its_records(visit: "Callable[..., Page]", real: Report) -> None:  # noqa: F811
    run = real.folder.parent
    write_page(run, worlds.build(worlds.find("drills"), {}))
    page = visit(run)
    page.wait_for_selector("#student .charts:not([aria-busy])")
    page.locator("#student .heat button.beyond").first.click()
    page.wait_for_selector("#said .chip")
    beyond = sum(r.tags["difficulty"] == "4" for r in stillroom.open(run))
    shows(page, beyond)
