"""NVIDIA Data Designer: a text column over a seed data set."""

from measure import options, report, stand_in_tokens

chosen = options()

import data_designer.config as dd  # noqa: E402
import pandas  # noqa: E402
from data_designer.interface import DataDesigner  # noqa: E402

stand_in_tokens()
provider = dd.ModelProvider(name="server", endpoint=chosen.url, api_key="none")
designer = DataDesigner(artifact_path=chosen.folder, model_providers=[provider])
designer.set_run_config(
    dd.RunConfig(
        max_in_flight_tasks=max(1024, 2 * chosen.in_flight),
        otel_metrics_port=None,
        jinja_rendering_engine="native",
        progress_interval=60,
    )
)
model = dd.ModelConfig(
    alias="writer",
    model=chosen.model,
    provider="server",
    skip_health_check=True,
    inference_parameters=dd.ChatCompletionInferenceParams(max_parallel_requests=chosen.in_flight),
)


def generate(prompts: list[str]) -> list[str | None]:
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    builder.with_seed_dataset(dd.DataFrameSeedSource(df=pandas.DataFrame({"topic": prompts})))
    builder.add_column(
        dd.LLMTextColumnConfig(name="answer", prompt="{{ topic }}", model_alias="writer")
    )
    return list(designer.create(builder, num_records=len(prompts)).load_dataset()["answer"])


report("data-designer", chosen, generate, "native templates, no metrics port")
