"""General text: what a model may forget while it learns a task. A small sample, always the same."""

from __future__ import annotations

import platform
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from escalade.data.prepare import read_texts
from escalade.records import Text

TEXTS = 60
"""Most texts of one source that are read."""
BYTES = 600
"""Most UTF-8 bytes of a text that are read."""
_LEAST_BYTES = 150
_SEED = 0


def general_text(source: str, base: Path) -> list[Text]:
    """A sample of a source's texts: at most 60 that differ, each cut to its first 600 bytes.

    Args:
        source: As ``read`` takes it.
        base: Folder that the source's name starts from.

    Raises:
        BadInput: The source cannot be read, or it is not clear which column is the text.
    """
    return _sampled([replace(text, text=cut(text.text)) for text in read_texts(source, base)])


def documentation() -> tuple[str, list[Text]]:
    """What every machine has: 60 paragraphs of prose from the interpreter's own language reference.

    Paragraphs of one topic are one cluster (``group``).

    Returns:
        The source's name, with the Python version, since the texts change with it; and the texts.
    """
    from pydoc_data.topics import topics

    found = [
        Text(f"{topic}:{number}", paragraph, topic)
        for topic, said in sorted(topics.items())
        for number, paragraph in enumerate(_prose(said))
    ]
    return f"pydoc_data.topics (Python {platform.python_version()})", _sampled(found)


def cut(text: str) -> str:
    """The first 600 bytes of a text, ending at a blank where there is one in the last quarter."""
    raw = text.strip().encode("utf-8", errors="replace")
    if len(raw) <= BYTES:
        return raw.decode()
    short = raw[:BYTES].decode(errors="ignore")
    at = max(short.rfind(" "), short.rfind("\n"))
    return short[:at] if at > 0.75 * len(short) else short


def _prose(said: str) -> list[str]:
    """Paragraphs of a topic that are sentences: no headings, code, grammar, lists or tables."""
    found = []
    for paragraph in said.split("\n\n"):
        flowing = " ".join(paragraph.split())
        indented = paragraph.startswith((" ", "*", "|", "+")) or "\n " in paragraph
        fits = _LEAST_BYTES <= len(flowing.encode()) <= BYTES
        if fits and not indented and flowing[0].isupper() and flowing.endswith("."):
            found.append(flowing)
    return found


def _sampled(texts: Sequence[Text]) -> list[Text]:
    """As many as are read, drawn by a fixed seed, in their order; the same text twice would count as two witnesses."""
    kept = list({text.text: text for text in texts if text.text}.values())
    places = sorted(random.Random(_SEED).sample(range(len(kept)), min(TEXTS, len(kept))))
    return [kept[place] for place in places]
