"""What is served, and within which limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from escalade.protocols import Predictor, Sampler
from escalade.records import Message
from escalade.values import Family, Kind

COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
CLASSIFY = "/v1/classify"
CLASSIFIED: tuple[Kind, ...] = ("classification", "token-classification", "relation-extraction")


@dataclass(frozen=True)
class Served:
    """A model as the API sees it; what it cannot do is None."""

    name: str
    """The model's id in requests."""
    kind: Kind
    family: Family
    sampler: Sampler | None = None
    chat: Callable[[Sequence[Message]], str] | None = None
    """Renders messages to the prompt, by the function that rendered them for training."""
    render: Callable[[str], str] | None = None
    """Raw user input to the prompt the model was trained with; None: as it is."""
    predictor: Predictor | None = None
    embed: Callable[[Sequence[str]], list[list[float]]] | None = None
    count: Callable[[str], int] | None = None
    """Tokens of a text, for the usage of embeddings; the sampler's count where left out."""

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints that this model can answer."""
        able = {
            COMPLETIONS: self.sampler is not None,
            CHAT: self.sampler is not None and (self.chat is not None or self.render is not None),
            EMBEDDINGS: self.embed is not None,
            CLASSIFY: self.predictor is not None and self.kind in CLASSIFIED,
        }
        return tuple(path for path, can in able.items() if can)


@dataclass(frozen=True)
class ServeLimits:
    """What a request may take."""

    body_bytes: int = 2 * 2**20
    max_tokens: int = 4096
    """Most tokens of an output; a chat that names no limit gets this one. The model's context limits it further."""
    waiting: int = 16
    """Most requests that wait for the model; more are answered with 503."""
    seconds: float = 600.0
    """Most time a request may compute."""
    grace: float = 30.0
    """Most time that running requests get when the server stops."""
    hosts: tuple[str, ...] = ()
    """Names in the Host header that are right on a loopback address besides ``localhost`` (for a reverse proxy)."""
