"""From a model as a rung made it to a folder that stands alone: weights merged and copied in, with a model card."""

from __future__ import annotations

import shutil
from pathlib import Path

from escalade.models import manifest as manifests
from escalade.models.adapters import load_adapter, merge
from escalade.models.load import load_model, load_tokenizer
from escalade.models.save import save_model

_TOKENIZER_AND_WEIGHTS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
ADAPTER = "adapter"


def export(folder: Path, base_folder: Path | None, out: Path) -> manifests.Manifest:
    """Writes the self-contained form of the model in ``folder`` into ``out`` and returns its manifest.

    Args:
        folder: The model as its rung made it.
        base_folder: The base's weights, for models that refer to them; None for those that do not.
        out: An empty folder.
    """
    manifest = manifests.read(folder)
    if manifest.weights == "adapter" and base_folder is not None:
        base = load_model(base_folder, manifest.head or "lm", manifest.facts.labels)
        save_model(merge(load_adapter(base, folder / ADAPTER)), load_tokenizer(base_folder), out)
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
