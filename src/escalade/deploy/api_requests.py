"""The requests of the served API, field by field.

Three sorts of fields: those that do something; those that change nothing here and are accepted with any value
(``user``, ``metadata``, ``store``, ...); and those that would change the output but are not supported, which are
accepted with their neutral value only (``n`` = 1, ``presence_penalty`` = 0, ...). Anything else is refused by name, so
that nothing is silently ignored.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from escalade.protocols import Prompt


class Only:
    """Annotation of a field that is accepted with these values only."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"enum": list(self.values)}

    def _check(self, value: Any) -> Any:
        if any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in self.values):
            return value
        said = ", ".join(json.dumps(v) for v in self.values)
        raise PydanticCustomError("unsupported", "{only}", {"only": said})


MAX_LIST = 256
"""Most inputs of one request."""

StopText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Stop = StopText | Annotated[list[StopText], Field(max_length=4)]
Texts = str | Annotated[list[str], Field(min_length=1, max_length=MAX_LIST)]
Tokens = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1, max_length=2**20)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Metadata = Annotated[dict[str, Annotated[str, StringConstraints(max_length=512)]], Field(max_length=16)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    model: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    user: str = ""
    """Accepted, changes nothing."""


class StreamOptions(BaseModel):
    """What a stream tells besides the text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool = False
    include_obfuscation: Annotated[Any, Only(False)] = False


class _TextRequest(_Request):
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Left out: greedy, which is what was evaluated."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    stop: Stop = Field(default_factory=list)
    seed: Seed | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()

    n: Annotated[Any, Only(1)] = 1
    presence_penalty: Annotated[Any, Only(0)] = 0
    frequency_penalty: Annotated[Any, Only(0)] = 0
    logit_bias: Annotated[Any, Only({})] = Field(default_factory=dict)

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class CompletionRequest(_TextRequest):
    """POST /v1/completions."""

    prompt: Texts | Tokens | Annotated[list[Tokens], Field(min_length=1, max_length=MAX_LIST)]
    """Texts, or token ids of the model's own tokenizer, which are read exactly as they are."""
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    """0 with ``echo`` only."""
    echo: bool = False
    """The prompt comes back before the completion; it is read as it was sent, without the model's own template."""
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    """With ``echo`` only: the log-probability of each token, and of so many of the likeliest in its place."""
    best_of: Annotated[Any, Only(1)] = 1
    suffix: Annotated[Any, Only("")] = ""

    @property
    def prompts(self) -> list[Prompt]:
        """The prompts."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        return [self.prompt] if isinstance(self.prompt[0], int) else list(self.prompt)


class TextPart(BaseModel):
    """A part of a message's content."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Annotated[Any, Only("text")]
    text: str


class ChatMessage(BaseModel):
    """One turn; ``developer`` is another word for ``system``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[TextPart], Field(min_length=1, max_length=64)]

    @property
    def text(self) -> str:
        """The content as one text."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class ResponseFormat(BaseModel):
    """Text is the only one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Annotated[Any, Only("text")]


class ChatRequest(_TextRequest):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1024)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    """The newer name of ``max_tokens``; given both, they must agree."""
    logprobs: Annotated[Any, Only(False)] = False
    top_logprobs: Annotated[Any, Only(0)] = 0
    response_format: ResponseFormat = ResponseFormat(type="text")
    tools: Annotated[Any, Only([])] = Field(default_factory=list)
    tool_choice: Annotated[Any, Only("none", "auto")] = "none"
    modalities: Annotated[Any, Only(["text"])] = Field(default_factory=lambda: ["text"])
    service_tier: Annotated[Any, Only("auto", "default")] = "auto"
    parallel_tool_calls: bool = True
    """Accepted, changes nothing, as there are no tools."""
    metadata: Metadata = Field(default_factory=dict)
    """Accepted, changes nothing."""
    store: bool = False
    """Accepted, changes nothing: nothing is stored."""


class EmbeddingRequest(_Request):
    """POST /v1/embeddings."""

    input: Texts
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    """Accepted where it is what the model gives."""

    @property
    def inputs(self) -> list[str]:
        """The texts."""
        return [self.input] if isinstance(self.input, str) else self.input


class RelationInput(BaseModel):
    """A text and the two entities whose relation is asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str
    head: str
    tail: str


class ClassifyRequest(_Request):
    """POST /v1/classify, which OpenAI's API does not have."""

    input: Texts | RelationInput | Annotated[list[RelationInput], Field(min_length=1, max_length=MAX_LIST)]

    @property
    def inputs(self) -> list[str] | list[RelationInput]:
        """The texts, or texts with entities."""
        if isinstance(self.input, str):
            return [self.input]
        return [self.input] if isinstance(self.input, RelationInput) else self.input
