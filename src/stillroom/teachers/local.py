"""A model in a folder on this machine: transformers, or vLLM where it is installed."""

import asyncio
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stillroom.errors import UserError
from stillroom.record import canonical, digest
from stillroom.teachers.settings import Settings
from stillroom.world import Message

BATCH = 16  # questions that one pass answers together, when so many wait


class Local:
    """Loads a Hugging Face folder when first asked; nothing is fetched from anywhere.

    Greedy unless `temperature` is in the parameters; sampling is seeded by the questions of a
    batch. Questions that wait at the same time are answered together.
    """

    in_flight = 2 * BATCH

    def __init__(self, settings: Settings) -> None:
        self.settings, self.model = settings, settings.identity
        folder = Path(settings.folder)
        if not (folder / "config.json").is_file():
            raise UserError(
                "no model is there: a folder with config.json, a tokenizer and weights is wanted",
                folder,
                "download one with the tools of its hub first; Stillroom fetches nothing",
            )
        self._engine: Transformers | Vllm | None = None
        self._waiting: list[tuple[str, dict[str, Any], asyncio.Future[dict[str, Any]]]] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, messages: Sequence[Message], **params: Any) -> dict[str, Any]:
        """One answer: {"text", "prompt_tokens", "completion_tokens", "finish"}.

        Knows max_tokens, temperature and top_p; a `schema` is told in words.
        """
        schema = params.pop("schema", None)
        settled = {**self.settings.params, **params}
        unknown = set(settled) - {"max_tokens", "temperature", "top_p"}
        if unknown:
            raise UserError(
                f"a local model knows no parameter {', '.join(sorted(unknown))}",
                do="it knows max_tokens, temperature, top_p",
            )
        asked = list(messages)
        if schema is not None:
            words = f"\n\nAnswer with JSON alone, valid under: {canonical(schema).decode()}"
            asked[-1] = {**asked[-1], "content": asked[-1]["content"] + words}
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((self._loaded().prompt(asked), settled, done))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        answer: dict[str, Any] = await done
        return answer

    def score(self, ids: Sequence[int]) -> list[float]:
        """The log-probability of each token but the first, given those before it."""
        return self._loaded().score(ids)

    def _loaded(self) -> "Transformers | Vllm":
        if self._engine is None:
            vllm = importlib.util.find_spec("vllm") is not None
            self._engine = (Vllm if vllm else Transformers)(self.settings.folder)
        return self._engine

    async def _work(self) -> None:
        await asyncio.sleep(0)  # let others who are about to ask come into the same batch
        while self._waiting:
            first = self._waiting[0][1]
            batch = [one for one in self._waiting if one[1] == first][:BATCH]
            self._waiting = [one for one in self._waiting if one not in batch]
            try:
                texts = [prompt for prompt, _, _ in batch]
                answers = await asyncio.to_thread(self._loaded().generate, texts, first)
            except BaseException as wrong:
                for _, _, done in batch:
                    if not done.done():
                        done.set_exception(wrong)
                if not isinstance(wrong, Exception):
                    raise
                continue
            for (_, _, done), answer in zip(batch, answers, strict=True):
                if not done.done():
                    done.set_result(answer)


class Transformers:
    """A causal language model in plain PyTorch; on the GPU where there is one."""

    def __init__(self, folder: str) -> None:
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as wrong:
            raise UserError(
                f"a local model needs {wrong.name}", do="pip install 'stillroom[distill]'"
            ) from None
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as wrong:
            said = str(wrong).split("\n")[0]
            raise UserError(f"this model can't be loaded: {said}", folder) from None
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def prompt(self, messages: Sequence[Message]) -> str:
        return _prompt(self._tokenizer, messages)

    def generate(self, prompts: list[str], params: dict[str, Any]) -> list[dict[str, Any]]:
        """Continuations of several prompts at once, in the shape of an answer."""
        import torch

        temperature, ends = float(params.get("temperature", 0.0)), self._tokenizer.eos_token_id
        given = self._tokenizer(
            prompts, return_tensors="pt", padding=True, add_special_tokens=False
        ).to(self._model.device)
        sampling = {"temperature": temperature, "top_p": float(params.get("top_p", 1.0))}
        torch.manual_seed(_seed(prompts))
        with torch.no_grad():
            out = self._model.generate(
                input_ids=given["input_ids"],
                attention_mask=given["attention_mask"],
                max_new_tokens=int(params.get("max_tokens", 512)),
                do_sample=temperature > 0,
                pad_token_id=self._tokenizer.pad_token_id,
                **(sampling if temperature > 0 else {}),
            )
        width = given["input_ids"].shape[1]
        answers = []
        for row, mask in zip(out[:, width:].tolist(), given["attention_mask"], strict=True):
            said = row[: row.index(ends)] if ends in row else row
            text = self._tokenizer.decode(said, skip_special_tokens=True)
            answers.append(_answer(text, int(mask.sum()), len(said), ends in row))
        return answers

    def score(self, ids: Sequence[int]) -> list[float]:
        import torch

        tokens = torch.tensor([list(ids)], device=self._model.device)
        with torch.no_grad():
            logits = self._model(tokens).logits[0, :-1].float()
        chosen = logits.log_softmax(-1).gather(1, tokens[0, 1:, None])
        return [float(one) for one in chosen[:, 0]]


class Vllm:
    """The same through vLLM's offline engine (vllm.LLM)."""

    def __init__(self, folder: str) -> None:
        from vllm import LLM

        self._model = LLM(model=folder)

    def prompt(self, messages: Sequence[Message]) -> str:
        return _prompt(self._model.get_tokenizer(), messages)

    def generate(self, prompts: list[str], params: dict[str, Any]) -> list[dict[str, Any]]:
        from vllm import SamplingParams

        sampling = SamplingParams(
            max_tokens=int(params.get("max_tokens", 512)),
            temperature=float(params.get("temperature", 0.0)),
            top_p=float(params.get("top_p", 1.0)),
            seed=_seed(prompts),
        )
        return [
            _answer(
                out.outputs[0].text,
                len(out.prompt_token_ids),
                len(out.outputs[0].token_ids),
                out.outputs[0].finish_reason == "stop",
            )
            for out in self._model.generate(prompts, sampling, use_tqdm=False)
        ]

    def score(self, ids: Sequence[int]) -> list[float]:
        from vllm import SamplingParams

        one = SamplingParams(max_tokens=1, prompt_logprobs=0)
        out = self._model.generate([{"prompt_token_ids": list(ids)}], one, use_tqdm=False)[0]
        pairs = zip(out.prompt_logprobs[1:], ids[1:], strict=True)
        return [float(known[token].logprob) for known, token in pairs]


def _prompt(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The chat in the model's own template, or the bare texts where it has none."""
    if getattr(tokenizer, "chat_template", None):
        text: str = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True
        )
        return text
    return "\n\n".join(message["content"] for message in messages)


def _seed(prompts: list[str]) -> int:
    return int.from_bytes(digest(canonical(prompts), 4), "little")


def _answer(text: str, prompt: int, said: int, ended: bool) -> dict[str, Any]:
    return {
        "text": text,
        "prompt_tokens": prompt,
        "completion_tokens": said + ended,
        "finish": "stop" if ended else "length",
    }
