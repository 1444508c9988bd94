"""Language models of 120,000 parameters, trained here in seconds.

`build` makes one that counts: "3 4 5" -> "6 7 8"; its parts make others.
"""

import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

TEMPLATE = (
    "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}then:{% endif %}"
)


def build(folder: Path, steps: int = 150) -> Path:
    """Train and save model and tokenizer as a Hugging Face folder."""
    import torch

    words = [str(n) for n in range(60)] + ["\n", " ", "then", ":", "?", "What", "is", "number"]
    tokenizer = word_tokenizer(words)
    tokenizer.chat_template = TEMPLATE
    model = small_llama(len(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    starts = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = torch.randint(0, 50, (24,), generator=starts).tolist()
        step(model, tokenizer, optimizer, [_text(n) + tokenizer.eos_token for n in chosen])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def word_tokenizer(words: list[str]) -> Any:
    """Words, numbers, blanks and marks, each a token; `<pad>`, `<end>` and `<unk>` are special."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<pad>", "<end>", "<unk>", *words])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Split(Regex(r"\d+|\w+|\s|[^\w\s]"), "isolated")
    plain.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="<end>", unk_token="<unk>"
    )


def small_llama(vocabulary: int, spread: float = 0.02) -> Any:
    """An untrained model, always the same; its end token is 1. `spread` is that of its weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_num_threads(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            initializer_range=spread,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=1,
        )
    )


def step(model: Any, tokenizer: Any, optimizer: Any, texts: list[str]) -> None:
    """One step of training on every token of the texts."""
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    labels = ids.masked_fill(mask == 0, -100)
    model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def _text(n: int) -> str:
    return f"{n} {n + 1} {n + 2}\nthen:{n + 3} {n + 4} {n + 5}"
