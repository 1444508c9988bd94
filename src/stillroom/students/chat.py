"""Chats as token ids: which ids a student is shown, and which it has to say itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stillroom.answer import spoken
from stillroom.errors import UserError
from stillroom.world import Message


@dataclass(frozen=True, slots=True)
class Example:
    """A chat as token ids; those from `start` on are learnt, the last of them is EOS."""

    ids: list[int]
    start: int


def prompt(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The text that the assistant's turn follows, by the tokenizer's chat template."""
    if not tokenizer.chat_template:
        return "".join(f"{message['content']}\n" for message in messages)
    text: str = tokenizer.apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=True
    )
    return text


def target(tokenizer: Any, messages: Sequence[Message]) -> str:
    """What follows the prompt of messages[:-1] when the last message is said, EOS included."""
    before = prompt(tokenizer, messages[:-1])
    end: str = tokenizer.eos_token
    last = messages[-1]
    template = tokenizer.chat_template
    if not template:
        return spoken(last) + end
    if "reasoning_content" not in str(template):
        last = {"role": last["role"], "content": spoken(last)}  # else it would be left out unseen
    whole: str = tokenizer.apply_chat_template([*messages[:-1], last], tokenize=False)
    if not whole.startswith(before):
        raise UserError(
            "the chat template writes a prompt differently once it is answered, so training and "
            f"use would differ: {_differing(before, whole)}",
            do="give the tokenizer a template whose generation prompt begins the answer's turn",
        )
    said = whole[len(before) :]
    return said[: said.rindex(end) + len(end)] if end in said else said + end


def encode(tokenizer: Any, chats: Sequence[Sequence[Message]], context: int) -> list[Example]:
    """Chats whose last turn is learnt as examples; UserError when one is longer than `context`."""
    before = [prompt(tokenizer, chat[:-1]) for chat in chats]
    after = [target(tokenizer, chat) for chat in chats]
    shown, learnt = _ids(tokenizer, before), _ids(tokenizer, after)
    examples = [Example(a + b, len(a)) for a, b in zip(shown, learnt, strict=True)]
    for example, chat in zip(examples, chats, strict=True):
        if not example.start:
            raise UserError(
                "nothing stands before an answer, so there is nothing that it answers",
                do="ask a question, or give the tokenizer a template with a generation prompt",
            )
        if len(example.ids) > context:
            raise UserError(
                f"a question with its answer takes {len(example.ids)} tokens, "
                f"the student's context holds {context}: {chat[-2:][0]['content']!r:.80}",
                do="raise `context`, or leave such questions out",
            )
    return examples


def encode_prompts(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Rendered prompts as token ids, nothing added."""
    return _ids(tokenizer, prompts)


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    found: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return found


def _differing(one: str, other: str) -> str:
    place = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    return f"{one[place : place + 30]!r} becomes {other[place : place + 30]!r}"
