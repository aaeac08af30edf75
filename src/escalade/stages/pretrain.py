"""pretrain: text in, a base of one family out; from nothing, or on from another base."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade import data
from escalade.catalogue import hardware
from escalade.catalogue.dial import Derived
from escalade.catalogue.situation import SCRATCH_PARAMETERS
from escalade.errors import BadInput
from escalade.ledger import Bench, Run, files
from escalade.models import describe
from escalade.stages.select import find, is_size
from escalade.stages.telling import say
from escalade.stages.workspace import Workspace, cores
from escalade.values import Family, Setting, Value, digest_of

if TYPE_CHECKING:
    from escalade.train.laying_out import Layout
    from escalade.train.pretraining import Trained

VERSION = 2
TOKENIZERS = ("bpe", "wordpiece", "unigram", "character")
LENGTHS = ("minutes", "steps", "tokens", "epochs")
ARCHITECTURES: dict[Family, tuple[str, ...]] = {
    "encoder": ("bert", "modernbert"),
    "decoder": ("llama",),
    "encoder-decoder": ("t5", "bart"),
}
"""Kinds of network per family, the usual one first."""
OBJECTIVES: dict[Family, tuple[str, ...]] = {
    "encoder": ("mlm", "mlm+nsp"),
    "decoder": ("clm",),
    "encoder-decoder": ("span", "denoise", "gap"),
}
"""Objectives per family, the usual one first."""
_USUAL = {"bart": "denoise"}
"""The objective of architectures that are pretrained otherwise than is usual in their family."""
_SENTENCES = ("bert",)
"""Architectures with a head for next-sentence prediction."""
_MASKED = ("mlm", "mlm+nsp")
_SMALLEST = 1e4


class Asked(Value):
    """What is to be made, with every default resolved that needs no look at the text."""

    family: Family
    architecture: str
    objective: str
    size: str | None
    """None with a base."""
    length: str
    """One of ``LENGTHS``, or ``dial``."""
    amount: float
    vocabulary: int | None
    context: int | None
    tokenizer: str | None
    """Kind of a new one, or the digest of the model it is taken from."""
    base: str | None
    """Digest of the base gone on from."""
    batch_tokens: int | None
    learning_rate: float | None
    mask_rate: float | None
    whole_word: bool
    static: bool
    seed: int


class Base(Value):
    """What ``pretrain`` gives."""

    artifact: str
    family: Family
    architecture: str
    objective: str
    parameters: int
    steps: int
    tokens: int
    validation_loss: float | None
    losses: tuple[tuple[int, float], ...]
    """Step and loss, at most 200 of them: means of the steps between."""
    validation: tuple[tuple[int, float], ...]
    """Step and loss on what was held out."""
    derived: tuple[Derived, ...]
    """Every setting and how it came."""
    findings: dict[str, Setting] = {}


def pretrain(
    space: Workspace,
    sources: Sequence[str],
    family: Family | None = None,
    size: str | None = None,
    *,
    objective: str | None = None,
    architecture: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    tokens: float | None = None,
    epochs: float | None = None,
    base: str | None = None,
    validation: str | None = None,
    tokenizer: str | None = None,
    vocabulary: int | None = None,
    context: int | None = None,
    batch_tokens: int | None = None,
    learning_rate: float | None = None,
    mask_rate: float | None = None,
    whole_word: bool = False,
    static: bool = False,
    seed: int = 0,
    resume: bool = False,
    on_layout: Callable[[Sequence[Derived]], None] = lambda derived: None,
) -> tuple[Base, Run] | None:
    """Trains a base on text files, or looks it up.

    Under ``torchrun`` every process calls it. The first keeps the record; the others help with each step, give None and
    leave nothing behind.

    Args:
        space: Where.
        sources: Files with text.
        family: Architecture family; the base's where there is one.
        size: ``tiny``, ``mini``, ``small`` or a number of parameters such as ``5M``; ``tiny`` where left out.
        objective: What is learnt; the family's usual objective where left out.
        architecture: Kind of network.
        minutes: How long to train, as a time.
        steps: The same in steps.
        tokens: The same in tokens.
        epochs: The same in passes over the text. With none of the four the dial says.
        base: A model to go on from: a folder, or a name on the hub.
        validation: A file to validate on, instead of a share of the text.
        tokenizer: Kind of a new tokenizer, or a model to take it from.
        vocabulary: Tokens of a new tokenizer.
        context: Longest input in tokens.
        batch_tokens: Tokens of a step; by the dial where None.
        learning_rate: The highest; by the dial where None.
        mask_rate: Share of the tokens that masked language modelling hides.
        whole_word: Whether it hides whole words.
        static: Whether each row has ten masks for good, as BERT's, instead of a new one at every pass.
        seed: Of weights, batches and what is hidden.
        resume: There must be something to go on with.
        on_layout: Told every setting and how it was derived, before the first step; not called for a look-up.

    Raises:
        BadInput: A file cannot be read, there is no text, or what is asked for does not go together.
    """
    if learning_rate is not None and not 0 < learning_rate <= 1:
        raise BadInput("stages.rate_not_positive", place=f"--learning-rate {learning_rate:g}")
    length, amount = _length(minutes=minutes, steps=steps, tokens=tokens, epochs=epochs)
    base_folder = _found(space, base, "--base")
    tokenizer_folder = None if tokenizer in (None, *TOKENIZERS) else _found(space, tokenizer, "--tokenizer")
    if base_folder is not None:
        config = describe.checked(base_folder)
        _check_agrees(base_folder, config, family, architecture, size, vocabulary, context, tokenizer_folder, tokenizer)
        family, architecture = describe.family_of(config, base_folder), str(config.get("model_type"))
    else:
        family, architecture = _kind(family, architecture)
        size = _sized(size or "tiny")
    asked = Asked(
        family=family,
        architecture=architecture,
        objective=_objective(family, architecture, objective),
        size=size,
        length=length,
        amount=amount,
        vocabulary=vocabulary,
        context=context,
        tokenizer=describe.digest(tokenizer_folder) if tokenizer_folder else tokenizer,
        base=describe.digest(base_folder) if base_folder else None,
        batch_tokens=batch_tokens,
        learning_rate=learning_rate,
        mask_rate=mask_rate,
        whole_word=whole_word,
        static=static,
        seed=seed,
    )
    _check_masking(asked)
    inputs = _inputs(space, asked, sources, validation)

    if helps():
        if not space.ledger.holds("pretrain", VERSION, inputs):
            _help(space, asked, sources, validation, base_folder, tokenizer_folder)
        return None

    def work(bench: Bench) -> Base:
        if resume and not any((bench.folder / "training").glob("step-*")):
            raise BadInput("stages.nothing_to_resume", place="--resume")
        out = bench.new("base")
        done = _train(space, bench, asked, sources, validation, base_folder, tokenizer_folder, out, on_layout)
        return _told(asked, done, bench.keep(out))

    run = space.ledger.perform("pretrain", VERSION, inputs, work)
    return Base.model_validate_json(json.dumps(run.output)), run


def helps() -> bool:
    """Whether ``torchrun`` started this process as another than the first."""
    return int(os.environ.get("RANK", "0")) > 0


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


def measured(space: Workspace, run: Run) -> dict[str, Any]:
    """How fast training was by this ledger's diary: ``tokens_per_second``, ``kernels``; empty without one."""
    told = [facts for _, kind, facts in space.ledger.index.events(run.id) if kind == "trained"]
    return told[-1] if told else {}


# -- what was asked for ------------------------------------------------------------------------------------------------


def _length(**given: float | None) -> tuple[str, float]:
    """The one length that was given.

    Raises:
        BadInput: Two, or one that is not above zero.
    """
    said = {name: value for name, value in given.items() if value is not None}
    if len(said) > 1:
        raise BadInput("stages.two_lengths", place=" ".join(f"--{name}" for name in said))
    for name, value in said.items():
        if not value > 0:
            raise BadInput("stages.length_not_positive", place=f"--{name} {value:g}")
        return name, float(value)
    return "dial", 0.0


def _kind(family: Family | None, architecture: str | None) -> tuple[Family, str]:
    """Family and architecture of a network from nothing: either tells the other."""
    if family is None:
        family = next((f for f, kinds in ARCHITECTURES.items() if architecture in kinds), None)
        if family is None:
            raise BadInput("stages.family_missing", place="--family")
    if architecture is None:
        return family, ARCHITECTURES[family][0]
    if architecture not in ARCHITECTURES[family]:
        known = ", ".join(ARCHITECTURES[family])
        raise BadInput("stages.architecture_unfit", place=f"--architecture {architecture}", family=family, known=known)
    return family, architecture


def _sized(size: str) -> str:
    if not is_size(size) or (size not in SCRATCH_PARAMETERS and float(size.rstrip("M")) * 1e6 < _SMALLEST):
        raise BadInput("models.not_a_size", place=f"size {size}", known=", ".join(SCRATCH_PARAMETERS))
    return size


def _objective(family: Family, architecture: str, objective: str | None) -> str:
    if objective is None:
        return _USUAL.get(architecture, OBJECTIVES[family][0])
    unfit = objective == "mlm+nsp" and architecture not in _SENTENCES
    if objective not in OBJECTIVES[family] or unfit:
        fit = [name for name in OBJECTIVES[family] if name != "mlm+nsp" or architecture in _SENTENCES]
        kind = f"{family} ({architecture})"
        place = f"--objective {objective}"
        raise BadInput("stages.objective_unfit", place=place, family=kind, known=", ".join(fit))
    return objective


def _check_masking(asked: Asked) -> None:
    """Refuses options that would have no effect."""
    given = {"--mask-rate": asked.mask_rate, "--whole-word": asked.whole_word, "--static": asked.static}
    option = next((name for name, value in given.items() if value), None)
    if option and asked.objective not in _MASKED:
        raise BadInput("stages.not_masked", place=option, objective=asked.objective)


def _check_agrees(
    folder: Path,
    config: dict[str, Any],
    family: Family | None,
    architecture: str | None,
    size: str | None,
    vocabulary: int | None,
    context: int | None,
    tokenizer_folder: Path | None,
    tokenizer: str | None,
) -> None:
    """A base decides what it is: what was asked for beside it must say the same, or nothing.

    Raises:
        BadInput: Another family, architecture, size, vocabulary or tokenizer; or more context than it has.
    """
    own_family, own_kind = describe.family_of(config, folder), str(config.get("model_type"))
    for option, given, own in (
        ("--family", family, own_family), ("--architecture", architecture, own_kind), ("--size", size, None),
        ("--vocabulary", vocabulary, None),
    ):  # fmt: skip
        if given is not None and given != own:
            raise BadInput("stages.base_decides", place=f"{option} {given}", base=folder.name, own=own or "-")
    if tokenizer is not None:
        same = tokenizer_folder is not None and _tokenizer_digest(tokenizer_folder) == _tokenizer_digest(folder)
        if not same:
            raise BadInput("stages.base_tokenizer", place=f"--tokenizer {tokenizer}", base=folder.name)
    limit = describe.context_of(config, folder)
    if context is not None and limit is not None and context > limit:
        raise BadInput("stages.context_beyond", place=f"--context {context}", base=folder.name, limit=limit)


def _tokenizer_digest(folder: Path) -> str:
    names = [name for name in describe.TOKENIZERS if (folder / name).is_file()]
    return digest_of([[name, files.file_digest(folder / name)] for name in names])


def _found(space: Workspace, name: str | None, option: str) -> Path | None:
    if name is None:
        return None
    if option == "--tokenizer" and not Path(os.path.normpath(space.root / name)).exists() and "/" not in name:
        raise BadInput("stages.no_such_tokenizer", place=f"{option} {name}", known=", ".join(TOKENIZERS))
    return find(space.root, name, None)[0]


# -- the run -----------------------------------------------------------------------------------------------------------


def _inputs(space: Workspace, asked: Asked, sources: Sequence[str], validation: str | None) -> dict[str, object]:
    """All that the result depends on; how fast the machine is, where the length is a time."""
    timed = asked.length == "minutes"
    return asked.model_dump(mode="json") | {
        "text": digest_of([_source(space, source) for source in sources]),
        "validation": digest_of(_source(space, validation)) if validation is not None else None,
        "speed": _flops() if timed else None,
    }


def _source(space: Workspace, source: str) -> list[str]:
    """A source's content and how it is read: the same bytes are other texts in another format."""
    name = source.lower().removesuffix(".gz")
    return [data.source_digest(source, space.root), name.rpartition(".")[2], str(source.lower().endswith(".gz"))]


def _flops() -> float:
    return hardware.processor().flops_per_core * cores()


@dataclass(frozen=True)
class _Aside:
    """Where a process works that only helps: in a folder of its own, without a diary."""

    folder: Path

    def event(self, kind: str, **facts: Any) -> None:
        """Writes nothing down."""


def _help(
    space: Workspace,
    asked: Asked,
    sources: Sequence[str],
    validation: str | None,
    base: Path | None,
    tokenizer: Path | None,
) -> None:
    """Works off this process's share of every step."""
    with tempfile.TemporaryDirectory() as folder:
        aside = _Aside(Path(folder))
        _train(space, aside, asked, sources, validation, base, tokenizer, aside.folder / "base", lambda derived: None)


def _train(
    space: Workspace,
    bench: Bench | _Aside,
    asked: Asked,
    sources: Sequence[str],
    validation: str | None,
    base: Path | None,
    tokenizer: Path | None,
    out: Path,
    on_layout: Callable[[Sequence[Derived]], None],
) -> Trained:
    from escalade.train import pretraining
    from escalade.train.objectives.mlm import RATES

    rate = asked.mask_rate
    if rate is None and asked.objective == "mlm" and asked.base is None:
        rate = RATES.get(asked.architecture)
    options: dict[str, Any] = {} if rate is None else {"rate": rate}
    options |= {"whole_word": True} if asked.whole_word else {}
    options |= {"dynamic": False} if asked.static else {}
    wanted = pretraining.Pretraining(
        family=asked.family,
        architecture=asked.architecture,
        size=asked.size or "",
        objective=asked.objective,
        options=options,
        length=pretraining.Length(asked.length, asked.amount),  # type: ignore[arg-type]
        vocabulary=asked.vocabulary,
        context=asked.context,
        tokenizer=asked.tokenizer if tokenizer is None else None,
        tokenizer_folder=tokenizer,
        base=base,
        batch=asked.batch_tokens,
        learning_rate=asked.learning_rate,
        seed=asked.seed,
    )
    clock = _Clock(space, bench)

    def told(layout: Layout) -> None:
        on_layout([*layout.derived, *layout.forecast])

    done = pretraining.pretrain(
        pretraining.Corpus(tuple(sources), space.root),
        pretraining.Corpus((validation,), space.root) if validation is not None else None,
        wanted,
        pretraining.Machine(hardware.processor().name, _flops(), hardware.memory_available()),
        out,
        bench.folder,
        on_layout=told,
        on_event=clock.on_event,
        should_stop=space.should_stop,
    )
    bench.event("trained", tokens_per_second=clock.speed(), kernels=done.fitted.kernels)
    return done


class _Clock:
    """Listens to training: tells how far it is, keeps the diary, and how fast steps were on which kernels."""

    def __init__(self, space: Workspace, bench: Bench | _Aside) -> None:
        self._space, self._bench = space, bench
        self._steps, self._slowness = 0, 0.0

    def on_event(self, event: dict[str, Any]) -> None:
        """Every step moves the bar; every tenth and all else is written down."""
        if event.get("event") == "step":
            speed = float(event["tokens_per_second"])
            if speed > 0:
                self._steps, self._slowness = self._steps + 1, self._slowness + 1 / speed
            # The line must fit eighty columns with the bar and both times.
            note = f"loss {event['loss']:.3f} {speed / 1000:.1f}k tok/s"
            self._space.reporter.progress("pretrain", event["step"], event["steps"], note)
            if event["step"] % 10:
                return
        else:
            say(self._space.reporter, event)
        self._bench.event(str(event.get("event")), **{k: v for k, v in event.items() if k != "event"})

    def speed(self) -> int | None:
        """Mean tokens a second (harmonic: steps are of about as many tokens); None where there was no step."""
        return round(self._steps / self._slowness) if self._steps else None


def _told(asked: Asked, done: Trained, artifact: str) -> Base:
    from escalade.train.pretraining import thinned

    fitted = done.fitted
    return Base(
        artifact=artifact,
        family=asked.family,
        architecture=asked.architecture,
        objective=asked.objective,
        parameters=done.parameters,
        steps=fitted.steps,
        tokens=fitted.tokens,
        validation_loss=min((loss for _, loss in fitted.validation), default=None),
        losses=tuple(thinned(fitted.losses)),
        validation=tuple(fitted.validation),
        derived=done.layout.derived,
        findings={
            "documents": done.documents,
            "pieces": done.pieces,
            "held_out": done.held_out,
            "rows_cut": len(fitted.cut_rows),
            "rows_empty": len(fitted.empty_rows),
        },
    )
