"""Run an example world, or lessons, in a process that a test may kill; prints the root."""

import sys
from pathlib import Path

import stillroom

EXAMPLES = Path(__file__).parents[1] / "examples"


def main(world: str, count: str, out: str, workers: str) -> None:
    teacher = None
    what, settings = str(EXAMPLES / f"{world}.py"), ["power.sample=0"]
    if world == "lessons":
        what = "lessons"
    elif world == "quiz":
        sys.path.insert(0, str(EXAMPLES))
        from quiz import Parrot

        teacher = Parrot()
    elif world == "clinic":
        settings.append(f"world.table={table(Path(out).parent)}")
    result = stillroom.run(
        what, count=int(count), out=out, workers=int(workers), settings=settings, teacher=teacher
    )
    print(result.root)


def table(folder: Path) -> Path:
    """A private table of 300 made-up patients, with a note that must never get out."""
    path = folder / "patients.csv"
    if not path.exists():
        rows = [f"{20 + i % 70},{'fm'[i % 2]},{100 + i % 60},PLANTED-{i}" for i in range(300)]
        path.write_text("age,sex,systolic,note\n" + "\n".join(rows) + "\n")
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
