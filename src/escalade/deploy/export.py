"""From a model as a rung made it to a folder that stands alone: all that answering takes, copied in. No torch."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from escalade.models import manifest as manifests

_TOKENIZER_AND_WEIGHTS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
Merge = Callable[[Path, Path, Path], None]
"""``merge.write_merged``: the model's folder, its base's, and where the merged weights go."""


def export(folder: Path, base_folder: Path | None, out: Path, merger: Callable[[], Merge]) -> manifests.Manifest:
    """Writes the self-contained form of the model in ``folder`` into ``out`` and returns its manifest.

    Args:
        folder: The model as its rung made it.
        base_folder: The base's weights, for models that refer to them; None for those that do not.
        out: An empty folder.
        merger: Gives what merges an adapter; asked only where there is one, for it loads torch.
    """
    manifest = manifests.read(folder)
    if manifest.weights == "adapter" and base_folder is not None:
        merger()(folder, base_folder, out)
    elif manifest.weights == "base" and base_folder is not None:
        _copy(base_folder, out)
    _copy(folder, out)
    if base_folder is not None:
        manifest = manifest.model_copy(update={"weights": "own"})
    manifest.write(out)
    return manifest


def _copy(source: Path, out: Path) -> None:
    for pattern in _TOKENIZER_AND_WEIGHTS:
        for path in sorted(source.glob(pattern)):
            shutil.copyfile(path, out / path.name)
