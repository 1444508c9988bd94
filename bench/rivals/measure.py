"""What the rivals' scripts share: an offline environment, distinct prompts, one measurement.

Standard library only, since each script runs in its rival's own environment.
"""

import argparse
import atexit
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

FEW = 2  # Data Designer's profile of a single record fails
Generate = Callable[[list[str]], list[str | None]]

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NEMO_TELEMETRY_ENABLED": "false",
    "TELEMETRY_ENABLED": "false",
    "OPENAI_API_KEY": "none",
    "NO_PROXY": "127.0.0.1,localhost",
}


def options() -> argparse.Namespace:
    """The command line; call it before the rival is imported: it sets the environment too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="the server's base, with /v1")
    parser.add_argument("--model", default="mock")
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--variant", default="", help="a setting of the rival, see its script")
    chosen = parser.parse_args()
    chosen.folder = Path(tempfile.mkdtemp(prefix="rival-"))
    atexit.register(shutil.rmtree, chosen.folder, ignore_errors=True)
    os.environ.update(OFFLINE, HOME=str(chosen.folder))
    os.chdir(chosen.folder)
    return chosen


def stand_in_tokens() -> None:
    """Let tiktoken count bytes: its table of tokens is a download.

    It splits texts as cl100k_base does but merges nothing, so counting costs rather less.
    """
    import tiktoken

    split = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++|\s+"
    table = {bytes([n]): n for n in range(256)}
    encoding = tiktoken.Encoding("bytes", pat_str=split, mergeable_ranks=table, special_tokens={})
    tiktoken.get_encoding = lambda name: encoding


def report(name: str, chosen: argparse.Namespace, generate: Generate, settings: str) -> None:
    """Measure `generate` and print one JSON line; the exit code tells whether all were answered.

    Three calls: two prompts (whatever is imported or opened lazily), two more (what a call
    costs anyhow: `startup_*`), then all of them and two more. `wall_s` and `cpu_s` are the
    third less the second, so that processes which start with every call count for nothing.
    """
    count = chosen.prompts
    prompts = [f"Explain idea number {n} to a child of ten." for n in range(count + 3 * FEW)]
    _measure(generate, prompts[:FEW])
    wall_of_few, cpu_of_few, _ = _measure(generate, prompts[FEW : 2 * FEW])
    wall, cpu, answers = _measure(generate, prompts[2 * FEW :])
    wall, cpu, answered = wall - wall_of_few, cpu - cpu_of_few, sum(map(bool, answers)) - FEW
    figures = {
        "name": name,
        "version": version(name),
        "settings": settings,
        "prompts": count,
        "answered": answered,
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "prompts_per_s": round(answered / wall, 1),
        "cpu_ms_per_prompt": round(cpu / count * 1000, 3),
        "startup_wall_s": round(wall_of_few, 3),
        "startup_cpu_s": round(cpu_of_few, 3),
    }
    print(json.dumps(figures), flush=True)
    sys.exit(answered != count)


def _measure(generate: Generate, prompts: list[str]) -> tuple[float, float, list[str | None]]:
    began, cpu = time.perf_counter(), _cpu()
    answers = generate(prompts)
    return time.perf_counter() - began, _cpu() - cpu, answers


def _cpu() -> float:
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
