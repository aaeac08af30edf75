"""The compiled step: a model's repeated layers compiled once, for batches of any shape, and put back afterwards.

One layer is compiled and the code serves all of its kind, so that compiling takes as long for 24 layers as for two;
what stands around them (embeddings, output layer) is little work.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from escalade.models.heads import base_of
from escalade.train import attention

_VARIANTS = 64
"""How many kinds of layer and of batch one code is compiled for; a model that asks for more runs uncompiled."""


def compiler() -> str | None:
    """The C++ compiler that compiled kernels for processors need; None where there is none."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")


def layers(model: nn.Module) -> list[nn.Module]:
    """The layers a model repeats: the members of every list of modules of the classes it names as whole blocks."""
    named = {name for part in model.modules() for name in (getattr(part, "_no_split_modules", None) or ())}
    lists = [[*part] for part in model.modules() if isinstance(part, nn.ModuleList)]
    return [layer for some in lists for layer in some if type(layer).__name__ in named]


def compile_layers(model: Any, written_out: bool) -> None:
    """Compiles the model's layers in place.

    Args:
        model: With layers (see ``layers``).
        written_out: Whether attention is written out for the compiler to fuse (see ``attention``), where the model
            lets its attention be chosen.
    """
    before = attention_of(model)
    if written_out and before is not None:
        wanted = _outputs(model)
        _choose_attention(model, attention.NAME)
        if not _agree(wanted, model):
            _choose_attention(model, before)
    for layer in layers(model):
        layer.compile(dynamic=True)


def uncompile(model: Any, attention_before: str | None) -> None:
    """Undoes ``compile_layers``."""
    for layer in layers(model):
        layer._compiled_call_impl = None
    if attention_of(model) == attention.NAME and attention_before is not None:
        _choose_attention(model, attention_before)


@contextmanager
def paused(model: Any) -> Iterator[None]:
    """Layers run as they are for a while: reading the held-out rows is not worth compiling them a second time."""
    compiled = [(layer, layer._compiled_call_impl) for layer in layers(model)]
    for layer, _ in compiled:
        layer._compiled_call_impl = None
    try:
        yield
    finally:
        for layer, call in compiled:
            layer._compiled_call_impl = call


def attention_of(model: Any) -> str | None:
    """The name of the model's way of computing attention."""
    name: str | None = getattr(model.config, "_attn_implementation", None)
    return name


def is_failure(error: BaseException) -> bool:
    """Whether an error is one of compiling rather than of the model."""
    of_dynamo = (torch._dynamo.exc.TorchDynamoException, torch._dynamo.exc.FailOnRecompileLimitHit)
    return isinstance(error, of_dynamo) or "_inductor" in type(error).__module__


@contextmanager
def prepared() -> Iterator[None]:
    """Lets a layer be compiled for the few shapes that differ in more than size: one row, one token, validation."""
    import torch._dynamo  # not loaded by torch itself

    # Rates of dropout and the like are constants of a layer; read from memory they cost time at every number.
    changes = {"recompile_limit": _VARIANTS, "fail_on_recompile_limit_hit": True, "specialize_float": True}
    with torch._dynamo.config.patch(changes), warnings.catch_warnings():
        # The compiler uses what torch has deprecated, and looks at gradients of tensors that have none.
        warnings.filterwarnings("ignore", message=".*torch.jit.script_method.*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=".*attribute of a Tensor that is not a leaf.*")
        yield


@torch.no_grad()
def _outputs(model: Any) -> torch.Tensor | None:
    """What the model says of two rows of a few tokens; None where it cannot be asked like this."""
    trained = model.training
    model.eval()
    device = next(model.parameters()).device
    ids = torch.arange(1, 13, device=device).view(2, 6) % model.get_input_embeddings().weight.shape[0]
    more = {"decoder_input_ids": ids} if getattr(model.config, "is_encoder_decoder", False) else {}
    try:
        made: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), **more)[0]
        return made.float()
    except (TypeError, ValueError, RuntimeError, IndexError):
        return None
    finally:
        model.train(trained)


def _agree(wanted: torch.Tensor | None, model: Any) -> bool:
    """Whether the model says what it said, to the rounding of float32."""
    found = _outputs(model)
    if wanted is None or found is None:
        return False
    return float((found - wanted).abs().max()) <= 1e-4 * max(1e-3, float(wanted.abs().max()))


def _choose_attention(model: Any, name: str) -> None:
    try:
        base_of(model).set_attn_implementation(name)
    except (ValueError, AttributeError, ImportError):
        return
