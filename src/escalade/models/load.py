"""Models and tokenizers from folders: Auto classes, float32, safetensors only, no remote code, nothing silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer
from transformers.utils import logging

from escalade.errors import BadInput
from escalade.models.describe import checked as checked_folder
from escalade.models.describe import config_of, family_of
from escalade.models.heads import NEW, Head, auto_class, label_settings
from escalade.models.tokenizers import checked as checked_tokenizer


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder, with a padding token and without prescribed truncation.

    Raises:
        BadInput: There is none, it cannot be read, or it lacks what its family needs.
    """
    family = family_of(config_of(folder), folder)
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except (ValueError, OSError, KeyError, ImportError, AttributeError, TypeError) as error:
            raise BadInput("models.tokenizer_unreadable", place=folder, problem=_first_line(error)) from error
    return checked_tokenizer(tokenizer, family)


def load_model(folder: Path, head: Head, labels: Sequence[str] = (), seed: int = 0, new_head: bool = True) -> Any:
    """The model of a folder with a head, in float32 and eval mode.

    A head that the folder does not hold is made anew from ``seed``; everything else must be there.

    Args:
        folder: The model.
        head: ``lm`` (decoder, encoder-decoder), ``mask`` (encoder), ``classify``, ``tag`` or ``embed``.
        labels: Names of the outputs of ``classify`` and ``tag``; those of the folder where left out.
        seed: Decides the weights of a new head.
        new_head: False where the folder itself must hold the head.

    Raises:
        BadInput: The folder cannot be used, its family has no such head, or weights are missing or misshapen
            (``models.weights_missing``, also where it should hold the head and does not).
    """
    config = checked_folder(folder)
    family = family_of(config, folder)
    tokenizer = load_tokenizer(folder)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model, found = auto_class(family, head, folder).from_pretrained(
                folder,
                dtype=torch.float32,
                trust_remote_code=False,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=False,
                **(label_settings(labels) if labels else {}),
            )
        except (ValueError, OSError, KeyError, RuntimeError, ImportError) as error:
            raise BadInput("models.cannot_load", place=folder, problem=_first_line(error)) from error
    may_miss = set(NEW[head]) if new_head else set()
    missing = sorted(name for name in found["missing_keys"] if not set(name.split(".")) & may_miss)
    if missing:
        raise BadInput("models.weights_missing", place=folder, count=len(missing), first=missing[0])
    return fitted(model, tokenizer).eval()


def fitted(model: Any, tokenizer: Any) -> Any:
    """The model with a row of embeddings for every token and the tokenizer's padding token in its configuration.

    New rows are the mean of the old ones: a random one could outweigh every real token.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():
            for table in {id(t.weight): t.weight for t in _tables(model)}.values():
                table[rows:] = table[:rows].mean(dim=0)
    # Pooling heads find a row's last token by the padding token of the configuration.
    model.config.pad_token_id = tokenizer.pad_token_id
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no notices from transformers inside; what matters of them is checked here instead."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _tables(model: Any) -> list[Any]:
    return [table for table in (model.get_input_embeddings(), model.get_output_embeddings()) if table is not None]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
