"""The peers that training is measured beside: an environment for each, and the settings its best is looked for among.

``python benchmarks/peers.py`` makes the environments (below ``.benchmarks``, which git does not keep) and says what is
in them. Each peer has its own, as their pins need not agree.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1] / ".benchmarks"
TORCH = "torch==2.13.0"
"""First and by itself: asked for by another package it would bring several gigabytes of CUDA."""
PACKAGES = {
    "trl": ("trl==1.16.0", "transformers==5.23.0", "accelerate==1.15.0", "datasets==5.2.0"),
    "transformers": ("transformers==5.23.0", "accelerate==1.15.0", "datasets==5.2.0"),
}
Settings = dict[str, Any]
DEFAULTS: Settings = {}
"""Nothing is set: the peer's own."""
_BLOCK = 512
"""Tokens of a packed row."""
_ASK = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made where it is missing or holds other versions."""
    folder = ROOT / peer
    python, done = folder / "bin" / "python", folder / "installed.json"
    wanted = [TORCH, *PACKAGES[peer]]
    if not done.is_file() or json.loads(done.read_text(encoding="utf-8")) != wanted:
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, TORCH)
        (folder / "constraints.txt").write_text(TORCH + "\n", encoding="utf-8")
        _run(*pip, "-c", str(folder / "constraints.txt"), *PACKAGES[peer])
        done.write_text(json.dumps(wanted), encoding="utf-8")
    return python


def versions_of(python: Path | str, names: tuple[str, ...]) -> dict[str, str]:
    """What is installed in an environment."""
    said = subprocess.run([str(python), "-c", _ASK, *names], check=True, capture_output=True, text=True)
    made: dict[str, str] = json.loads(said.stdout)
    return made


def installed(peer: str) -> dict[str, str]:
    """The versions of a peer's environment that decide how fast it is."""
    return versions_of(python_of(peer), ("torch", *(package.partition("==")[0] for package in PACKAGES[peer])))


def precisions(peer: str, mixed: bool) -> list[Settings]:
    """Rows as they come, in float32 and in bfloat16."""
    order = {"train_sampling_strategy": "random"} if mixed else {}
    # TRL computes activations again by default, which takes time and saves memory, of which there is enough.
    whole = {"gradient_checkpointing": False} if peer == "trl" else {}
    return [{"bf16": bf16, "torch_compile": False, **whole, **order} for bf16 in (False, True)]


def orders(settings: Settings, peer: str, tokens: int) -> list[Settings]:
    """Settings whose rows come at random, with rows grouped by length; of TRL also packed, both ways it knows.

    Args:
        settings: One of ``precisions``.
        peer: trl or transformers.
        tokens: Of a step; packed rows of 512 make about as many.
    """
    if "train_sampling_strategy" not in settings:
        return [settings]
    made = [{**settings, "train_sampling_strategy": "group_by_length"}]
    if peer == "trl":
        plain = {name: value for name, value in settings.items() if name != "train_sampling_strategy"}
        block = {"max_length": _BLOCK, "per_device_train_batch_size": max(1, round(tokens / _BLOCK))}
        made += [{**plain, "packing": True, "packing_strategy": way, **block} for way in ("bfd", "wrapped")]
    return made


def compiled(settings: Settings) -> list[Settings]:
    """The same with ``torch.compile``; padded rows to the longest, and to a multiple of 64 (fewer shapes)."""
    made = {**settings, "torch_compile": True}
    return [made, {**made, "pad_to_multiple_of": 64}] if "train_sampling_strategy" in settings else [made]


def shown(settings: Settings) -> str:
    """Settings in a few words."""
    if not settings:
        return "defaults"
    words = ["bf16" if settings["bf16"] else "float32"]
    words += ["compiled"] if settings["torch_compile"] else []
    if settings.get("packing"):
        words.append(f"packed ({settings['packing_strategy']}, {_BLOCK})")
    else:
        words += [settings["train_sampling_strategy"]] if "train_sampling_strategy" in settings else []
        words += [f"padded to {settings['pad_to_multiple_of']}"] if settings.get("pad_to_multiple_of") else []
    return ", ".join(words)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    for each in PACKAGES:
        print(each, installed(each))
