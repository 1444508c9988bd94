"""A look at what is learnt, before anything is: most failed distillations would show here."""

from collections.abc import Sequence
from typing import Any

from stillroom.errors import UserError
from stillroom.students import chat
from stillroom.students.chat import Example
from stillroom.world import Message

SHOWN = 2  # examples that are printed


def preflight(tokenizer: Any, examples: Sequence[Example], first: Sequence[Message]) -> list[str]:
    """Lines that show a few examples with what is learnt in «», or UserError.

    Checked of every example: something is learnt, the last of it is EOS and EOS is nowhere before
    in it, the prompt is not learnt and holds no padding. Of `first`, the chat behind examples[0]:
    it is asked in judging as it is in training.
    """
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    for number, one in enumerate(examples):
        learnt = one.ids[one.start :]
        wrong = ""
        if not learnt or one.start < 1:
            wrong = "nothing is learnt in it, or its prompt is empty"
        elif learnt[-1] != end:
            wrong = f"its last label is {learnt[-1]}, not EOS ({end}): it would never stop"
        elif end in learnt[:-1]:
            wrong = "EOS is in the middle of what is learnt: the rest would never be said"
        elif pad is not None and pad != end and pad in one.ids[: one.start]:
            wrong = "its prompt holds the padding token"
        if wrong:
            raise UserError(f"preflight: example {number}: {wrong}", do="mend the chat template")
    asked = chat.encode_prompts(tokenizer, [chat.prompt(tokenizer, first[:-1])])[0]
    if asked != examples[0].ids[: examples[0].start]:
        raise UserError(
            "preflight: a question is not asked in use as it was in training",
            do="mend the chat template: its generation prompt must be what stands before answers",
        )
    lines = ["what is learnt, in «»:"]
    for one in examples[:SHOWN]:
        shown, learnt = (
            tokenizer.decode(ids) for ids in (one.ids[: one.start], one.ids[one.start :])
        )
        lines.append(f"  {shown}«{learnt}»")
    share = sum(len(one.ids) - one.start for one in examples) / sum(
        len(one.ids) for one in examples
    )
    lines.append(f"  {len(examples):,} examples; {100 * share:.0f} % of the tokens are learnt")
    if pad == end:
        lines.append("  padding and EOS are one token here; places are masked by number, so both "
                     "are right")  # fmt: skip
    return lines
