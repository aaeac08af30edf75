"""Public benchmarks through lm-evaluation-harness: it runs in its own environment and asks our server on loopback.

Its own tasks, prompts and metrics are what make a number comparable with published ones, so none of them is rewritten
here; what is added is an interval from the items it logs, by the statistics that every other score here has.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from escalade.catalogue.engines import LM_EVAL
from escalade.errors import BadInput
from escalade.stages import engines, using
from escalade.stages.workspace import Workspace

_BATCH = 16
_PROGRESS = re.compile(r"Requesting API:.*?(\d+)/(\d+) ")
_NORMAL = 1.959963984540054
"""The 97.5 % point of the normal distribution."""
_READY = 60.0


def benchmark(
    space: Workspace, model: str, tasks: Sequence[str], limit: int | None = None, own: Path | None = None
) -> dict[str, Any]:
    """Runs tasks of the harness against a model.

    Args:
        space: Who is told, and when to stop.
        model: A release, a folder or a hub name; a decoder, since the harness needs the likelihood of prompts.
        tasks: Names of tasks or groups of tasks.
        limit: Most items of each task.
        own: A folder with further task files in the harness's format.

    Returns:
        ``{"model", "engine", "benchmarks": [{"task", "metric", "value", "lower", "upper", "n", "signature"}],
        "seconds"}``; bounds are None where the harness tells no error and the items do not add up to the value.

    Raises:
        BadInput: The engine or the model is not here, the model is no decoder, or the harness ends with an error.
    """
    begun = time.perf_counter()
    engine = engines.needed(LM_EVAL)
    opened = using.open_model(space, model)
    if opened.base.family != "decoder" or not hasattr(opened.sampler, "echo"):
        raise BadInput("stages.benchmark_family", place=model)
    name = Path(model).name or "model"
    with tempfile.TemporaryDirectory(prefix="escalade-") as scratch:
        work = Path(scratch)
        sampler: Any = opened.sampler
        sampler.tokenizer.save_pretrained(work / "tokenizer")
        with _serving(opened, name) as address:
            settings = _model_settings(sampler, name, address, work / "tokenizer")
            command = [str(engine.python), "-m", LM_EVAL.module, "run", "--model", "local-completions"]
            command += ["--model_args", json.dumps(settings), "--tasks", ",".join(tasks), "--batch_size", str(_BATCH)]
            command += ["--output_path", str(work / "out"), "--log_samples"]
            command += ["--limit", str(limit)] if limit is not None else []
            command += ["--include_path", str(own.resolve())] if own is not None else []
            _run(space, command, name)
        found = read_results(work / "out")
    packages = " ".join(engine.packages or ())
    return {"model": name, "engine": packages, "benchmarks": found, "seconds": time.perf_counter() - begun}


def read_results(folder: Path) -> list[dict[str, Any]]:
    """What the harness wrote, as scores with intervals.

    Args:
        folder: Its output path.

    Raises:
        BadInput: It holds no results.
    """
    files = sorted(folder.rglob("results_*.json"))
    if not files:
        raise BadInput("stages.benchmark_nothing", place=LM_EVAL.name)
    said = json.loads(files[-1].read_text("utf-8"))
    scores = []
    for task, numbers in said["results"].items():
        items = _items(files[-1].parent, task)
        for key, value in numbers.items():
            metric, comma, filter_name = key.partition(",")
            if comma and "_stderr" not in metric and isinstance(value, int | float):
                error = numbers.get(f"{metric}_stderr,{filter_name}")
                values = [item[metric] for item in items if item.get("filter") == filter_name and metric in item]
                scores.append(_score(said, task, (metric, filter_name), float(value), error, values))
    return scores


def _score(
    said: Mapping[str, Any], task: str, what: tuple[str, str], value: float, error: Any, values: list[Any]
) -> dict[str, Any]:
    metric, filter_name = what
    shots, version = said.get("n-shot", {}).get(task), said.get("versions", {}).get(task)
    counted = said.get("n-samples", {}).get(task, {}).get("effective") or said["results"][task].get("sample_len")
    lower, upper, by = _bounds(value, error, values)
    signature = (
        f"lm_eval:{said.get('lm_eval_version')}|version:{version}|shots:{shots}|filter:{filter_name}|interval:{by}"
    )
    score = {"task": task, "metric": metric, "value": value, "lower": lower, "upper": upper}
    return score | {"n": len(values) or counted, "signature": signature}


def _bounds(value: float, error: Any, values: list[Any]) -> tuple[float | None, float | None, str]:
    """Both ends of the 95 % interval, and how they were found."""
    from escalade.evaluate.metric import Ratio, means
    from escalade.evaluate.statistics import interval

    numbers = [float(v) for v in values if isinstance(v, int | float)]
    shares = len(numbers) == len(values) > 0 and all(0 <= v <= 1 for v in numbers)
    if shares and math.isclose(math.fsum(numbers) / len(numbers), value, abs_tol=1e-9):
        found = interval(means(numbers), range(len(numbers)), Ratio())
        return found.lower, found.upper, "items"
    if isinstance(error, int | float) and math.isfinite(error):
        return value - _NORMAL * error, value + _NORMAL * error, "stderr"
    return None, None, "none"


def _items(folder: Path, task: str) -> list[dict[str, Any]]:
    """The items that the harness logged of a task; of a group of tasks there are none."""
    files = sorted(folder.glob(f"samples_{task}_[0-9]*.jsonl"))
    if not files:
        return []
    return [json.loads(line) for line in files[-1].read_text("utf-8").split("\n") if line]


def _model_settings(sampler: Any, name: str, address: str, tokenizer: Path) -> dict[str, Any]:
    """How the harness asks: with token ids, so that both sides read the same; the beginning token as we read it."""
    from escalade.models.encoding import encode_plain, encode_prompt

    text = "a"
    begins = encode_prompt(sampler.tokenizer, sampler.family, text) != encode_plain(sampler.tokenizer, text)
    return {
        "model": name,
        "base_url": f"{address}/v1/completions",
        "tokenizer": str(tokenizer),
        "tokenizer_backend": "huggingface",
        "tokenized_requests": True,
        "add_bos_token": begins,
        "max_length": sampler.context,
    }


@contextmanager
def _serving(opened: using.Opened, name: str) -> Iterator[str]:
    """The address of the model, served by a thread of this process."""
    ready = threading.Event()
    address: list[str] = []

    def on_ready(where: str) -> None:
        address.append(where)
        ready.set()

    server = using.server(using.served(opened, name), on_ready)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        if not ready.wait(_READY):
            raise BadInput("stages.benchmark_no_server", place=name)
        yield address[0]
    finally:
        server.should_exit = True
        thread.join(_READY)


def _run(space: Workspace, command: list[str], name: str) -> None:
    """Runs the harness and tells how far it is.

    Raises:
        BadInput: It ends with an error.
    """
    said: list[str] = []
    variables = engines.environment(NO_PROXY="127.0.0.1", TOKENIZERS_PARALLELISM="false")
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                space.check()
                if found := _PROGRESS.search(line):
                    space.reporter.progress(name, int(found[1]), int(found[2]))
                elif line.strip():
                    said = [*said[-199:], line.strip()]
            code = process.wait()
        finally:
            process.kill()
    if code:
        raise BadInput("stages.benchmark_failed", place=LM_EVAL.name, problem=_problem(said))


def _problem(said: Sequence[str]) -> str:
    """What a program that failed says it failed of: its last error line."""
    errors = [line for line in said if re.match(r"(?:\w+\.)*\w*(?:Error|Exception)\b", line) or " ERROR " in line]
    return ((errors or list(said) or ["?"])[-1])[:300]
