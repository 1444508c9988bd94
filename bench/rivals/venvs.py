"""Builds each rival's and judge's own virtual environment from the pins beside this file.

`python bench/rivals/venvs.py [--into .venvs] [lmeval mctx near openspiel]` prints the
interpreters as JSON, of all where none is named. What is built already, from the same pins, is left
as it is.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT = HERE.parent.parent / ".venvs"
RIVALS = tuple(sorted(pins.stem for pins in HERE.glob("*.txt")))


def interpreter(rival: str, into: Path = DEFAULT) -> Path:
    """The rival's Python; builds its environment where there is none from the present pins."""
    folder = into / rival
    python, built = folder / "bin" / "python", folder / "built.txt"
    pins = HERE / f"{rival}.txt"
    if not built.exists() or built.read_text() != pins.read_text():
        print(f"building {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = ("install", "--quiet", "--disable-pip-version-check", "-r", pins)
        subprocess.run([python, "-m", "pip", *install], check=True)
        built.write_text(pins.read_text())  # last: an unfinished environment is built again
    return python


def built(rival: str) -> Path | None:
    """The rival's Python if all of its environment is there: in STILLROOM_JUDGES, or .venvs."""
    folder = Path(os.environ.get("STILLROOM_JUDGES", DEFAULT)).absolute() / rival
    return folder / "bin" / "python" if (folder / "built.txt").exists() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=DEFAULT)
    parser.add_argument("rivals", nargs="*", help=f"all of {', '.join(RIVALS)} by default")
    chosen = parser.parse_args()
    pythons = {name: interpreter(name, chosen.into) for name in chosen.rivals or RIVALS}
    print(json.dumps({name: str(python) for name, python in pythons.items()}))


if __name__ == "__main__":
    main()
