"""``escalade doctor``: what this machine has, and what is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from escalade.catalogue.bases import KNOWN
from escalade.cli import console
from escalade.models import hub
from escalade.stages.workspace import cores

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "datasets",
    "safetensors",
    "scikit-learn",
    "fastapi",
    "openai",
)


@click.command(help="help.doctor")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(as_json: bool) -> int:
    """Looks; changes nothing. Exit code 1 where something that is needed is missing."""
    found = examine()
    if as_json:
        console.print_json(found)
    else:
        console.print_table(
            console.headings("headings.of", "headings.found"), [[k, _shown(v)] for k, v in found.items()]
        )
    return 1 if found["missing"] else 0


def examine() -> dict[str, object]:
    """Versions, processor, memory, disk, models that are here."""
    installed = {name: _version(name) for name in PACKAGES}
    needed = [name for name, found in installed.items() if found is None and name != "openai"]
    return {
        "escalade": _version("escalade"),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": cores(),
        "memory_gb": _memory(),
        "disk_free_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "accelerator": _accelerator(),
        "compiler": shutil.which("cc") or shutil.which("gcc"),
        "offline": os.environ.get("HF_HUB_OFFLINE") == "1",
        "models_here": [name for name in KNOWN if hub.on_this_machine(name) is not None],
        "packages": installed,
        "missing": needed,
    }


def _accelerator() -> str | None:
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v or '-'}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
