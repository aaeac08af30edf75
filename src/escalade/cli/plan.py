"""``escalade plan``: one model and one method: parameters, memory and time of a step on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import click

from escalade import messages
from escalade.catalogue.hardware import processor
from escalade.cli import console
from escalade.project import Candidate
from escalade.stages.select import pin
from escalade.stages.workspace import cores, open_workspace
from escalade.values import Facts

# Bytes a parameter takes: weights, gradient and two moments in float32; adapters train about one hundredth of them.
_BYTES = {"full": 16.0, "lora": 4.3, "infer": 4.0}
_FORWARDS = {"full": 3.0, "lora": 2.2, "infer": 1.0}
_LIBRARIES = 0.6e9


@click.command(help="help.plan")
@click.option("--model", "name", required=True, help="help.plan_model")
@click.option("--method", type=click.Choice(list(_BYTES)), default="full", show_default=True, help="help.plan_method")
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="help.plan_batch")
@click.option("--seq", type=click.IntRange(min=1), default=256, show_default=True, help="help.plan_seq")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(name: str, method: str, batch: int, seq: int, as_json: bool) -> None:
    """A rule of thumb: weights and optimiser exactly, activations at 34 bytes a token, width and layer."""
    space = open_workspace(Path("."))
    base = pin(space, Candidate(model=name), Facts(kind="classification", labels=("0", "1")))
    count = base.parameters
    document: dict[str, object] = {"model": base.name, "family": base.family, "method": method, "parameters": count}
    if count is not None:
        working = count - (base.embedded or 0 if base.family == "encoder" else 0)
        # sbhL x 34 bytes (Korthikanti et al. 2022) with 12 L h^2 parameters in the body, at the aspect h = 64 L.
        layers = (working / (12 * 64**2)) ** (1 / 3)
        activations = 2 * 34 * batch * seq * 64 * layers * layers if method != "infer" else 0.0
        peak = _LIBRARIES + _BYTES[method] * count + activations
        seconds = _FORWARDS[method] * 2 * working * batch * seq / (processor().flops_per_core * cores())
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        document |= {
            "trainable": count if method == "full" else None,
            "peak_bytes": {"value": peak, "lower": None, "upper": None},
            "step_seconds": {"value": seconds, "lower": None, "upper": None},
            "flops_per_token": 2 * _FORWARDS[method] * working,
            "verdict": "fits" if peak < memory else "does not fit",
            "cure": None if peak < memory else ("lora" if method == "full" else "smaller batch or model"),
        }
    if as_json:
        console.print_json(document)
        return
    shown = {
        "model": base.name,
        "method": method,
        "parameters": "?" if count is None else f"{count:,}",
        "trainable": "-" if document.get("trainable") is None else f"{document['trainable']:,}",
        "memory": "-" if count is None else f"{peak / 1e9:.2f} GB",
        "seconds": "-" if count is None else f"{seconds:.2f}",
        "verdict": messages.text("cli.fits" if document.get("verdict") == "fits" else "cli.does_not_fit"),
    }
    console.print_wrapped(messages.text("cli.planned", **shown))
