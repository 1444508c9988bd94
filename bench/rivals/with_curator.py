"""Bespoke Curator: variants `openai` (aiohttp, its fastest) and `litellm` (its way to vLLM)."""

import os

from measure import options, report, stand_in_tokens

chosen = options()
os.environ["CURATOR_CACHE_DIR"] = str(chosen.folder)

from bespokelabs import curator  # noqa: E402

stand_in_tokens()
backend = chosen.variant or "openai"


class Lesson(curator.LLM):
    def prompt(self, row: dict[str, str]) -> str:
        return row["prompt"]

    def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
        return {"answer": response}


lesson = Lesson(
    model_name=chosen.model if backend == "openai" else f"hosted_vllm/{chosen.model}",
    backend=backend,
    backend_params={
        "base_url": chosen.url,
        "api_key": "none",
        "max_concurrent_requests": chosen.in_flight,
        # Its two buckets fill at these rates; high enough never to be what waits.
        "max_requests_per_minute": 10**9,
        "max_tokens_per_minute": 10**13,
    },
)


def generate(prompts: list[str]) -> list[str | None]:
    rows = lesson([{"prompt": prompt} for prompt in prompts]).dataset
    return list(rows["answer"])


report("bespokelabs-curator", chosen, generate, f"{backend} backend")
