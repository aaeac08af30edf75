"""Metrics of the user's own: functions or classes in a Python file, marked with ``@escalade.metric``.

::

    import escalade

    @escalade.metric
    def same_length(prediction: str, reference: str) -> float:
        return float(len(prediction) == len(reference))

The file is read and run as it is, without a compiled copy beside it: what its digest says is what was computed.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import re
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from escalade.catalogue.metrics import LABELS, METRICS, TAGS, TEXTS, MetricCard, Own
from escalade.errors import BadInput
from escalade.values import Kind

_MARK = "__escalade_metric__"
_NAME = re.compile(r"[A-Za-z][\w.+-]*")
PARAMETERS = ("prediction", "reference", "references", "input")
"""What a function may ask for, by name."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Marked:
    """What the decorator was told."""

    name: str | None
    rising: bool
    low: float
    high: float
    kinds: Sequence[str] | None


@typing.overload
def metric(function: _T, /) -> _T: ...


@typing.overload
def metric(
    *,
    name: str | None = None,
    rising: bool = True,
    low: float = 0.0,
    high: float = 1.0,
    kinds: Sequence[str] | None = None,
) -> Callable[[_T], _T]: ...


def metric(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    rising: bool = True,
    low: float = 0.0,
    high: float = 1.0,
    kinds: Sequence[str] | None = None,
) -> Any:
    """Marks a function, or a class, as a metric; used as ``@metric`` or ``@metric(name=..., rising=False)``.

    Args:
        function: Gives the value of one row as a number. It is called with those of ``prediction``, ``reference``,
            ``references`` (all of a row) and ``input`` that it names, each a text (labels and tags as text too). Of
            several references the best value counts; the metric is the mean over rows. A class is constructed with a
            ``Setting`` and has ``statistics`` and ``value``, as ``evaluate.Metric`` says.
        name: Of the metric; the function's own where left out.
        rising: True where more is better.
        low: The least value that is possible; bounds rest on it.
        high: The greatest one.
        kinds: Of tasks that it grades; those whose answers are texts where left out.
    """

    def mark(thing: Any) -> Any:
        setattr(thing, _MARK, _Marked(name, rising, float(low), float(high), kinds))
        return thing

    return mark if function is None else mark(function)


def load_own(files: Sequence[str], root: Path, place: str = "metrics") -> tuple[MetricCard, ...]:
    """The cards of all metrics in a user's files.

    Args:
        files: Relative to ``root``.
        root: The project's folder.
        place: Where the files were named.

    Raises:
        BadInput: A file is not there, cannot be run or marks no metric, or a metric in it is none: its name is taken
            or cannot be a name, its range, kinds or parameters make no sense, or a class lacks ``statistics``.
    """
    found: dict[str, MetricCard] = {}
    for number, said in enumerate(files):
        for card in _cards_of(said, root / said, f"{place}[{number}]"):
            if card.name in METRICS or card.name in found:
                raise BadInput("evaluate.own_clash", place=said, name=card.name)
            found[card.name] = card
    return tuple(found.values())


def _cards_of(said: str, path: Path, place: str) -> Iterator[MetricCard]:
    try:
        source = path.read_bytes()
    except OSError:
        raise BadInput("evaluate.own_missing", place=place, file=said) from None
    digest = hashlib.blake2b(source, digest_size=16).hexdigest()
    module = _run(said, path, source, digest)
    marked = {
        id(thing): thing
        for thing in vars(module).values()
        if isinstance(vars(thing).get(_MARK) if hasattr(thing, "__dict__") else None, _Marked)
    }
    if not marked:
        raise BadInput("evaluate.own_none", place=said)
    for thing in marked.values():
        yield _card(said, thing, Own(thing, said, digest))


def _run(said: str, path: Path, source: bytes, digest: str) -> types.ModuleType:
    """The file as a module."""
    module = types.ModuleType(f"escalade_own_{digest}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and the like look their module up
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise BadInput("evaluate.own_import", place=f"{said}, line {error.lineno}", problem=error.msg) from error
    except (Exception, SystemExit) as error:  # whatever a user's code raises, it cannot be used
        raise BadInput("evaluate.own_import", place=place_in(said, path, error), problem=told(error)) from error
    return module


def place_in(said: str, path: object, error: BaseException) -> str:
    """The line of the user's file that an error came from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{said}, line {lines[-1]}" if lines else said


def told(error: BaseException) -> str:
    """An error's kind and its first line."""
    said = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _card(said: str, thing: Any, own: Own) -> MetricCard:
    mark: _Marked = getattr(thing, _MARK)
    name = str(mark.name or getattr(thing, "__name__", ""))
    place = f"{said}, {name}"
    if not _NAME.fullmatch(name):
        raise BadInput("evaluate.own_name", place=said, name=name)
    if not (math.isfinite(mark.low) and math.isfinite(mark.high) and mark.low < mark.high):
        raise BadInput("evaluate.own_range", place=place, low=mark.low, high=mark.high)
    _check_form(place, thing)
    what = str(inspect.getdoc(thing) or name).splitlines()[0]
    return MetricCard(
        name=name,
        what=what,
        kinds=_kinds(place, mark.kinds),
        paper="",
        path="escalade.evaluate.metrics.own:own",
        rising=mark.rising,
        low=mark.low,
        high=mark.high,
        usual=False,
        own=replace(own, takes=() if inspect.isclass(thing) else tuple(inspect.signature(thing).parameters)),
    )


def _check_form(place: str, thing: Any) -> None:
    if inspect.isclass(thing):
        for needed in ("statistics", "value"):
            if not callable(getattr(thing, needed, None)):
                raise BadInput("evaluate.own_class", place=place, needed=needed)
        return
    taken = tuple(inspect.signature(thing).parameters) if callable(thing) else ()
    if "prediction" not in taken or not set(taken) <= set(PARAMETERS):
        raise BadInput(
            "evaluate.own_parameters", place=place, given=", ".join(taken) or "-", known=", ".join(PARAMETERS)
        )


def _kinds(place: str, said: Sequence[str] | None) -> tuple[Kind, ...]:
    if said is None:
        return TEXTS
    known: tuple[Kind, ...] = (*LABELS, *TAGS, *TEXTS)
    given = (said,) if isinstance(said, str) else tuple(said)
    for kind in given:
        if kind not in known:
            raise BadInput("evaluate.own_kind", place=place, kind=kind, known=", ".join(known))
    return tuple(kind for kind in known if kind in given)
