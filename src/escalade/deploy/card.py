"""The model card of a release: what it is, what it was made from, what it scored. No number without its interval."""

from __future__ import annotations

from escalade.values import Base, Evaluation, Facts, Model

_LIBRARY = {"none": "escalade", "encoder": "transformers", "decoder": "transformers", "encoder-decoder": "transformers"}


def card(model: Model, base: Base, facts: Facts, validation: Evaluation, data: str) -> str:
    """Markdown with the front matter that model hubs read.

    Args:
        model: What was adapted.
        base: What it was made from.
        facts: Kind, labels and language of the task.
        validation: The evaluation that chose it.
        data: Digest of the data.
    """
    front = [
        "---",
        f"library_name: {_LIBRARY[model.family]}",
        f"license: {base.license or 'other'}",
        f"language: {facts.language}",
        f"tags: [escalade, {facts.kind}, {model.rung}]",
        "---",
    ]
    rows = [
        f"| {s.metric} | {s.value:.4f} | {s.lower:.4f} to {s.upper:.4f} "
        f"| {s.n} | {s.clusters} {s.unit}s | {s.signature} |"
        for s in validation.scores
    ]
    body = [
        f"# {facts.kind}: {model.rung} {model.base}",
        "",
        f"- **Rung**: {model.rung}, from {base.name} ({base.source}, family {base.family})",
        f"- **Parameters**: {_count(model.parameters)}, {_count(model.trainable)} of them trained",
        f"- **Labels**: {', '.join(facts.labels) if facts.labels else 'none'}",
        f"- **Data**: {data}",
        f"- **Base**: {base.digest or 'none'}",
        "",
        "## Scores on validation",
        "",
        "These chose the model; the verdict on the test rows is in the project's report.",
        "",
        "| metric | value | 95 % interval | n | resampled by | signature |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "## Use",
        "",
        '`escalade predict FOLDER "text"` answers one text, `escalade serve FOLDER` serves it behind an',
        "OpenAI-compatible API. `escalade.json` holds the prompt exactly as it was trained.",
    ]
    return "\n".join([*front, "", *body, ""])


def _count(number: int | None) -> str:
    return "not applicable" if number is None else f"{number:,}"
