"""What a model folder holds, read without loading its weights and without torch.

A folder is usable when it has ``config.json``, a tokenizer and whole safetensors weights, and needs no code of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import Any

from escalade.errors import BadInput
from escalade.values import Base, Family, digest_of

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "vocab.json")
"""Any of these files is a tokenizer."""
_OF_TOKENIZERS = (*TOKENIZERS, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_NOT_PICKLES = ("training_args.bin", "optimizer.pt", "scheduler.pt")
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length")
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet", "luke", "data2vec-text")
"""Models whose first position is the padding id plus one, so that many positions cannot be used."""
_ENCODERS = {
    *("albert", "bert", "big_bird", "camembert", "canine", "convbert", "data2vec-text", "deberta", "deberta-v2"),
    *("distilbert", "electra", "ernie", "eurobert", "flaubert", "fnet", "ibert", "layoutlm", "longformer", "luke"),
    *("megatron-bert", "mobilebert", "modernbert", "mpnet", "mra", "nezha", "nomic_bert", "nystromformer", "rembert"),
    *("roberta", "roberta-prelayernorm", "roc_bert", "roformer", "splinter", "squeezebert", "xlm", "xlm-roberta"),
    *("xlm-roberta-xl", "xmod", "yoso"),
}
_DECODERS = r"(llama|gpt|mistral|mixtral|qwen|gemma|phi|opt|bloom|falcon|mpt|olmo|smollm|stablelm|granite)"
"""How the names of model types begin that are decoders whatever head they carry."""
_CAUSAL_HEADS = ("ForCausalLM", "LMHeadModel")
_COUNTED = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_CHUNK = 1 << 20
_LOOKED_UP = re.compile(r"(embeddings?|embed_tokens|embed_positions|shared|wte|wpe)(\.[a-z_]*embeddings)?\.weight$")
"""Names of embedding tables."""


def describe(folder: Path) -> Base:
    """The facts of a model folder as a Base with source ``folder``.

    Parameters are those stored in the weights' headers (tied weights count once); ``context`` is the number of
    positions the model has, or what the tokenizer states where positions are relative, or None.

    Raises:
        BadInput: The folder cannot be used: see ``checked``.
    """
    config = checked(folder)
    return Base(
        name=folder.name,
        family=family_of(config, folder),
        source="folder",
        digest=digest(folder),
        parameters=sum(count for _, count in _tensors(folder)),
        embedded=sum(count for name, count in _tensors(folder) if _LOOKED_UP.search(name)),
        context=context_of(config, folder),
        license=_licence(folder),
    )


def checked(folder: Path) -> dict[str, Any]:
    """The folder's configuration, once everything needed to load it safely is there.

    Raises:
        BadInput: No such folder, no or unreadable ``config.json``, code of its own, no tokenizer, no weights, only
            pickled weights, or weights that are cut off.
    """
    config = config_of(folder)
    if config.get("auto_map"):
        raise BadInput("models.remote_code", place=folder / "config.json")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise BadInput("models.no_tokenizer", place=folder)
    for path in weight_files(folder):
        header(path)
    return config


def config_of(folder: Path) -> dict[str, Any]:
    """``config.json`` of a folder.

    Raises:
        BadInput: The folder or the file is missing, or the file is not a JSON object.
    """
    if not folder.is_dir():
        raise BadInput("models.no_folder", place=folder)
    path = folder / "config.json"
    if not path.is_file():
        if (folder / "adapter_config.json").is_file():
            raise BadInput("models.only_adapter", place=folder)
        raise BadInput("models.no_config", place=folder)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput("models.config_unreadable", place=path, problem=error) from None
    if not isinstance(config, dict):
        raise BadInput("models.config_unreadable", place=path, problem=f"{type(config).__name__} != object")
    return config


def family_of(config: dict[str, Any], place: Path) -> Family:
    """The architecture family a configuration states.

    Raises:
        BadInput: Neither ``architectures`` nor ``model_type`` tells.
    """
    if config.get("is_encoder_decoder"):
        return "encoder-decoder"
    model_type = str(config.get("model_type", ""))
    names = [str(name) for name in config.get("architectures") or ()]
    if any(name.endswith(_CAUSAL_HEADS) for name in names) or config.get("is_decoder"):
        return "decoder"
    if model_type in _ENCODERS or any(name.endswith("ForMaskedLM") for name in names):
        return "encoder"
    if re.match(_DECODERS, model_type):
        return "decoder"
    raise BadInput("models.family_unknown", place=place / "config.json", model_type=model_type, architectures=names)


def context_of(config: dict[str, Any], folder: Path) -> int | None:
    """Longest input in tokens: positions first, then what the tokenizer says; None where neither says anything."""
    for key in _CONTEXT_KEYS:
        if isinstance(limit := config.get(key), int) and limit > 0:
            offset = int(config.get("pad_token_id") or 0) + 1 if config.get("model_type") in _OFFSET_POSITIONS else 0
            return limit - offset
    said = _tokenizer_config(folder).get("model_max_length")
    return int(said) if isinstance(said, int | float) and 0 < said < 10**9 else None


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    """What ``tokenizer_config.json`` says; nothing where there is none.

    Raises:
        BadInput: It is not a JSON object.
    """
    path = folder / "tokenizer_config.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise BadInput("models.tokenizer_unreadable", place=path, problem=error) from None
    if not isinstance(said, dict):
        raise BadInput("models.tokenizer_unreadable", place=path, problem=f"{type(said).__name__}")
    return said


def digest(folder: Path) -> str:
    """Identity of the model: names and hashes of the files that make it what it is (not README or the like)."""
    kept = {path.name: path for path in folder.glob("*.safetensors")}
    names = (*_OF_TOKENIZERS, "config.json", "generation_config.json", "model.safetensors.index.json")
    kept |= {path.name: path for name in names if (path := folder / name).is_file()}
    kept |= {path.name: path for path in folder.glob("*.jinja")}
    return digest_of([[name, _file_digest(kept[name])] for name in sorted(kept)])


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold the weights.

    Raises:
        BadInput: There are none, only pickles, or a part that the index names is missing.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        parts = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        for part in parts:
            if not (folder / part).is_file():
                raise BadInput("models.part_missing", place=index, part=part)
        return [folder / part for part in parts]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    pickles = sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern) if p.name not in _NOT_PICKLES)
    if pickles:
        raise BadInput("models.pickle", place=folder / pickles[0])
    raise BadInput("models.no_weights", place=folder)


def header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: dtype, shape and place of each tensor.

    The first 8 bytes are the header's length (little endian), then comes JSON, then the tensors.

    Raises:
        BadInput: The file ends before its tensors do, or its header is not one.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 + length:
            raise BadInput("models.truncated", place=path, size=size, needed=8 + length)
        try:
            said = json.loads(file.read(length))
            tensors = {name: entry for name, entry in said.items() if name != "__metadata__"}
            needed = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput("models.header_unreadable", place=path, problem=error) from None
    if size < needed:
        raise BadInput("models.truncated", place=path, size=size, needed=needed)
    return tensors


def _tensors(folder: Path) -> Iterator[tuple[str, int]]:
    """Name and number of elements of every floating-point tensor."""
    for path in weight_files(folder):
        for name, entry in header(path).items():
            if entry["dtype"] in _COUNTED:
                yield name, prod(entry["shape"])


def _file_digest(path: Path) -> str:
    running = blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            running.update(chunk)
    return running.hexdigest()


def _licence(folder: Path) -> str | None:
    """``license:`` of the model card's front matter."""
    path = folder / "README.md"
    if not path.is_file():
        return None
    front = re.match(r"---\s*\n(.*?)\n---", path.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    said = re.search(r"^license:\s*[\"']?([\w.+-]+)", front[1], re.MULTILINE) if front else None
    return said[1] if said else None
