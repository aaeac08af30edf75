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


def grid(peer: str, mixed: bool, tokens: int) -> list[Settings]:
    """The settings among which a peer's best is looked for, uncompiled; ``compiled`` gives those that follow.

    bfloat16 on and off; where rows have mixed lengths, in random order and grouped by length. TRL also packs, both ways
    it knows, into rows of 512. Left out is what can only lose: padding to a multiple without compilation (it adds
    padding and nothing else), and recomputed activations, which TRL has on by default (they take time and save memory,
    of which there is enough).

    Args:
        peer: trl or transformers.
        mixed: Rows have different lengths.
        tokens: Of a step; packed rows make about as many.
    """
    made: list[Settings] = []
    for bf16 in (False, True):
        base: Settings = {"bf16": bf16, "torch_compile": False}
        if peer == "trl":
            base["gradient_checkpointing"] = False
        if not mixed:
            made.append(base)
            continue
        made += [{**base, "train_sampling_strategy": order} for order in ("random", "group_by_length")]
        if peer == "trl":
            block = {"max_length": _BLOCK, "per_device_train_batch_size": max(1, round(tokens / _BLOCK))}
            made += [{**base, "packing": True, "packing_strategy": way, **block} for way in ("bfd", "wrapped")]
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
