"""A world's own program as a teacher: it makes the record that a question asks for."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from stillroom.answer import spoken
from stillroom.errors import UserError
from stillroom.record import Origin, Record, canonical, record_id, task_id, task_json, task_prefix
from stillroom.world import Context, Message, Task, Verdict, World

SEARCH = 2_000  # tasks of the plan that are made to find the one that a question belongs to


class Question(NamedTuple):
    """A question that a world knows the answer to."""

    task: Task
    messages: tuple[Message, ...]
    tags: Mapping[str, str] = MappingProxyType({})

    @property
    def text(self) -> str:
        return self.messages[-1]["content"]


class Program:
    """Answers the prompts of a world's own records: `show(record).messages`, all but the last.

    A prompt is known once `questions` has given it; others are looked for in the first tasks of
    the plan. Works for worlds whose `make` needs no model and no state.
    """

    in_flight = 1

    def __init__(self, world: World, seed: int = 0) -> None:
        self.world, self.seed = world, seed
        self.model = f"program {type(world).name}/{type(world).version}"
        self._known: dict[bytes, str] = {}
        self._plan = self._questions()

    def questions(self) -> Iterator[Question]:
        """The questions of the plan, in its order, as long as it goes on."""
        return self._questions()

    async def ask(self, messages: Sequence[Message], **params: Any) -> str:
        """The last message of the record whose prompt this is; UserError when there is none."""
        key = canonical(list(messages))
        for _ in islice(self._plan, 0 if key in self._known else SEARCH):
            if key in self._known:
                break
        if key not in self._known:
            raise UserError(
                f"world {type(self.world).name} has no record for: {messages[-1]['content']!r:.80}",
                do="ask what Program.questions() gives",
            )
        return self._known[key]

    def _questions(self) -> Iterator[Question]:
        prefix = task_prefix(self.world, self.seed)
        for index, task in enumerate(self.world.plan(0)):
            text = task_json(task)
            tid = task_id(prefix, 0, index, text.encode())
            made: Any = self.world.make(task, Context(tid))
            if not isinstance(made, list):
                made.close()
                raise UserError(
                    f"world {type(self.world).name} needs a teacher itself", do="take another one"
                )
            for ordinal, draft in enumerate(made):
                data = getattr(draft, "data", draft)
                rid = record_id(tid, ordinal, canonical(data))
                record = Record(
                    rid, type(self.world).name, tid, text, 0, data, Verdict(()), {}, Origin()
                )
                view = self.world.show(record)
                chat = view.messages
                if len(chat) > 1:
                    self._known[canonical(list(chat[:-1]))] = spoken(chat[-1])
                    yield Question(task, chat[:-1], view.tags)
