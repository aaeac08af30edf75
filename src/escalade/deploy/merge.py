"""An adapter folded into its base: the one part of shipping that needs torch."""

from __future__ import annotations

from pathlib import Path

from escalade.models import manifest as manifests
from escalade.models.adapters import load_adapter, merge
from escalade.models.load import load_model, load_tokenizer
from escalade.models.save import save_model

ADAPTER = "adapter"


def write_merged(folder: Path, base_folder: Path, out: Path) -> None:
    """Writes the weights of the base with the adapter in ``folder`` merged, and the base's tokenizer, into ``out``."""
    manifest = manifests.read(folder)
    base = load_model(base_folder, manifest.head or "lm", manifest.facts.labels)
    save_model(merge(load_adapter(base, folder / ADAPTER)), load_tokenizer(base_folder), out)
