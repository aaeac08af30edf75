"""What is wrong with a file that a person wrote: pydantic's errors as sentences with place, cause and cure."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError

from escalade.errors import BadInput

_KEYS = {
    "not_a_time": "project.not_a_time",
    "not_a_size": "project.not_a_size",
    "not_money": "project.not_money",
    "one_bound": "project.one_bound",
    "same_name": "project.same_name",
    "tuple_type": "project.need_list",
    "too_short": "project.need_one",
    "string_type": "project.need_text",
    "string_pattern_mismatch": "project.bad_name",
    "string_too_short": "project.empty_text",
    "int_from_float": "project.need_whole",
    "int_parsing": "project.need_whole",
    "int_type": "project.need_whole",
    "float_parsing": "project.need_number",
    "float_type": "project.need_number",
    "finite_number": "project.need_number",
    "greater_than": "project.more_than",
    "greater_than_equal": "project.at_least",
    "less_than": "project.less_than",
    "less_than_equal": "project.at_most",
    "invalid_key": "project.key_not_text",
}
"""The message of each kind of mistake; those of pydantic are written for programmers."""
_FORMS = {"language": "project.not_a_language", "api": "project.not_an_address"}
"""The message of keys whose text must have a form of its own."""


def explained(error: ValidationError, section: type[BaseModel], place: str) -> BadInput:
    """The most telling of a file's mistakes.

    Args:
        error: What validating found.
        section: The class of the whole file, whose keys are suggested.
        place: Names the file.
    """
    return _sentence(_most_telling(error.errors(include_url=False), section), section, place)


def _most_telling(problems: list[Any], section: Any) -> Any:
    """A misspelt key rather than the key that is missed because of it."""
    misspelt = [p for p in problems if p["type"] == "extra_forbidden" and _close(p["loc"], section)]
    return (misspelt or problems)[0]


def _close(steps: Sequence[Any], section: Any) -> str | None:
    """The known key that is nearest to the unknown one at the end of ``steps``."""
    near = difflib.get_close_matches(str(steps[-1]), _keys_at(steps[:-1], section), n=1, cutoff=0.5)
    return near[0] if near else None


def _sentence(problem: Any, section: Any, place: str) -> BadInput:
    """One pydantic error with its place in the file."""
    steps = [step for step in problem["loc"] if not str(step).startswith(("function-", "literal[", "constrained-"))]
    where = f"{place}, {_key_path(steps)}" if steps else place
    kind, given, context = problem["type"], problem["input"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        if close := _close(steps, section):
            return BadInput("project.unknown_key_close", place=where, key=steps[-1], close=close)
        return BadInput(
            "project.unknown_key", place=where, key=steps[-1], known=", ".join(_keys_at(steps[:-1], section))
        )
    if kind == "missing":
        return BadInput("project.key_needed", place=where, key=steps[-1])
    if "literal['auto']" in problem["loc"]:
        return BadInput("project.not_a_share", place=where, given=given)
    if kind == "literal_error":
        return _not_a_choice(where, given, context["expected"])
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return BadInput("project.need_section", place=where, known=", ".join(_keys_at(steps, section)))
    if kind == "string_pattern_mismatch" and steps[-1] in _FORMS:
        return BadInput(_FORMS[str(steps[-1])], place=where, given=given)
    if key := _KEYS.get(kind):
        limit = next((context[name] for name in ("gt", "ge", "lt", "le") if name in context), None)
        return BadInput(key, place=where, given=given, limit=limit, name=context.get("name"))
    return BadInput("project.wrong", place=where, problem=problem["msg"])


def _not_a_choice(where: str, given: object, expected: str) -> BadInput:
    """``expected`` is pydantic's ``'a', 'b' or 'c'``."""
    known = re.findall(r"'([^']+)'", expected)
    if near := difflib.get_close_matches(str(given), known, n=1, cutoff=0.5):
        return BadInput("project.not_a_choice_close", place=where, given=given, close=near[0])
    return BadInput("project.not_a_choice", place=where, given=given, known=", ".join(known))


def _key_path(steps: list[Any]) -> str:
    said = ""
    for step in steps:
        said += f"[{step}]" if isinstance(step, int) else f".{step}" if said else str(step)
    return said


def _keys_at(steps: Sequence[Any], section: Any) -> list[str]:
    """The keys that the section reached from ``section`` by ``steps`` knows."""
    for step in steps:
        if isinstance(step, int):
            continue
        field = section.model_fields.get(step) if _is_section(section) else None
        if field is None:
            break
        section = _section_in(field.annotation)
    return sorted(section.model_fields) if _is_section(section) else []


def _section_in(annotation: Any) -> Any:
    """The Section class inside ``tuple[Annotated[X, ...], ...]``, ``X | None`` and the like."""
    if _is_section(annotation):
        return annotation
    if typing.get_origin(annotation) in (tuple, list, typing.Union, types.UnionType, Annotated):
        for inner in typing.get_args(annotation):
            if found := _section_in(inner):
                return found
    return None


def _is_section(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)
