"""README and docs: every example in them runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{n}.md" for n in ("start", "teachers", "sandbox"))]
SAYS_NO = {"check": 3}  # the example file holds a wrong sum: that is the point


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path, home: Path) -> None:
    found = blocks(page, "python")
    assert found
    for block in found:
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=home, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_commands_of_the_readme_run(home: Path) -> None:
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    assert len(lines) > 4
    for line in lines:
        _, *words = shlex.split(line, comments=True)
        command = [sys.executable, "-c", "from stillroom.cli import main; main()", *words]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True)
        assert done.returncode == SAYS_NO.get(words[0], 0), f"{line}\n{done.stderr}"


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    ("bench", "page"),
    [
        ("foundation", "README.md"),
        ("lessons", "README.md"),
        ("teachers", "README.md"),
        ("distill", "README.md"),
        ("guard", "docs/guard.md"),
        ("collapse", "docs/collapse.md"),
    ],
)
def test_the_figures_told_are_the_committed_ones(bench: str, page: str) -> None:
    command = [sys.executable, str(ROOT / "bench" / "table.py"), bench]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert table.strip() in (ROOT / page).read_text()
