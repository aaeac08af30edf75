"""TF-IDF features of any script: characters 1 to 3 beside words, each weighted by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from safetensors.numpy import load_file, save_file


class Features:
    """Two TF-IDF blocks side by side, rows of unit length.

    Characters 1-3 inside word boundaries serve scripts without blanks and misspelt words; words and pairs of words
    serve the rest.
    """

    def __init__(self, blocks: list[Any]) -> None:
        self.blocks = blocks

    @classmethod
    def fit(cls, texts: Sequence[str], limit: int = 200_000) -> Features:
        """Learns vocabulary and weights; each block keeps its ``limit`` commonest terms."""
        blocks = _blocks(limit)
        for block in blocks:
            block.fit(texts)
        return cls(blocks)

    def transform(self, texts: Sequence[str]) -> Any:
        """Sparse (rows, terms), float64, rows of unit length."""
        both = scipy.sparse.hstack([block.transform(texts) for block in self.blocks], format="csr")
        return both * (1 / np.sqrt(len(self.blocks)))

    def save(self, folder: Path) -> None:
        """Writes features.json (terms) and features.safetensors (weights)."""
        terms = [list(block.get_feature_names_out()) for block in self.blocks]
        (folder / "features.json").write_text(json.dumps(terms, ensure_ascii=False), encoding="utf-8")
        weights = {str(i): np.ascontiguousarray(block.idf_) for i, block in enumerate(self.blocks)}
        save_file(weights, folder / "features.safetensors")

    @classmethod
    def load(cls, folder: Path) -> Features:
        """Reads what ``save`` wrote."""
        terms = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "features.safetensors")
        blocks = _blocks(None)
        for i, (block, words) in enumerate(zip(blocks, terms, strict=True)):
            block.vocabulary = {term: place for place, term in enumerate(words)}
            block.idf_ = weights[str(i)]
        return cls(blocks)


def _blocks(limit: int | None) -> list[Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    shared: dict[str, Any] = {"sublinear_tf": True, "lowercase": True, "max_features": limit}
    return [
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), **shared),
        TfidfVectorizer(analyzer="word", ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]", **shared),
    ]
