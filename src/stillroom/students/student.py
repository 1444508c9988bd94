"""The student as people write it: `student.train_step(question, answer)`, `student.generate(q)`."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from stillroom.answer import turn
from stillroom.errors import Stopped, UserError
from stillroom.students import chat
from stillroom.students.chat import Example
from stillroom.students.generation import Said
from stillroom.world import Message

# Threads that wait must sleep, not spin: two spinning ones on a busy machine cost tenfold. To be
# said before torch is there.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

Asked = str | Sequence[Message]


class Student:
    """A `transformers` causal language model with its tokenizer, that learns and answers.

    Make one with `Student.new` or `Student.load`; `save` writes a plain Hugging Face folder.
    """

    def __init__(self, model: Any, tokenizer: Any, rate: float = 2e-3) -> None:
        self.model, self.tokenizer, self.rate = model, tokenizer, rate
        self._optimizer: Any = None

    @classmethod
    def new(
        cls,
        size: str = "tiny",
        tokenizer: Any = "bytes",
        *,
        texts: Iterable[str] = (),
        context: int = 512,
        seed: int = 0,
        rate: float = 2e-3,
    ) -> Self:
        """A Llama with random weights.

        size       tiny (0.25M parameters), small (4M), base (30M), or LAYERSxWIDTH
        tokenizer  "bytes", "bpe" or "bpe-SIZE" (learnt from `texts`), a folder, or a tokenizer
        rate       learning rate of `train_step`
        """
        from stillroom.students.shapes import new_model, shape_of

        shape = shape_of(size)
        ready = tokenizer_from(tokenizer, texts)
        return cls(_placed(new_model(shape, ready, context, seed)), ready, rate)

    @classmethod
    def load(cls, folder: str | Path, *, lora: int = 0, seed: int = 0, rate: float = 2e-4) -> Self:
        """A model from a local Hugging Face folder; nothing is fetched.

        With `lora`, its weights stay and adapters of that rank are learnt (Hu et al., 2021).
        """
        import torch
        from transformers import AutoModelForCausalLM

        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise UserError(
                "no model is there: a folder with config.json, a tokenizer and weights is wanted",
                folder,
                "download one with the tools of its hub first; Stillroom fetches nothing",
            )
        tokenizer = tokenizer_from(str(folder), ())
        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
        except Exception as wrong:  # any kind comes out of a folder that is none
            said = str(wrong).split("\n")[0]
            raise UserError(f"this model can't be loaded: {said}", folder) from None
        model, found = loaded
        _whole(folder, model, tokenizer, found["missing_keys"])
        if lora:
            model = _with_adapters(model, lora, seed)
        return cls(_placed(model), tokenizer, rate)

    @property
    def parameters(self) -> int:
        """All parameters, those that are not learnt too; tied ones count once."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def context(self) -> int:
        return int(self.model.config.max_position_embeddings)

    @property
    def pad(self) -> int:
        """The id that fills rows up; it is never learnt, and EOS only where nothing else is."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    def save(self, folder: str | Path) -> None:
        """Write model and tokenizer as `transformers` reads them, whole or not at all.

        A model that is there already is replaced; UserError when something else is.
        """
        import copy
        import tempfile

        folder = Path(folder)
        if folder.exists() and not _replaceable(folder):
            raise UserError(
                "something else than a model is there", folder, "give a new folder, or remove it"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".model.") as part:
            new, old = Path(part, "new"), Path(part, "old")
            model = self.model
            if hasattr(model, "merge_and_unload"):
                model = copy.deepcopy(model).merge_and_unload()
            model.save_pretrained(new)
            self.tokenizer.save_pretrained(new)
            for file in new.iterdir():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
            if folder.exists():
                folder.rename(old)
            new.rename(folder)

    def encode(self, question: Asked, answer: str) -> Example:
        """A question and the answer that is learnt for it."""
        chats = [[*_messages(question), turn(answer)]]
        return chat.encode(self.tokenizer, chats, self.context)[0]

    def train_step(self, input: Asked, target: str) -> float:
        """One update on one answer at a constant rate; the mean loss of its tokens.

        For a schedule, batches and checkpoints use `stillroom.distill` or `training.fit`. Stopped,
        the weights as they were, when loss or gradient is no number.
        """
        import math

        from stillroom.students.batches import Examples, collate
        from stillroom.students.forward import token_loss
        from stillroom.students.training import Training, optimizer_of, update

        how = Training(learning_rate=self.rate)
        if self._optimizer is None:
            self._optimizer = optimizer_of(self.model, how)
        batch = collate(Examples([self.encode(input, target)]), [0], self.pad)
        self.model.train()
        loss = update(self.model, self._optimizer, batch, how, token_loss)
        self.model.eval()
        if not math.isfinite(loss):
            raise Stopped(f"the loss is {loss}", do="lower the student's `rate`")
        return loss

    def generate(
        self,
        question: Asked,
        *,
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int | None = None,
    ) -> str:
        """The student's answer as text, its reasoning included."""
        said = self.answer(
            [_messages(question)], temperature=temperature, seed=seed, max_tokens=max_tokens
        )
        return self.text(said[0])

    def answer(
        self,
        questions: Sequence[Sequence[Message]],
        *,
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int | None = None,
    ) -> list[Said]:
        """Answers to many questions, worked on in batches."""
        from stillroom.students.generation import generate

        prompts = chat.encode_prompts(
            self.tokenizer, [chat.prompt(self.tokenizer, q) for q in questions]
        )
        return generate(
            self.model,
            prompts,
            end=self.tokenizer.eos_token_id,
            most=max_tokens or self.context,
            temperature=temperature,
            seed=seed,
        )

    def text(self, said: Said) -> str:
        """The words of an answer, marks of reasoning included."""
        words: str = self.tokenizer.decode(said.ids, skip_special_tokens=False)
        return words

    def score(self, ids: Sequence[int]) -> list[float]:
        """The log-probability of each token but the first, given those before it."""
        import torch

        tokens = torch.tensor([list(ids)], device=self.model.device)
        with torch.inference_mode():
            logits = self.model(tokens).logits[0, :-1].float()
        chosen = logits.log_softmax(-1).gather(1, tokens[0, 1:, None])
        return [float(one) for one in chosen[:, 0]]


def _messages(question: Asked) -> list[Message]:
    if isinstance(question, str):
        return [{"role": "user", "content": question}]
    messages = getattr(question, "messages", question)  # a Question of a world has them
    return list(messages)


def _whole(folder: Path, model: Any, tokenizer: Any, missing: Any) -> None:
    """UserError where transformers would go on with random weights, or fail at some token."""
    if missing:
        names = ", ".join(sorted(missing)[:3])
        raise UserError(f"this model has no weights for {names}", folder, "get it whole")
    known = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > known:
        raise UserError(
            f"the tokenizer has {len(tokenizer)} tokens, the model knows {known}",
            folder,
            "give the model its own tokenizer",
        )


def _replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return (folder / "config.json").is_file() or not any(folder.iterdir())


def _placed(model: Any) -> Any:
    import torch

    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def tokenizer_from(given: Any, texts: Iterable[str] = ()) -> Any:
    """A tokenizer from its name, its folder, or itself."""
    if not isinstance(given, (str, Path)):
        return given
    from stillroom.students.vocabulary import train_tokenizer

    kind, _, size = str(given).partition("-")
    if given == "bytes":
        return train_tokenizer()
    if kind == "bpe" and (not size or size.isdigit()):
        return train_tokenizer(texts, int(size or 512))
    if not Path(given).is_dir():
        raise UserError(
            f"no tokenizer {str(given)!r}", do='"bytes", "bpe", "bpe-1024", or a folder with one'
        )
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(given, local_files_only=True)
    except Exception as wrong:  # any kind comes out of a folder that is none
        said = str(wrong).split("\n")[0]
        raise UserError(f"this tokenizer can't be loaded: {said}", given) from None
    if tokenizer.eos_token_id is None:
        raise UserError(
            "this tokenizer has no EOS, so no answer could ever end", given, "set its eos_token"
        )
    return tokenizer


def _with_adapters(model: Any, rank: int, seed: int) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise UserError("LoRA needs peft", do="pip install 'stillroom[distill]'") from None
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(
            model,
            LoraConfig(
                r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
        )
