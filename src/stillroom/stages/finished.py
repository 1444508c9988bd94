"""A finished run and its recipe, as a stage that comes after it needs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom import files, recipe
from stillroom.errors import UserError
from stillroom.recipe import Recipe


@dataclass(frozen=True)
class Finished:
    """`about` is run.json, `root` the run's, `recipe` its own with what was set anew."""

    folder: Path
    about: dict[str, Any]
    root: str
    recipe: Recipe


def finished_run(run: str | Path, table: str, settings: Sequence[str], example: str) -> Finished:
    """Open a finished run; only keys of this table of its recipe can still be set."""
    folder = Path(run)
    about = files.read_json(folder / "run.json", "parts", "spec")
    whole = files.read_json(folder / "make" / "manifest.json", "root")
    if about is None or whole is None:
        raise UserError("no finished run is there", folder, "give the folder that `run` named")
    raw = recipe.from_file(folder / "recipe.toml")
    for setting in settings:
        if not setting.startswith(f"{table}."):
            raise UserError(
                f"--set {setting}: the run is made, so only keys of its [{table}] can be set",
                do=f"for example --set {example}",
            )
    recipe.assign(raw, tuple(settings))
    settled = recipe.tables(raw, str(folder / "recipe.toml"))
    return Finished(folder, about, whole["root"], settled)
