"""Pretraining objectives beside each other: one run each, equal parameters, equal time, and a probe of the bases.

``python benchmarks/pretraining.py --text FILES --validation FILE --probe NAME=TRAIN:TEST --minutes 3 --out FOLDER``.
Rows of a probe are JSONL with ``text`` and ``label``. Each base is frozen and its texts' mean hidden state goes into a
logistic regression, beside the same network with the weights it began with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import escalade  # noqa: F401

# isort: split
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from escalade.models.describe import describe
from escalade.models.encoding import cut_prompt, encode_prompt
from escalade.models.heads import embed, native_head
from escalade.models.load import load_model, load_tokenizer
from escalade.train.objectives.matrix import filled, matrix

RUNS: dict[str, tuple[str, ...]] = {
    "mlm": ("--family", "encoder"),
    "mlm+nsp": ("--family", "encoder", "--objective", "mlm+nsp"),
    "clm": ("--family", "decoder"),
    "span": ("--family", "encoder-decoder"),
    "denoise": ("--family", "encoder-decoder", "--architecture", "bart"),
    "gap": ("--family", "encoder-decoder", "--architecture", "bart", "--objective", "gap"),
}
"""Each objective and how ``escalade pretrain`` is asked for it."""
_ROWS = 64
_DRAWS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", action="append", required=True)
    parser.add_argument("--validation", required=True)
    parser.add_argument("--probe", action="append", default=[], help="NAME=TRAIN:TEST, JSONL files")
    parser.add_argument("--size", default="5M")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--vocabulary", default="8000")
    parser.add_argument("--context", default="128")
    parser.add_argument("--only", action="append", choices=[*RUNS])
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    found = []
    for name in asked.only or RUNS:
        run = pretrained(name, asked)
        run["probes"] = {probe.split("=")[0]: probed(asked.out / name, probe.split("=")[1]) for probe in asked.probe}
        found.append(run)
        print(json.dumps({k: v for k, v in run.items() if k not in ("losses", "derived")}), flush=True)
    (asked.out / "runs.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


def pretrained(name: str, asked: Any) -> dict[str, Any]:
    """The document of one run of ``escalade pretrain``."""
    texts = [part for text in asked.text for part in ("--text", text)]
    command = [
        *(sys.executable, "-m", "escalade", "pretrain", *RUNS[name], *texts, "--validation", asked.validation),
        *("--size", asked.size, "--vocabulary", asked.vocabulary, "--context", asked.context),
        *("--minutes", str(asked.minutes), "--out", str(asked.out / name), "--json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    made: dict[str, Any] = json.loads(done.stdout)
    return {"run": name} | made


def probed(folder: Path, files: str) -> dict[str, Any]:
    """Accuracy of a linear layer on the frozen base, and on its network before training, with 95 % intervals."""
    train, test = (rows_of(Path(file)) for file in files.split(":"))
    made: dict[str, Any] = {"n": len(test)}
    right = {}
    for kind in ("pretrained", "untrained"):
        features = [features_of(folder, [text for text, _ in rows], kind == "untrained") for rows in (train, test)]
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.1))
        model.fit(features[0], [label for _, label in train])
        right[kind] = model.predict(features[1]) == np.array([label for _, label in test])
        made[kind] = interval(right[kind])
    made["difference"] = interval(right["pretrained"].astype(float) - right["untrained"])
    return made


def interval(values: np.ndarray) -> list[float]:
    """Mean and its 95 % percentile bootstrap interval."""
    draw = np.random.default_rng(0)
    means = values[draw.integers(0, len(values), (_DRAWS, len(values)))].mean(axis=1)
    return [round(float(x), 4) for x in (values.mean(), *np.quantile(means, [0.025, 0.975]))]


def rows_of(path: Path) -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(row["text"], str(row["label"])) for row in rows]


@torch.no_grad()
def features_of(folder: Path, texts: Sequence[str], untrained: bool) -> np.ndarray:
    """(texts, width): mean last hidden state."""
    base = describe(folder)
    tokenizer = load_tokenizer(folder)
    model = load_model(folder, native_head(base.family))
    if untrained:
        torch.manual_seed(0)
        model = type(model)(model.config).eval()
    ids = [encode_prompt(tokenizer, base.family, text) for text in texts]
    ids = [cut_prompt(tokenizer, base.family, row, base.context or 128) for row in ids]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    made = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    for start in range(0, len(order), _ROWS):
        some = order[start : start + _ROWS]
        batch = {"ids": matrix([ids[i] for i in some], tokenizer.pad_token_id), "mask": filled([ids[i] for i in some])}
        made[some] = embed(model, batch).numpy()
    return made


if __name__ == "__main__":
    main()
