"""``escalade pretrain``: a base model from scratch on text, or on from another base."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from escalade import messages
from escalade.cli import console
from escalade.stages import pretrain as stage
from escalade.stages.workspace import open_workspace

if TYPE_CHECKING:
    from escalade.catalogue.dial import Derived

_NAMES = {
    "parameters": "dial.parameters",
    "layers": "dial.layers",
    "width": "dial.width",
    "heads": "dial.name_heads",
    "vocabulary": "dial.vocabulary",
    "context": "dial.context",
    "text": "dial.text",
    "tokens": "dial.tokens",
    "batch": "dial.batch",
    "steps": "dial.steps",
    "learning_rate": "dial.learning_rate",
    "dropout": "dial.dropout",
    "warmup": "dial.warmup",
    "time": "dial.time",
    "memory": "dial.memory",
}
_FAMILIES = tuple(stage.ARCHITECTURES)
_ARCHITECTURES = tuple(name for names in stage.ARCHITECTURES.values() for name in names)
_OBJECTIVES = tuple(name for names in stage.OBJECTIVES.values() for name in names)


@click.command(help="help.pretrain")
@click.option("--family", type=click.Choice(_FAMILIES), help="help.pretrain_family")
@click.option("--architecture", type=click.Choice(_ARCHITECTURES), help="help.pretrain_architecture")
@click.option("--objective", type=click.Choice(_OBJECTIVES), help="help.pretrain_objective")
@click.option("--size", help="help.pretrain_size")
@click.option("--base", help="help.pretrain_base")
@click.option("--text", "texts", multiple=True, required=True, help="help.pretrain_text")
@click.option("--validation", help="help.pretrain_validation")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="help.pretrain_out")
@click.option("--minutes", type=click.FloatRange(0, 1e6, min_open=True), help="help.pretrain_minutes")
@click.option("--steps", type=click.IntRange(1, 10**9), help="help.pretrain_steps")
@click.option("--tokens", type=click.FloatRange(1, 1e15), help="help.pretrain_tokens")
@click.option("--epochs", type=click.FloatRange(0, 1e6, min_open=True), help="help.pretrain_epochs")
@click.option("--tokenizer", help="help.pretrain_tokenizer")
@click.option("--vocabulary", type=click.IntRange(1, 10**7), help="help.pretrain_vocabulary")
@click.option("--context", type=click.IntRange(8, 10**6), help="help.pretrain_context")
@click.option("--batch-tokens", type=click.IntRange(1, 10**9), help="help.pretrain_batch_tokens")
@click.option("--learning-rate", type=click.FloatRange(0, 1, min_open=True), help="help.pretrain_learning_rate")
@click.option("--mask-rate", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="help.pretrain_mask_rate")
@click.option("--whole-word", is_flag=True, help="help.pretrain_whole_word")
@click.option("--static", is_flag=True, help="help.pretrain_static")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="help.seed")
@click.option("--resume", is_flag=True, help="help.pretrain_resume")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(texts: tuple[str, ...], out: Path, as_json: bool, **asked: Any) -> None:
    """The same command goes on where an interrupted one stopped."""
    # Of several processes that train together one speaks.
    reporter = console.ConsoleReporter(quiet=as_json or stage.helps())
    shown: list[Sequence[Derived]] = []

    def show(derived: Sequence[Derived]) -> None:
        shown.append(derived)
        if not as_json:
            _print_derived(derived)

    with console.stoppable() as stopping:
        space = open_workspace(out.resolve().parent, reporter)
        space.interrupted = stopping.is_set
        if not stage.helps():
            stage.check_free(space, out)
        sources = [_from_root(text, space.root) for text in texts]
        for name in ("validation", "base", "tokenizer"):
            asked[name] = asked[name] and _from_root(asked[name], space.root)
        done = stage.pretrain(space, sources, on_layout=show, **asked)
        if done is None:
            return
        base, run = done
        stage.place(space, base, out)
    reporter.close()
    picture = _draw(base, out)
    if as_json:
        console.print_json(_document(base, out, picture, run.measured.seconds, stage.measured(space, run)))
        return
    if not shown:
        _print_derived(base.derived)
    told = base.to_json() | {"validation_loss": _loss(base.validation_loss)}
    console.print_text(messages.text("cli.pretrained", path=out, **told))
    console.print_text(messages.text("cli.pretrained_picture", path=picture))


def _from_root(name: str, root: Path) -> str:
    """A file's or folder's name as it is from the folder of the ledger; any other name (a hub's, a kind's) as it is."""
    return os.path.relpath(name, root) if Path(name).exists() else name


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _print_derived(derived: Sequence[Derived]) -> None:
    rows = [[messages.text(_NAMES[one.name]), _value(one), _law(one)] for one in derived]
    console.print_folded(console.headings("dial.setting", "dial.value", "dial.how"), rows)


def _value(one: Derived) -> str:
    if one.name == "time" and isinstance(one.value, int):
        return _duration(one.value)
    if one.name == "memory":
        return f"{float(one.value) / 1000:.1f} GB"
    return f"{one.value:,}" if isinstance(one.value, int) else str(one.value)


def _duration(seconds: int) -> str:
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes >= 2 else f"{seconds} s"


def _law(one: Derived) -> str:
    return messages.text(one.key, **one.facts)


def _draw(base: stage.Base, out: Path) -> Path:
    """The loss curve beside the base, not in it: the base's bytes are its identity."""
    from escalade.report.losses import loss_curve

    path = out.with_name(out.name + ".loss.svg")
    path.write_text(loss_curve(base.losses, base.validation), encoding="utf-8")
    return path


def _document(base: stage.Base, out: Path, picture: Path, seconds: float, measured: dict[str, Any]) -> dict[str, Any]:
    derived = [{"name": one.name, "value": one.value, "unit": one.unit, "from": _law(one)} for one in base.derived]
    took = {"seconds": seconds, "tokens_per_second": None, "kernels": None} | measured
    return {"base": str(out), "picture": str(picture)} | took | base.to_json() | {"derived": derived}
