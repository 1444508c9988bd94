"""What each arm learns from: the same questions, seen in different ways."""

from stillroom.answer import turn
from stillroom.errors import UserError
from stillroom.stages.questions import Posed, Sets
from stillroom.stages.taken import Taken
from stillroom.students.settings import Distill
from stillroom.world import Message

Chat = list[Message]
AT_ONCE: Message = {"role": "system", "content": "answer at once"}
"""In mode `rationale`: asks for the answer alone, where otherwise the reasoning comes first."""


def chats(arm: str, how: Distill, sets: Sets, taken: Taken) -> list[Chat]:
    """The chats that an arm learns; UserError where the data have none for it."""
    if arm == "untrained":
        return []
    if arm == "gold":
        assert how.teacher is not None
        return [list(one.chat) for one in sets.train[: how.teacher.gold]]
    answered = _answered(arm, how, taken)
    if not answered:
        raise UserError(
            f"none of the {len(taken.pool)} training questions has an accepted answer",
            do="see why they were refused in RUN/student/teacher; a better teacher, or more "
            "samples, may answer some",
        )
    whole: list[Chat] = [[*question.messages, said] for question, said in answered]
    alone: list[Chat] = [
        [*question.messages, {"role": "assistant", "content": said["content"]}]
        for question, said in answered
    ]
    reasoned = any("reasoning_content" in said for _, said in answered)
    if (arm.startswith("answer-only") or how.mode == "rationale") and not reasoned:
        raise UserError(
            "the answers hold no reasoning apart from the final answer, so "
            f"{'mode rationale' if how.mode == 'rationale' else f'arm {arm}'} means nothing here",
            do="leave it out, or take a world whose messages have a `reasoning_content`",
        )
    if arm.startswith("answer-only"):
        return alone
    if how.mode == "rationale":
        return [one for w, a in zip(whole, alone, strict=True) for one in (w, [AT_ONCE, *a])]
    return whole


def _answered(arm: str, how: Distill, taken: Taken) -> list[tuple[Posed, Message]]:
    found: list[tuple[Posed, Message]] = []
    for question in taken.pool:
        if arm == "unverified":
            # The first that was sampled, as one answer would be taken from a server.
            said = taken.first(question, 1) or taken.first(question, 0)
        elif how.keep == "all":
            said = taken.first(question, 0)
        else:
            said = taken.accepted(question)
        if said is not None:
            found.append((question, turn(said["text"])))
    return found


def reasons(taken: Taken) -> dict[str, int]:
    """Why answers were refused, and how often, the commonest first."""
    counted: dict[str, int] = {}
    for answers in taken.answers.values():
        for answer in answers:
            if not answer["whole"]:
                reason = answer["reason"].partition(":")[0]
                counted[reason] = counted.get(reason, 0) + 1
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
