"""A model's text as data, and rows from elsewhere as task and data."""

import re
from typing import Any

from stillroom.world import Data, Task
from stillroom.worlds.lessons.drills.judging import Asked
from stillroom.worlds.lessons.drills.notation import steps_of

BEGIN, END = "<think>", "</think>"


def read(task: Task, text: str) -> Data:
    """An answer alone, or reasoning up to `</think>` and then the answer; ValueError if neither.

    The `<think>` before may be missing, as chat templates put it into the prompt. Empty reasoning
    is none: some templates write the two marks with nothing between.
    """
    before, end, after = text.partition(END)
    if not end and BEGIN in text:
        raise ValueError(f"the reasoning has no end: there is {BEGIN} and no {END}")
    reasoning = before.strip().removeprefix(BEGIN).strip() if end else ""
    answer = (after if end else text).strip()
    if not re.fullmatch("[0-9]+", answer):
        raise ValueError(f"the answer is not a number alone: {answer!r:.60}")
    return {
        "family": task["family"],
        "size": task["size"],
        "question": task["question"],
        "steps": steps_of(task["family"], reasoning) if reasoning else None,
        "answer": answer,
    }


def text_of(row: dict[str, Any]) -> tuple[str, str]:
    """Question and told answer of a chat or of a prompt with its completion.

    Reasoning in a field of its own is put between the marks. ValueError: neither is in the row.
    """
    messages = row.get("messages")
    if not isinstance(messages, list):
        prompt, completion = row.get("prompt"), row.get("completion")
        if isinstance(prompt, str) and isinstance(completion, str):
            return prompt.strip(), completion
        raise ValueError(f"expected messages, or a prompt and a completion, got {sorted(row)}")
    if not all(isinstance(turn, dict) for turn in messages):
        raise ValueError("a message is not an object")
    turns = [turn for turn in messages if turn.get("role") != "system"]
    if [turn.get("role") for turn in turns] != ["user", "assistant"]:
        raise ValueError("expected one question by the user and one answer by the assistant")
    asked, told = turns[0].get("content"), turns[1].get("content")
    if not (isinstance(asked, str) and isinstance(told, str)):
        raise ValueError("a message has no text")
    thought = turns[1].get("reasoning_content")
    if thought is not None and not isinstance(thought, str):
        raise ValueError("reasoning_content is not a text")
    return asked.strip(), f"{BEGIN}{thought}{END}{told}" if thought else told


def task_of(asked: Asked, question: str, split: str) -> Task:
    """The task that a question from elsewhere must have come from; its number is unknown."""
    return {
        "family": asked.family,
        "size": asked.size,
        "split": split,
        "number": -1,
        "question": question,
    }
