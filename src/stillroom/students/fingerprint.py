"""What a tokenizer is known by: a teacher's numbers mean nothing under another one."""

import hashlib
from pathlib import Path
from typing import Any

import orjson

from stillroom.errors import UserError
from stillroom.record import canonical


def real_vocabulary(tokenizer: Any) -> int:
    """One more than the largest token id: logits beyond are padding, to be cut off on both sides.

    Models of one family pad to different widths (151,936 and 152,064, say) over the same tokens.
    """
    return 1 + max(map(int, tokenizer.get_vocab().values()))


def fingerprint(tokenizer: Any, vocabulary_size: int, eos: int) -> dict[str, Any]:
    """What must be the same for teacher and student: {tokenizer, template, eos, vocabulary}.

    tokenizer: a Hugging Face tokenizer; vocabulary_size: width of the model's logits, padding
    included; eos: the token id that ends an answer. Hashes are sha256: of the map from token to
    id, special tokens included, with the normaliser and the pre-tokenizer where it has them, and of
    the chat template. UserError when the model has fewer logits than there are tokens.
    """
    vocabulary = real_vocabulary(tokenizer)
    if vocabulary_size < vocabulary or not 0 <= eos < vocabulary:
        raise UserError(
            f"{vocabulary} tokens, but logits for {vocabulary_size} and EOS is {eos}",
            do="model and tokenizer don't belong together: take both from one folder",
        )
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    rules = orjson.loads(backend.to_str()) if hasattr(backend, "to_str") else {}
    known = [tokenizer.get_vocab(), rules.get("normalizer"), rules.get("pre_tokenizer")]
    template = getattr(tokenizer, "chat_template", None)
    return {
        "tokenizer": _sha(known),
        "template": _sha(template) if template else "none",
        "eos": eos,
        "vocabulary": vocabulary,
    }


def _sha(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


PARTS = {
    "tokenizer": ("tokenizer", "token ids mean other tokens: train on the text instead"),
    "template": ("chat template", "give the student the teacher's template, or ask the teacher"
                 " again under the student's"),
    "eos": ("EOS", "set the student's EOS to the teacher's, or it won't learn to end"),
    "vocabulary": ("vocabulary", "take a student with the teacher's own tokenizer files"),
}  # fmt: skip


def agree(path: Path, store: dict[str, Any], student: dict[str, Any]) -> None:
    differing = [part for part in PARTS if store[part] != student.get(part)]
    if differing:
        said = [
            f"{PARTS[part][0]} ({_short(store[part])} in the store, "
            f"{_short(student.get(part))} for the student)"
            for part in differing
        ]
        raise UserError(
            f"this teacher's support is no use to this student, they differ in: {', '.join(said)}",
            path,
            "; ".join(f"{PARTS[part][0]}: {PARTS[part][1]}" for part in differing),
        )


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else str(value)
