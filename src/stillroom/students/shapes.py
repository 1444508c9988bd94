"""How large a student is made, and with which weights it starts."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.errors import UserError


@dataclass(frozen=True, slots=True)
class Shape:
    """Layers, width of the residual stream, and width inside the feed-forward blocks."""

    layers: int
    width: int
    inner: int

    @property
    def heads(self) -> int:
        """Heads of 32 numbers or more where the width allows; two at least, each even."""
        most = max(2, self.width // 32)
        return next(h for h in range(most, 0, -1) if self.width % (2 * h) == 0)


PRESETS = {
    "tiny": Shape(2, 96, 256),
    "small": Shape(5, 256, 688),
    "base": Shape(9, 512, 1408),
}


SIZE = re.compile(r"(\d{1,2})x(\d{1,4})")


def is_folder(name: str) -> bool:
    """Whether a student's name is the folder of a model; a size is one whatever lies around."""
    return name not in PRESETS and not SIZE.fullmatch(name) and Path(name).is_dir()


def shape_of(name: str) -> Shape:
    """A preset, or LAYERSxWIDTH such as "2x64"; the inner width is then 8/3 of the width."""
    if name in PRESETS:
        return PRESETS[name]
    found = SIZE.fullmatch(name)
    if found is None or not int(found[1]) or not int(found[2]) or int(found[2]) % 8:
        raise UserError(
            f"no student is called {name!r}",
            do=f"one of {', '.join(PRESETS)}, LAYERSxWIDTH such as 2x64 (a width of eights), "
            "or the folder of a Hugging Face model",
        )
    width = int(found[2])
    return Shape(int(found[1]), width, 8 * round(width / 3))


def initial_range(width: int) -> float:
    """The standard deviation of new weights: 0.8/sqrt(width).

    The usual 0.02 belongs to widths near 1,600; narrow models learn nothing for long with it.
    """
    return 0.8 / math.sqrt(width)


def new_model(shape: Shape, tokenizer: Any, context: int, seed: int) -> Any:
    """A Llama for this tokenizer, embeddings tied, with random weights that `seed` decides."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        initializer_range=initial_range(shape.width),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)
