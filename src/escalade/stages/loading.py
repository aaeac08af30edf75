"""From a model's folder to its predictor; torch is loaded only for models that need it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from escalade.errors import BadInput
from escalade.models import manifest as manifests
from escalade.protocols import Predictor
from escalade.values import Base


def load(folder: Path, folder_of: Callable[[Base], Path | None]) -> Predictor:
    """The predictor of a model or release.

    Args:
        folder: Holds ``escalade.json``.
        folder_of: Where the weights of a base lie on this machine.
    """
    manifest = manifests.read(folder)
    try:
        if manifest.engine == "baseline":
            from escalade.rungs import baseline

            return baseline.load(folder, manifest)
        from escalade.rungs import loading

        return loading.load(folder, manifest, folder_of)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, SafetensorError) as error:
        # Whatever a file lacks or holds too much: the folder is not what was written.
        problem = (str(error).strip().splitlines() or [""])[0]
        raise BadInput("stages.model_damaged", place=folder, problem=f"{type(error).__name__}: {problem}") from error
