"""A teacher that is not there any more: its answers came with the recipe, in a ledger."""

from collections.abc import Sequence
from typing import Any

from stillroom.answer import Reply
from stillroom.errors import UserError
from stillroom.teachers.settings import Settings
from stillroom.world import Message


class Recorded:
    """Knows nothing but what the ledger holds, so whatever reaches it is a question too many."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.model = settings, settings.identity

    async def ask(self, messages: Sequence[Message], **params: Any) -> Reply:
        raise UserError(
            f"the ledger holds no answer of {self.model} to: {messages[-1]['content']!r:.80}",
            self.settings.ledger,
            "run the recipe it was made with, or give teacher.url so that what is missing is asked",
        )
