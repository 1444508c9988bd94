"""A teacher as people write it: `teacher.generate(question)`, without a run and without `await`."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stillroom.errors import UserError
from stillroom.ledger import Ledger, TaskTeacher
from stillroom.teachers import open_teacher
from stillroom.teachers.program import Program, Question
from stillroom.teachers.settings import Settings
from stillroom.world import Message, World

STEPS = "Work step by step and write every step down before the answer."
SHORT = "Give the final answer alone, without any explanation."


class Teacher:
    """Answers questions one by one, and keeps the answers in a ledger.

    source   a server's URL (with `model`), a folder with a model, or a World: its own program
    ledger   a file for the answers, which are never asked for twice; without one they are
             forgotten when the teacher closes
    others   parameters of the model (temperature, max_tokens), or `settings` as in a recipe

    Use it in a `with`, or call `close()`.
    """

    def __init__(
        self,
        source: str | World,
        model: str = "",
        *,
        ledger: str | Path | None = None,
        settings: dict[str, Any] | None = None,
        seed: int = 0,
        **params: Any,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory() if ledger is None else None
        home = Path(self._temporary.name) if self._temporary else Path()
        self._path = Path(ledger) if ledger is not None else home / "ledger.sqlite"
        if isinstance(source, World):
            self.teacher: Any = Program(source, seed)
        else:
            place = {"url" if "://" in source else "folder": source, "model": model}
            table = {**place, "params": params, **(settings or {})}
            self.teacher = open_teacher(Settings.model_validate(table))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ledger: Ledger | None = None

    @property
    def model(self) -> str:
        return str(self.teacher.model)

    def questions(self) -> Iterator[Question]:
        """The questions of a world that teaches itself."""
        if not isinstance(self.teacher, Program):
            raise UserError("only a world's own program brings questions", do="ask what you like")
        return self.teacher.questions()

    def generate(
        self,
        question: str | Question | Sequence[Message],
        reasoning: bool = True,
        sample: int = 0,
        **params: Any,
    ) -> str:
        """The answer as text, with its steps or without.

        `sample` numbers the answers to one question: the same number, the same answer.
        """
        messages = self._messages(question, reasoning)
        if self._loop is None:
            self._loop, self._ledger = asyncio.new_event_loop(), Ledger(self._path)
        assert self._ledger is not None
        asker = TaskTeacher(self._ledger, self.model, f"sample {sample}", self.teacher)
        answer = self._loop.run_until_complete(asker.ask(messages, **params))
        return str(answer.text)

    def score(self, ids: Sequence[int]) -> list[float]:
        """Log-probabilities of tokens after the first, where the model can give them."""
        if not hasattr(self.teacher, "score"):
            raise UserError(
                f"{self.model} gives no log-probabilities of given tokens",
                do="use a model in a folder",
            )
        return list(self.teacher.score(ids))

    def close(self) -> None:
        if self._loop is not None and self._ledger is not None:
            if hasattr(self.teacher, "close"):
                self._loop.run_until_complete(self.teacher.close())
            self._ledger.close()
            self._loop.close()
            self._loop = self._ledger = None
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        self.close()

    def _messages(
        self, question: str | Question | Sequence[Message], reasoning: bool
    ) -> list[Message]:
        if isinstance(question, str):
            messages: list[Message] = [{"role": "user", "content": question}]
        else:
            messages = list(question.messages if isinstance(question, Question) else question)
        if isinstance(self.teacher, Program):
            if not reasoning:
                raise UserError("a program always tells its steps", do="leave reasoning on")
            return messages
        how = STEPS if reasoning else SHORT
        return [{"role": "system", "content": how}, *messages]
