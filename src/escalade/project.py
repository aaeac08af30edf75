"""What is wanted: the project file, checked. It says what to reach and never how.

The file is ``escalade.yaml``; ``schema()`` is the JSON schema that lets an editor complete it. Every mistake is
refused with the key it stands at, what is wrong, and a suggestion.
"""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from escalade.errors import BadInput
from escalade.mistakes import explained
from escalade.values import Kind

FILE = "escalade.yaml"
_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"b": 1.0} | {f"{letter}b": 1e3**i for i, letter in enumerate("kmgt", 1)}
_BYTES |= {f"{letter}ib": 1024.0**i for i, letter in enumerate("kmgt", 1)}


def seconds(value: object) -> object:
    """``90``, ``"90s"``, ``"5m"``, ``"1h30m"``, ``"300ms"`` as seconds."""
    if _is_number(value):
        return value
    parts = re.findall(rf"{_NUMBER}\s*(ms|[smhd])\s*", value) if isinstance(value, str) else []
    if not parts or re.sub(rf"{_NUMBER}\s*(ms|[smhd])\s*", "", str(value)).strip():
        raise PydanticCustomError("not_a_time", "not a time")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def size_in_bytes(value: object) -> object:
    """``"4GB"`` as bytes."""
    if _is_number(value):
        return value
    match = (
        re.fullmatch(rf"\s*{_NUMBER}\s*((?:[KMGT]i?)?B)\s*", value, re.IGNORECASE) if isinstance(value, str) else None
    )
    if match is None:
        raise PydanticCustomError("not_a_size", "not a size")
    return float(match[1]) * _BYTES[match[2].lower()]


def money(value: object) -> object:
    """``"5 USD"`` or ``5`` as an amount in US dollars."""
    if _is_number(value):
        return value
    match = re.fullmatch(rf"\s*\$?\s*{_NUMBER}\s*(USD)?\s*", value, re.IGNORECASE) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("not_money", "not an amount")
    return float(match[1])


def _is_number(value: object) -> bool:
    """True for numbers and for None, which a key may have; ``yes`` and ``no`` are none."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _one_as_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(seconds, json_schema_input_type=float | str)]
Bytes = Annotated[float, BeforeValidator(size_in_bytes, json_schema_input_type=float | str)]
Money = Annotated[float, BeforeValidator(money, json_schema_input_type=float | str)]
Names = Annotated[tuple[str, ...], BeforeValidator(_one_as_many, json_schema_input_type=str | list[str])]


class Section(BaseModel):
    """Base of every part of the project file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Sources(Section):
    """Where the rows of a task are; a split that is missing is made."""

    train: str = Field(min_length=1)
    """A file (JSONL, JSON, CSV, TSV, Parquet, text, CoNLL; each also .gz) or a Hugging Face hub name."""
    validation: str | None = None
    test: str | None = None


class Columns(Section):
    """Which column holds what; guessed and shown where left out."""

    input: Names = ()
    """The text a model is given; several columns are joined by a line break."""
    output: str | None = None
    """The label, tags or text wanted."""
    group: str | None = None
    """Rows with the same value stay in one split and are resampled together."""
    tokens: str | None = None
    """Token classification: the list of words."""
    messages: str | None = None
    """Chat: the list of turns, each with role and content."""
    context: str | None = None
    """Question answering: the passage."""
    head: str | None = None
    """Relation extraction: the first entity."""
    tail: str | None = None
    """Relation extraction: the second entity."""
    prompt: str | None = None
    chosen: str | None = None
    rejected: str | None = None


class SplitRule(Section):
    """How missing splits are made."""

    by: str | None = None
    """Column whose value keeps rows together; the same as ``columns.group``."""
    test: Literal["auto"] | Annotated[float, Field(gt=0, le=0.5)] = "auto"
    """Share of the rows for test; ``auto`` sizes it so that the interval's half-width is at most 0.03, up to 30 %."""
    validation: Literal["auto"] | Annotated[float, Field(gt=0, le=0.5)] = "auto"


class Target(Section):
    """What must be reached, and how sure one must be."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    confidence: float = Field(0.95, gt=0.5, lt=1)
    origin: str | None = None
    """Where the number comes from; printed beside it."""

    @model_validator(mode="after")
    def _one_bound(self) -> Target:
        if (self.at_least is None) == (self.at_most is None):
            raise PydanticCustomError("one_bound", "exactly one bound")
        return self

    @property
    def bound(self) -> float:
        """The number to reach."""
        return self.at_least if self.at_least is not None else typing.cast(float, self.at_most)

    @property
    def rising(self) -> bool:
        """True where more is better."""
        return self.at_least is not None


def _as_sources(value: object) -> object:
    return {"train": value} if isinstance(value, str) else value


class Task(Section):
    """One thing the project must do."""

    name: str = Field("task", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    kind: Kind | None = None
    """Guessed from the columns where left out."""
    data: Annotated[Sources, BeforeValidator(_as_sources, json_schema_input_type=str | Sources)]
    columns: Columns = Columns()
    split: SplitRule = SplitRule()
    preferences: str | None = None
    """Rows with prompt, chosen and rejected, for aligning."""
    target: Target | None = None
    """Left out: to beat the best baseline's validation score."""
    metric: str | None = None
    """The metric that decides where no target is given; the kind's own where left out."""
    instruction: str | None = None
    """What the model is asked to do, in words; a general one for the kind where left out."""
    prompt: Literal["instruction", "plain"] | None = None
    """``plain``: a model reads the input and nothing else, as translation models do; ``instruction``: it is told what
    to do. Left out: plain for models made from scratch, instruction for the others."""
    input_limit: int | None = Field(None, gt=0)
    """Longest input in tokens; the model's own limit where left out."""


class Keep(Section):
    """An ability that must survive adapting."""

    data: str
    """Rows of running text: a column ``text``, or the only column of texts. At most 60 are read."""
    metric: str = "bits_per_byte"
    worsen_at_most: float = Field(ge=0)
    """How much worse than by its base a text may be found, in the metric's units; held with 95 % confidence. An
    attempt that may lose more is not kept."""


class Candidate(Section):
    """A model to try: a folder, a hub name, ``scratch[:FAMILY[:SIZE]]``, or a name behind an OpenAI-compatible API."""

    model: str = Field(min_length=1)
    revision: str | None = None
    api: str | None = Field(None, pattern=r"^https?://\S+$")
    """Base address of an OpenAI-compatible API."""
    key_env: str | None = None
    """Environment variable that holds the API key."""
    price_in: float | None = Field(None, ge=0)
    """Money per prompt token."""
    price_out: float | None = Field(None, ge=0)


class Budget(Section):
    """What adapting may take; interrupted time counts."""

    time: Seconds | None = Field(None, gt=0)
    money: Money | None = Field(None, ge=0)


class Limits(Section):
    """What ships must keep to."""

    memory: Bytes | None = Field(None, gt=0)
    latency_p95: Seconds | None = Field(None, gt=0)


class Traffic(Section):
    """What will be asked of the release."""

    requests_per_month: float = Field(gt=0)
    months: float = Field(12, gt=0)


def _as_candidate(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


class Project(Section):
    """The whole project file."""

    name: str = "project"
    seed: int = Field(0, ge=0, lt=2**32)
    language: str | None = Field(None, pattern=r"^[a-z]{2,3}$")
    """Language of the data (ISO 639-1); guessed where left out."""
    use: Literal["commercial", "research"] = "research"
    """Which licences are acceptable."""
    tasks: tuple[Task, ...] = Field(min_length=1)
    keep: tuple[Keep, ...] = ()
    candidates: tuple[
        Annotated[Candidate, BeforeValidator(_as_candidate, json_schema_input_type=str | Candidate)], ...
    ] = ()
    rungs: tuple[str, ...] | None = Field(None, min_length=1)
    """The rungs that may be tried; all that apply where left out."""
    metrics: Names = ()
    """Python files with metrics of your own: functions marked with ``@escalade.metric``. They are run as they are."""
    budget: Budget = Budget()
    limits: Limits = Limits()
    traffic: Traffic | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> Project:
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise PydanticCustomError("same_name", "two tasks have one name", {"name": twice})
        return self


class _TwiceError(Exception):
    def __init__(self, key: object, line: int) -> None:
        self.key, self.line = key, line


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys differ."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise _TwiceError(key.value, key.start_mark.line + 1)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(path: Path) -> Project:
    """Reads a project file.

    Args:
        path: The file, or the folder that holds ``escalade.yaml``.

    Raises:
        BadInput: The file is missing, is not YAML, or says something that no project may say.
    """
    file = path / FILE if path.is_dir() else path
    try:
        content = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput("project.missing", place=file) from None
    except UnicodeDecodeError as error:
        raise BadInput("project.not_utf8", place=file, position=error.start) from None
    try:
        said = yaml.load(content, _Loader)
    except _TwiceError as error:
        raise BadInput("project.key_twice", place=f"{file}, line {error.line}", key=error.key) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}, line {mark.line + 1}" if mark else file
        raise BadInput("project.not_yaml", place=place, problem=getattr(error, "problem", error)) from None
    if not isinstance(said, dict):
        raise BadInput("project.not_mapping", place=file)
    return parse(said, place=str(file))


def parse(said: dict[str, Any], place: str = "project") -> Project:
    """Checks what a project file says; ``place`` is named in errors."""
    try:
        return Project.model_validate(said)
    except ValidationError as error:
        raise explained(error, Project, place) from None


def schema() -> dict[str, Any]:
    """JSON schema of the project file."""
    return Project.model_json_schema() | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
