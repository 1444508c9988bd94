"""distilabel: TextGeneration over OpenAILLM; the variant is the number of replicas (1)."""

from measure import options, report

chosen = options()

from distilabel.models import OpenAILLM  # noqa: E402
from distilabel.pipeline import Pipeline  # noqa: E402
from distilabel.steps import LoadDataFromDicts, StepResources  # noqa: E402
from distilabel.steps.tasks import TextGeneration  # noqa: E402

replicas = int(chosen.variant or 1)
batch = chosen.in_flight // replicas  # each replica asks a batch at once, then waits for all


def generate(prompts: list[str]) -> list[str | None]:
    with Pipeline(name="rival", cache_dir=chosen.folder) as pipeline:
        load = LoadDataFromDicts(
            data=[{"instruction": prompt} for prompt in prompts], batch_size=batch
        )
        write = TextGeneration(
            llm=OpenAILLM(model=chosen.model, base_url=chosen.url, api_key="none"),
            input_batch_size=batch,
            add_raw_input=False,
            add_raw_output=False,
            resources=StepResources(replicas=replicas),
        )
        load >> write
    rows = pipeline.run(use_cache=False)["default"]["train"]
    return list(rows["generation"])


if __name__ == "__main__":
    report("distilabel", chosen, generate, f"batches of {batch}, {replicas} replica(s)")
