"""Whether a teacher can judge a student's own answers, and whether these are worth judging."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stillroom.errors import UserError
from stillroom.students.fingerprint import agree, fingerprint
from stillroom.students.student import Student, tokenizer_from

ASKED = 32  # questions that tell whether a student has learnt anything


def teacher_for(student: Student, folder: Path) -> Any:
    """The teacher's model, in the precision it was stored in; UserError where it can't teach."""
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").is_file():
        raise UserError("no teacher is there: a Hugging Face folder is wanted", folder)
    tokenizer = tokenizer_from(str(folder))
    teacher: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="auto")
    wide, ours = _width(teacher), _width(student.model)
    theirs = fingerprint(tokenizer, wide, tokenizer.eos_token_id)
    agree(folder, theirs, fingerprint(student.tokenizer, ours, student.tokenizer.eos_token_id))
    if wide > ours:
        teacher.resize_token_embeddings(ours)  # no more than padding is cut off
    elif wide < ours:
        raise UserError(
            f"the student's logits are padded to {ours}, the teacher's to {wide}",
            folder,
            f"cut the student's first: model.resize_token_embeddings({wide})",
        )
    return teacher.to(student.model.device).eval()


def _width(model: Any) -> int:
    width: int = model.config.get_text_config().vocab_size
    return width


def refuse_cold(student: Student, prompts: Sequence[Sequence[int]], most: int) -> None:
    """UserError for a student that can't end an answer: its own answers would teach it nothing."""
    from stillroom.students.generation import generate

    asked = prompts[:: max(1, len(prompts) // ASKED)][:ASKED]
    end = student.tokenizer.eos_token_id
    if not any(said.ended for said in generate(student.model, asked, end=end, most=most)):
        raise UserError(
            f"not one of {len(asked)} answers came to an end within {most} tokens: on-policy from "
            "a student that has learnt nothing gives noise",
            do="train it in mode sequence first ([distill.on_policy] warm), or raise max_tokens",
        )
