"""Run `learn` of a finished run's generation again, and compare what it makes with what is there.

On the run's own CPU class and versions the files must be the same to the last bit. Elsewhere sums
come in another order, and training enlarges that: there weights are compared, and nothing is called
a forgery for it.
"""

import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

from stillroom import files, store, worlds
from stillroom.errors import Stopped, UserError
from stillroom.state import learn_state
from stillroom.world import World, has

TOLERANCE = 0.05  # elsewhere: the difference of all weights, by their own size (root mean squares)


def relearn(
    folder: Path, about: dict[str, Any], world: World, spec: worlds.Spec, number: int
) -> tuple[list[str], str]:
    """Learn once more after generation `number`: (what differs, a note).

    UserError for a world that doesn't learn, and for a generation that the run hasn't finished.
    """
    if not has(world, "learn"):
        raise UserError(f"{type(world).name} does not learn", folder, "leave --relearn out")
    known, _ = store.read_state(folder, number, about["private"])
    if not known:
        what = f"nothing was learnt after a generation {number} of this run"
        raise UserError(what, folder, "generations are counted from 0")
    before = number - 1 if number else None
    _, state = store.read_state(folder, before, about["private"])
    name = f"g{number:03d}"
    with tempfile.TemporaryDirectory() as scratch:
        job = {
            "spec": spec.json(),
            "config": world.model_dump(mode="json"),
            "seed": about["parts"]["seed"],
            "run": str(folder.resolve()),
            "generation": number,
            "scratch": str(_room(scratch, "scratch")),
            "where": f"learn after generation {number}",
            "state": str(state.resolve()) if state else "",
        }
        try:
            made = learn_state(job)
        except (Stopped, UserError) as wrong:
            return [f"{name}: learning once more went wrong: {wrong.what}"], ""
        new = _room(scratch, "state")
        if made:
            shutil.move(made, new / Path(made).name)
        home = store.state_home(folder, number, about["private"])
        if about["made_with"] == store.surroundings():
            return _differences(name, files.tree(home), files.tree(new)), ""
        return [], f"{name}: {_elsewhere(home, new)}"


def _room(scratch: str, name: str) -> Path:
    folder = Path(scratch) / name
    folder.mkdir()
    return folder


def _differences(name: str, old: dict[str, str], new: dict[str, str]) -> list[str]:
    differ = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    return [f"{name}/state: {path} is another when it is learnt once more" for path in differ]


def _elsewhere(home: Path, new: Path) -> str:
    """How far all weights are from those of the run, in words."""
    if set(files.tree(home)) != set(files.tree(new)):
        return "other CPU or library, and other files are learnt here"
    apart = size = 0.0
    for path in sorted(new.rglob("*.safetensors")):
        one, two = _squares(home / path.relative_to(new), path)
        apart, size = apart + one, size + two
    if not size:
        return "other CPU or library: what is learnt can't be compared"
    share = math.sqrt(apart / size)
    word = "within" if share <= TOLERANCE else "beyond"
    return (
        f"other CPU or library: the weights differ by {100 * share:.3g} %, "
        f"{word} the tolerance of {100 * TOLERANCE:g} %"
    )


def _squares(old: Path, new: Path) -> tuple[float, float]:
    """The sums of squares of the weights' differences, and of the weights."""
    import numpy as np
    from safetensors.numpy import load_file

    was, now = load_file(old), load_file(new)
    if {name: one.shape for name, one in was.items()} != {n: one.shape for n, one in now.items()}:
        return math.inf, 1.0
    wide = [(was[name].astype(np.float64), now[name].astype(np.float64)) for name in was]
    return (
        sum(float(((one - two) ** 2).sum()) for one, two in wide),
        sum(float((one**2).sum()) for one, _ in wide),
    )
