"""`stillroom new NAME`: a world that runs, to be changed, and its test."""

from pathlib import Path

from stillroom.errors import UserError
from stillroom.files import write_file

TEMPLATE = Path(__file__).with_name("template.txt")
TEST = """from {name} import {cls}

from stillroom import check_world


def test_contract(tmp_path):
    check_world({cls}(), tmp_path)
"""


def write_world(name: str, folder: Path) -> list[Path]:
    """Write FOLDER/NAME.py and test_NAME.py; refuses to overwrite."""
    if not name.isidentifier() or not name.islower():
        raise UserError(f"{name!r} can't name a world", do="lower-case letters, digits and _ only")
    cls = "".join(part.capitalize() for part in name.split("_"))
    texts = {
        folder / f"{name}.py": TEMPLATE.read_text().replace("hello", name).replace("Hello", cls),
        folder / f"test_{name}.py": TEST.format(name=name, cls=cls),
    }
    for path in texts:
        if path.exists():
            raise UserError("the file is there already", path, "give another name")
    for path, text in texts.items():
        write_file(path, text.encode())
    return list(texts)
