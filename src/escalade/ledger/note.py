"""One note: a small fact written once, with a seal that any edit breaks."""

from __future__ import annotations

import json
from typing import Any

from escalade.errors import Damaged
from escalade.values import digest_of


def sealed(content: dict[str, Any]) -> bytes:
    """A note's file."""
    return json.dumps({"content": content, "seal": digest_of(content)}, indent=1, ensure_ascii=False).encode()


def content_of(file: bytes, place: object) -> dict[str, Any]:
    """The content of a note's file; ``place`` is named in errors.

    Raises:
        Damaged: It cannot be read, or was edited.
    """
    try:
        said = json.loads(file)
        content: dict[str, Any] = said["content"]
        agrees = digest_of(content) == said["seal"]
    except (ValueError, KeyError, TypeError):
        raise Damaged("ledger.unreadable", place=place) from None
    if not agrees:
        raise Damaged("ledger.edited", place=place, faults="seal")
    return content
