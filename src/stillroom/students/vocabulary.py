"""Tokenizers that are made here: bytes, or byte-pair encoding learnt from the texts at hand."""

from collections.abc import Iterable, Sequence
from typing import Any

from stillroom.answer import ANSWER, THINK

PAD, END = "<|pad|>", "<|end|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"

# Digits and signs stand alone: a number is read digit by digit, and equal traces cut up equally.
PIECES = r"\p{N}|[^\s\p{L}\p{N}]| ?\p{L}+|\s+"

TEMPLATE = (
    "{% for m in messages %}"
    "{% if m.role == 'assistant' %}<|assistant|>{% generation %}"
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    "{{ m.content }}<|end|>{% endgeneration %}"
    "{% else %}<|{{ m.role }}|>{{ m.content }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train_tokenizer(texts: Iterable[str] = (), size: int = 0) -> Any:
    """A fast tokenizer with our chat template; `size` 0: the 256 bytes, else BPE of that size.

    Byte-level, so every text can be encoded and comes back as it was. Pad is not EOS, and the
    marks around reasoning are ordinary added tokens: decoding keeps them.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special: Sequence[str] = (PAD, END, SYSTEM, USER, ASSISTANT)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    plain = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    cut = pre_tokenizers.Split(Regex(PIECES), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    plain.pre_tokenizer = pre_tokenizers.Sequence([cut, byte_level])
    plain.decoder = decoders.ByteLevel()
    if size:
        trainer = trainers.BpeTrainer(
            vocab_size=size - 2,
            min_frequency=2,
            initial_alphabet=alphabet,
            special_tokens=list(special),
            show_progress=False,
        )
        plain.train_from_iterator(texts, trainer)
    plain.add_special_tokens(list(special))
    plain.add_tokens([AddedToken(mark, normalized=False) for mark in (THINK, ANSWER)])
    make: Any = PreTrainedTokenizerFast
    tokenizer = make(
        tokenizer_object=plain,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(special[2:]),
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer
