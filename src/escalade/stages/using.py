"""Using a model: answers to texts and files, fill-mask, and what the server serves. Nothing here is recorded."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade import data
from escalade.data.answers import spans
from escalade.errors import BadInput
from escalade.ledger import files
from escalade.models import describe
from escalade.models import manifest as manifests
from escalade.project import Candidate
from escalade.protocols import Piece, Prediction, Predictor, Sampler, Sampling
from escalade.records import Chat, Labelled, Message, Pair, Question, Record, Related, Tagged
from escalade.stages import answer_file
from escalade.stages.loading import load
from escalade.stages.select import pin
from escalade.stages.workspace import Workspace
from escalade.values import Base, Facts, Kind, digest_of

if TYPE_CHECKING:
    from escalade.deploy.serve import Served, Server

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]|_")
"""A word with its inner apostrophes and hyphens, or one sign."""
CHUNK = 64
"""Rows answered between two writes of the output file."""


@dataclass
class Opened:
    """A model that is ready to answer."""

    folder: Path
    facts: Facts
    base: Base
    predictor: Predictor | None
    sampler: Sampler | None
    prompt: Callable[[Record], str] | None
    sampling: Sampling


def open_model(space: Workspace, name: str, max_tokens: int | None = None) -> Opened:
    """A release, a model that escalade made, or any Hugging Face folder or hub name.

    Args:
        space: Where it is used.
        name: Of the model.
        max_tokens: Longest output; the model's own limit where left out.

    Raises:
        BadInput: There is no such model, or it cannot be used safely.
    """
    folder = Path(name)
    if folder.is_dir() and not (folder / manifests.FILE).exists() and not (folder / "config.json").exists():
        raise BadInput("models.not_a_model", place=folder)
    opened = _open_made(space, folder) if (folder / manifests.FILE).exists() else _open_bare(space, name)
    if max_tokens is not None:
        opened.sampling = replace(opened.sampling, max_tokens=max_tokens)
        # Those that write text hold their own; labels and tags know no length.
        if getattr(opened.predictor, "sampling", None) is not None:
            setattr(opened.predictor, "sampling", opened.sampling)  # noqa: B010
    return opened


def _open_made(space: Workspace, folder: Path) -> Opened:
    manifest = manifests.read(folder)
    predictor = load(folder, space.folder_of)
    sampler = getattr(predictor, "sampler", None)
    if sampler is not None and hasattr(sampler, "strict"):
        sampler = sampler.strict()
    prompter = getattr(predictor, "prompter", None)
    return Opened(
        folder=folder,
        facts=manifest.facts,
        base=manifest.base,
        predictor=predictor,
        sampler=sampler,
        prompt=prompter.prompt if prompter else None,
        sampling=Sampling(max_tokens=manifest.max_tokens or 128, stop=manifest.stop),
    )


def _open_bare(space: Workspace, name: str) -> Opened:
    """A Hugging Face model as it is: generation for those that write, vectors for encoders."""
    from escalade.generate.local import TorchSampler
    from escalade.models.load import load_model, load_tokenizer
    from escalade.rungs.heads import EmbedPredictor, HeadPredictor
    from escalade.rungs.prompting import Prompter

    unknown = Facts(kind="generation")
    base = pin(space, Candidate(model=name), unknown)
    folder = space.folder_of(base)
    if folder is None:
        raise BadInput("models.not_a_model", place=name)
    tokenizer = load_tokenizer(folder)
    context = base.context or 512
    if base.family != "encoder":
        sampler = TorchSampler(load_model(folder, "lm"), tokenizer, base.family, base.name, context)
        prompter = Prompter(
            data.Template(name="plain", language="en", instruction="", layout="{{ input }}"), (), tokenizer
        )
        facts = Facts(kind="chat" if getattr(tokenizer, "chat_template", None) else "generation")
        return Opened(folder, facts, base, None, sampler, prompter.prompt, Sampling())
    kind, labels = _head_of(folder)
    if kind is not None:
        facts = Facts(kind=kind, labels=labels)
        model = load_model(folder, "tag" if kind == "token-classification" else "classify", labels)
        predictor: Predictor = HeadPredictor(model, tokenizer, facts, context)
    else:
        facts = Facts(kind="embedding")
        predictor = EmbedPredictor(load_model(folder, "embed"), tokenizer, context)
    return Opened(folder, facts, base, predictor, None, None, Sampling())


def _head_of(folder: Path) -> tuple[Kind | None, tuple[str, ...]]:
    """What an encoder's folder was trained to answer, and its labels."""
    config = describe.config_of(folder)
    architectures = " ".join(config.get("architectures") or ())
    names = {int(i): str(label) for i, label in (config.get("id2label") or {}).items()}
    labels = tuple(names[i] for i in sorted(names))
    if "ForSequenceClassification" in architectures:
        return "classification", labels
    if "ForTokenClassification" in architectures:
        return "token-classification", labels
    return None, ()


# -- one text -------------------------------------------------------------------------------------------------------


def record_from_text(kind: Kind, text: str, number: int = 0) -> Record:
    """A text as the record that its kind reads, with nothing wanted."""
    id = f"input:{number}"
    if kind == "token-classification":
        tokens = tuple(_WORD.findall(text))
        return Tagged(id, tokens, tuple("O" for _ in tokens))
    if kind == "classification":
        return Labelled(id, text, "")
    if kind == "relation-extraction":
        # The text, the first entity and the second, a line each, as ``input_text`` has them.
        said, head, tail = [*text.rsplit("\n", 2), "", ""][:3]
        return Related(id, said, head, tail, "")
    if kind == "chat":
        return Chat(id, (Message("user", text), Message("assistant", "")))
    if kind == "question-answering":
        question, _, context = text.partition("\n")
        return Question(id, question, context, ())
    return Pair(id, text, "")


def answer(opened: Opened, records: Sequence[Record]) -> Iterator[Prediction]:
    """Predictions in order."""
    if opened.predictor is not None:
        yield from opened.predictor.predict(records)
    elif opened.sampler is not None and opened.prompt is not None:
        prompts = [opened.prompt(record) for record in records]
        for made in opened.sampler.generate(prompts, opened.sampling):
            yield Prediction(text=made.text, logprobs=made.logprobs or None)


def stream(opened: Opened, record: Record) -> Iterator[Piece] | None:
    """The answer in pieces; None where the model does not write text."""
    if (
        opened.sampler is None
        or opened.prompt is None
        or opened.facts.kind in ("classification", "token-classification")
    ):
        return None
    return opened.sampler.stream(opened.prompt(record), opened.sampling)


def as_json(record: Record, prediction: Prediction) -> dict[str, Any]:
    """A prediction as people want it: label and probabilities, spans of words, text, or vector."""
    if prediction.tags is not None and isinstance(record, Tagged):
        found = [
            {"text": " ".join(record.tokens[start:end]), "type": kind, "start": start, "end": end}
            for start, end, kind in spans(prediction.tags)
        ]
        return {"tokens": list(record.tokens), "tags": list(prediction.tags), "spans": found}
    if prediction.label is not None:
        said: dict[str, Any] = {"label": prediction.label}
        if prediction.probabilities:
            ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
            said["probabilities"] = {label: round(share, 6) for label, share in ranked}
        return said
    if prediction.vector is not None:
        return {"vector": list(prediction.vector)}
    return {"text": prediction.text or ""}


def fill_mask(space: Workspace, name: str, text: str, count: int = 5) -> list[dict[str, Any]]:
    """The likeliest words in the place of ``[MASK]`` (or the tokenizer's own mask), with their probabilities."""
    from escalade.rungs.masks import fill

    folder = Path(name)
    base = pin(space, Candidate(model=str(folder) if folder.is_dir() else name), Facts(kind="embedding"))
    where = space.folder_of(base)
    if where is None or base.family != "encoder":
        raise BadInput("models.no_mask_head", place=name)
    return fill(where, text, count)


# -- a file ---------------------------------------------------------------------------------------------------------


def predict_file(opened: Opened, source: Path, out: Path, space: Workspace, inputs: Sequence[str]) -> int:
    """Answers every row of ``source`` into ``out``; rows that ``out`` holds already are kept, so it can go on.

    Args:
        opened: The model.
        source: Rows in any form that training data may have.
        out: ``.jsonl`` or ``.csv``; every row of the source, with ``prediction`` and what belongs to it.
        space: Who is told, and when to stop.
        inputs: Columns with the input; guessed where empty.

    Returns:
        How many rows were answered now.

    Raises:
        BadInput: A row lacks its input, or ``out`` is not to be written (see ``answer_file.claim``).
    """
    table = data.read(source.name, source.parent)
    chosen = answer_file.inputs_of(table, inputs)
    texts = answer_file.texts_of(table, chosen)
    rows = [dict(row.cells) for row in table.rows]
    model = files.tree_digest(opened.folder)
    done = answer_file.claim(out, source, table, digest_of([model, str(opened.sampling)]), chosen)
    write = answer_file.writer(out, table.columns)
    for start in range(done, len(rows), CHUNK):
        space.check()
        places = range(start, min(start + CHUNK, len(rows)))
        records = [_row_record(opened.facts.kind, texts[i], rows[i], i) for i in places]
        for i, prediction in enumerate(answer(opened, records)):
            write(rows[start + i], as_json(records[i], prediction))
        space.reporter.progress(str(source.name), min(start + CHUNK, len(rows)), len(rows))
    return max(0, len(rows) - done)


def _row_record(kind: Kind, text: str, row: Mapping[str, Any], number: int) -> Record:
    tokens = row.get("tokens")
    if kind == "token-classification" and isinstance(tokens, list | tuple):
        return Tagged(f"input:{number}", tuple(tokens), tuple("O" for _ in tokens))
    return record_from_text(kind, text, number)


# -- the server -----------------------------------------------------------------------------------------------------


def served(opened: Opened, name: str) -> Served:
    """What the server serves: prompts rendered by the function that rendered them for training."""
    from escalade.deploy.serve import Served as Serving

    kind, predictor = opened.facts.kind, opened.predictor
    vectors = getattr(predictor, "embed", None)
    prompt = opened.prompt
    return Serving(
        name=name,
        kind=kind,
        family=opened.base.family,
        sampler=opened.sampler,
        chat=(lambda messages: prompt(_conversation(kind, messages))) if prompt else None,
        render=(lambda text: prompt(record_from_text(kind, text))) if prompt and opened.predictor else None,
        predictor=predictor if kind in ("classification", "token-classification", "relation-extraction") else None,
        embed=(lambda texts: vectors(texts).tolist()) if vectors else None,
    )


def _conversation(kind: Kind, messages: Sequence[Message]) -> Record:
    """Messages as the record of the kind: a conversation for chat models, the last user turn for the others."""
    if kind == "chat":
        return Chat("input:0", (*messages, Message("assistant", "")))
    said = [m.content for m in messages if m.role == "user"]
    return record_from_text(kind, said[-1] if said else "")


def token_from_environment() -> str | None:
    """The bearer token of the server, where ``ESCALADE_TOKEN`` holds one."""
    return os.environ.get("ESCALADE_TOKEN") or None


def check_binding(host: str, token: str | None) -> None:
    """Refuses to bind an address that others reach without a token, before any model is loaded.

    Raises:
        BadInput: There is no token.
    """
    from escalade.deploy.api_guard import is_loopback

    if token is None and not is_loopback(host):
        raise BadInput("serve.needs_token", place=f"--host {host}")


def serve(what: Served, host: str, port: int, token: str | None, on_ready: Callable[[str], None]) -> None:
    """Serves until a signal."""
    from escalade.deploy.serve import build_app
    from escalade.deploy.serve import serve as run

    run(build_app(what, token=token), host, port, token, on_ready)


def server(what: Served, on_ready: Callable[[str], None]) -> Server:
    """A server on a free port of this machine, bound but not yet running, for a thread of the same process."""
    from escalade.deploy.serve import build_app, make_server

    return make_server(build_app(what), "127.0.0.1", 0, None, on_ready)
