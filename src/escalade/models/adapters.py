"""LoRA (Hu et al. 2021) through ``peft``: on every linear layer of attention and MLP, small by default, merged exactly.

All linear layers rather than attention's alone, because that is worth more at the same number of parameters
(Biderman et al. 2024, section 5; QLoRA, Dettmers et al. 2023, section 4).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from torch import Tensor, nn

from escalade.errors import BadInput, Damaged

Task = Literal["lm", "classify", "tag", "embed", "mask"]
SHARE = 0.02
"""Most of the base's parameters that the adapter may have."""
LEAST = 2
"""Smallest rank: below it the adapter is hardly worth its name, so tiny bases go over the share."""
TOLERANCE = 1e-5
_SWITCHED_OFF = 1e6
_HEADS = ("classifier", "score", "classification_head", "pre_classifier")
"""Modules that are made anew for a task and so trained whole."""
_NOT_BODY = (*_HEADS, "lm_head", "cls", "embed_out", "vocab_projector", "generator_lm_head")
_TASKS = {"classify": TaskType.SEQ_CLS, "tag": TaskType.TOKEN_CLS}


def add_lora(
    model: Any,
    rank: int | None = None,
    alpha: float | None = None,
    dropout: float = 0.0,
    task: Task = "lm",
    seed: int = 0,
) -> PeftModel:
    """A model whose own weights are frozen, with LoRA on every linear layer of its body.

    Args:
        model: The base with its head; changed in place.
        rank: Rank wanted; lowered where the adapter would hold more than ``SHARE`` of the base's parameters, but not
            below ``LEAST``. The largest such rank up to 64 where left out.
        alpha: The update is scaled by alpha / rank; twice the rank where left out. Lowering the rank lowers it alike.
        dropout: On the adapter's input.
        task: ``classify`` and ``tag`` train the new head too.
        seed: Of the adapter's random start: one of its two matrices, the other is zero.

    Raises:
        BadInput: The model has no linear layers to adapt.
    """
    names = targets(model)
    if not names:
        raise BadInput("models.no_linear", place=type(model).__name__)
    wanted = rank or 64
    taken = max(LEAST, min(wanted, rank_within(model)))
    scale = (alpha / wanted) if alpha is not None else 2.0
    heads = sorted({name.split(".")[-1] for name, _ in model.named_modules() if name.split(".")[-1] in _HEADS})
    config = LoraConfig(
        r=taken,
        lora_alpha=scale * taken,
        lora_dropout=dropout,
        target_modules=names,
        modules_to_save=heads if task in _TASKS else None,
        task_type=_TASKS.get(task),
    )
    model.requires_grad_(False)
    with _without_notice_of_renaming(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = get_peft_model(model, config)
    # The folder a base was loaded from is of this machine; it must not become part of what is saved.
    made.peft_config["default"].base_model_name_or_path = ""
    return made


def targets(model: nn.Module) -> list[str]:
    """Names of the linear layers of attention and MLP: all but heads and what is tied to embeddings."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not any(part in _NOT_BODY for part in name.split("."))
    ]


def rank_within(model: nn.Module, share: float = SHARE) -> int:
    """The largest rank whose adapter holds at most ``share`` of the model's parameters; 0 where even 1 is too much."""
    chosen = set(targets(model))
    per_rank = sum(
        module.in_features + module.out_features
        for name, module in model.named_modules()
        if name in chosen and isinstance(module, nn.Linear)
    )
    return int(share * sum(p.numel() for p in model.parameters()) / max(1, per_rank))


def trainable(model: nn.Module) -> int:
    """Number of parameters that train."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def merge(model: PeftModel) -> Any:
    """The base with the adapter added into its weights, checked on a random batch.

    Raises:
        Damaged: Outputs differ by more than 1e-5 of the largest one (float32 rounding stays far below that).
    """
    model.eval()
    before = _outputs(model)
    merged = model.merge_and_unload()
    gap = float((_outputs(merged) - before).abs().max())
    # Some models switch outputs off with a bias of -1e9; such outputs say nothing of the size of the others.
    usual = before.abs()[before.abs() < _SWITCHED_OFF]
    if not gap <= TOLERANCE * max(1.0, float(usual.max()) if usual.numel() else 1.0):
        raise Damaged("models.merge_differs", place=type(merged).__name__, gap=gap)
    return merged


def save_adapter(model: PeftModel, folder: Path) -> None:
    """The adapter alone, as ``adapter_model.safetensors`` and ``adapter_config.json``; no path of this machine."""
    model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for key in ("target_modules", "modules_to_save"):
        config[key] = sorted(config[key]) if config.get(key) else config.get(key)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_adapter(model: Any, folder: Path, trains: bool = False) -> PeftModel:
    """A base with the adapter that ``save_adapter`` wrote.

    Raises:
        BadInput: The folder holds no adapter in safetensors.
    """
    if not (folder / "adapter_model.safetensors").is_file() or not (folder / "adapter_config.json").is_file():
        raise BadInput("models.no_adapter", place=folder)
    with _without_notice_of_renaming():
        return PeftModel.from_pretrained(model, str(folder), is_trainable=trains, use_safetensors=True)


@contextmanager
def _without_notice_of_renaming() -> Iterator[None]:
    """Peft asks transformers by a name that transformers has renamed; nothing that a user could change."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        yield


@torch.no_grad()
def _outputs(model: Any) -> Tensor:
    """First output of the model on 2 rows of 8 random tokens."""
    generator = torch.Generator().manual_seed(0)
    table = model.get_input_embeddings()
    ids = torch.randint(0, table.weight.shape[0], (2, 8), generator=generator).to(table.weight.device)
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    output: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), **more)[0]
    return output
