"""Choices scored by a model of any family: what its likelihood is, and how it is asked. Nothing is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade.errors import BadInput
from escalade.evaluate.choice_rows import Ask, on_a_line, read_choices, some_of
from escalade.evaluate.choices import Chosen, Normalisation, Scorer, choice_score
from escalade.models import manifest as manifests
from escalade.project import Candidate
from escalade.stages.select import pin
from escalade.stages.using import Opened, open_model, record_from_text
from escalade.stages.workspace import Workspace
from escalade.values import Base, Facts


@dataclass(frozen=True)
class Judge:
    """A model that finds texts more or less likely."""

    scorer: Scorer
    ask: Ask
    """The prompt it gets for a question."""
    end: int
    """Tokens at the end of a score that stand for the end of the output."""
    likelihood: str
    """What is computed, in the words that stand beside a score."""


def open_judge(space: Workspace, name: str, words: bool = False) -> Judge:
    """A release, a model that escalade made, or any Hugging Face folder or hub name, as what scores choices.

    Args:
        space: Where it is used.
        name: Of the model.
        words: For encoders: hide the later tokens of a word from its earlier ones.

    Raises:
        BadInput: There is no such model, it cannot be used safely, or it gives texts no likelihood.
    """
    if not (Path(name) / manifests.FILE).exists():
        base = pin(space, Candidate(model=name), Facts(kind="generation"))
        if base.family == "encoder":
            return _encoder(space, name, base, words)
    opened = open_model(space, name)
    if opened.sampler is None:
        raise BadInput("stages.no_likelihood", place=name)
    what = "completion given prompt" if opened.base.family == "encoder-decoder" else "next token"
    return Judge(opened.sampler, _asking(opened), 1, what)


def choose_file(
    space: Workspace, model: str, file: Path, normalise: Normalisation, limit: int | None, words: bool
) -> tuple[dict[str, Any], list[Chosen]]:
    """Scores a file of questions with choices.

    Args:
        space: Who is told, and when to stop.
        model: As for :func:`open_judge`.
        file: As ``evaluate.choice_rows`` reads it.
        normalise: What is compared.
        limit: Most items, spread evenly over the file; None for all.
        words: As for :func:`open_judge`.

    Returns:
        As ``evaluate.choices.choice_score``.

    Raises:
        BadInput: The file or the model cannot be used, or the two together.
    """
    read_choices(file)  # what is wrong with the file is told before a model is loaded
    judge = open_judge(space, model, words)
    items = some_of(read_choices(file, judge.ask), limit)

    def progress(done: int, total: int) -> None:
        space.check()
        space.reporter.progress(file.name, done, total)

    return choice_score(
        judge.scorer, items, normalise, end=judge.end, likelihood=judge.likelihood, on_progress=progress
    )


def _encoder(space: Workspace, name: str, base: Base, words: bool) -> Judge:
    from escalade.generate.pseudo import PseudoScorer
    from escalade.models.load import load_model, load_tokenizer

    folder = space.folder_of(base)
    if folder is None:
        raise BadInput("models.not_a_model", place=name)
    try:
        model = load_model(folder, "mask", new_head=False)
    except BadInput as error:
        if error.key in ("models.weights_missing", "models.cannot_load"):
            raise BadInput("stages.no_mask_head", place=name) from error
        raise
    scorer = PseudoScorer(model, load_tokenizer(folder), name, base.context or 512, words)
    return Judge(scorer, on_a_line, 0, scorer.signature)


def _asking(opened: Opened) -> Ask:
    """A question is asked as it was trained, or in the model's own chat template, or else on a line."""
    prompt, kind = opened.prompt, opened.facts.kind
    if prompt is None or (opened.predictor is None and kind != "chat"):
        return on_a_line
    return lambda question: prompt(record_from_text(kind, question))
