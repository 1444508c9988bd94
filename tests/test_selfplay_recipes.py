"""The recipes of self-play as they are shipped, made small, from the command line."""

import json
from pathlib import Path

import pytest
from worlds import here

pytest.importorskip("numba")

import stillroom

RECIPES = Path(stillroom.__file__).parent / "recipes"
SMALL = ["--count", 4, "--workers", 0, "--set", "power.sample=4"]
for setting in ("batch=4", "blocks=1", "channels=8", "simulations=2", "judge_games=0"):
    SMALL += ["--set", f"world.{setting}"]


def made(recipe: str, out: Path, generations: int) -> str:
    """The root of a run from the command line."""
    count = ["--set", f"world.generations={generations}"]
    code, _, err = here("run", RECIPES / recipe, "--out", out, *SMALL, *count)
    assert code == 0, err
    whole = json.loads((out / "make" / "manifest.json").read_text())
    assert [one["generation"] for one in whole["generations"]] == list(range(generations))
    assert whole["counts"]["dataset"] == 4 * generations
    return str(whole["root"])


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["selfplay.toml", "go5.toml"])
def test_a_recipe_grows_to_what_it_makes_at_once(recipe: str, tmp_path: Path) -> None:
    assert len({made(recipe, tmp_path / "grown", generations) for generations in (2, 3)}) == 2
    grown = made(recipe, tmp_path / "grown", 3)
    assert made(recipe, tmp_path / "asked", 3) == grown
