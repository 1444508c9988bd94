"""What can be known to fail before anything is asked, paid or trained."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stillroom.errors import UserError
from stillroom.students.settings import Distill
from stillroom.students.shapes import is_folder, shape_of
from stillroom.world import Teacher, World, has

NEEDED = ("torch", "transformers", "tokenizers", "safetensors")


def possible(how: Distill, world: World, teacher: Teacher | None) -> Distill:
    """The settings, with a context that the student's model has; UserError for what can't be."""
    missing = [name for name in (*NEEDED, *(["peft"] if how.lora else [])) if not find_spec(name)]
    if missing:
        raise UserError(
            f"distilling needs {', '.join(missing)}", do="pip install 'stillroom[distill]'"
        )
    if not has(world, "read"):
        raise UserError(
            f"world {type(world).name} has no read(), so no answer of a model can be judged",
            do="give it a read(task, text)",
        )
    if teacher is not None and how.mode in ("logits", "on_policy"):
        raise UserError(
            f"mode {how.mode!r} needs a teacher's own probabilities, and the given object has none",
            do="leave the argument out: [distill.teacher] names a model",
        )
    if how.teacher is not None and teacher is None:
        if how.teacher.student:
            shape_of(how.teacher.student)
        if how.teacher.folder:
            _config(how.teacher.folder)
    if not is_folder(how.student):
        shape_of(how.student)
        if how.lora:
            raise UserError(
                f"distill.lora = {how.lora}: adapters are for a model that has learnt something, "
                f"and student {how.student!r} begins with random weights",
                do="give a model's folder as the student, or leave lora out",
            )
        return how
    most = getattr(_config(how.student), "max_position_embeddings", how.context)
    return how.model_copy(update={"context": min(how.context, most)})


def _config(folder: str) -> Any:
    """A model's configuration; UserError where there is none."""
    from transformers import AutoConfig

    if not (Path(folder) / "config.json").is_file():
        raise UserError(
            "no model is there: a folder with config.json, a tokenizer and weights is wanted",
            folder,
            "download one with the tools of its hub first; Stillroom fetches nothing",
        )
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except Exception as wrong:  # any kind comes out of a folder that is none
        said = str(wrong).split("\n")[0]
        raise UserError(f"this model can't be loaded: {said}", folder) from None
