"""pretrain: text in, a base of one family out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from escalade import data
from escalade.catalogue.situation import SCRATCH_PARAMETERS
from escalade.errors import BadInput
from escalade.ledger import Bench, Run, files
from escalade.stages.adapt import listener
from escalade.stages.select import is_size
from escalade.stages.workspace import Workspace
from escalade.values import Family, Setting, Value, digest_of

VERSION = 1
LEARNING_RATE = 1e-3
"""For networks of up to some ten million parameters; measured on small runs, not swept."""


class Base(Value):
    """What ``pretrain`` gives."""

    artifact: str
    family: Family
    objective: str
    parameters: int
    steps: int
    tokens: int
    validation_loss: float | None
    findings: dict[str, Setting] = {}


def pretrain(
    space: Workspace,
    sources: Sequence[str],
    family: Family,
    size: str,
    *,
    epochs: float = 1.0,
    vocabulary: int | None = None,
    context: int = 256,
    seed: int = 0,
) -> tuple[Base, Run]:
    """Trains a base from scratch on text files.

    Raises:
        BadInput: A file cannot be read, or there is no text.
    """
    if not is_size(size):
        raise BadInput("models.not_a_size", place=f"size {size}", known=", ".join(SCRATCH_PARAMETERS))
    digests = [data.source_digest(source, space.root) for source in sources]
    inputs = {
        "text": digest_of(digests),
        "family": family,
        "size": size,
        "epochs": epochs,
        "vocabulary": vocabulary,
        "context": context,
        "seed": seed,
    }

    def work(bench: Bench) -> Base:
        from escalade.train import pretraining

        texts = [record.text for source in sources for record in data.read_texts(source, space.root)]
        if not texts:
            raise BadInput("stages.no_text", place=", ".join(sources))
        characters = sum(map(len, texts))
        wanted = pretraining.Pretraining(
            family=family,
            size=size,
            # A token per 60 characters, so that each is seen often enough to be learnt.
            vocabulary=vocabulary or int(min(16_000, max(500, characters // 60))),
            context=context,
            epochs=epochs,
            learning_rate=LEARNING_RATE,
            seed=seed,
        )
        out = bench.new("base")
        on_event = listener(space, bench, f"pretrain {family} {size}")
        fitted, count = pretraining.pretrain(texts, wanted, out, bench.folder / "training", on_event, space.should_stop)
        return Base(
            artifact=bench.keep(out),
            family=family,
            objective=pretraining.OBJECTIVES[family][0],
            parameters=count,
            steps=fitted.steps,
            tokens=fitted.tokens,
            validation_loss=min((loss for _, loss in fitted.validation), default=None),
            findings={"rows_cut": len(fitted.cut_rows), "rows_empty": len(fitted.empty_rows)},
        )

    run = space.ledger.perform("pretrain", VERSION, inputs, work)
    return Base.model_validate_json(json.dumps(run.output)), run


def check_free(space: Workspace, out: Path) -> None:
    """Refuses a folder that holds anything but a base this ledger made: it would be replaced.

    Raises:
        BadInput: Something else lies there.
    """
    if out.is_dir() and any(out.iterdir()):
        if not space.ledger.path(files.tree_digest(out)).exists():
            raise BadInput("cli.exists", place=out, path=out)
    elif out.is_file():
        raise BadInput("cli.exists", place=out, path=out)


def place(space: Workspace, base: Base, out: Path) -> Path:
    """Puts a copy of the base where the user wants it."""
    with space.ledger.holding(str(out), "pretrain"):
        files.clear_leftovers(out)
        files.replace_tree(space.ledger.path(base.artifact), out)
    return out
