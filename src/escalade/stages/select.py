"""select: which bases are worth trying, pinned by content, and why the others are not."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from escalade.catalogue.bases import KNOWN, licence_allows
from escalade.catalogue.situation import SCRATCH_PARAMETERS
from escalade.errors import BadInput
from escalade.ledger import Bench, Run
from escalade.models import describe, hub
from escalade.project import Candidate, Limits
from escalade.stages.workspace import Workspace
from escalade.values import Base, Facts, Family, Refused, Shortlist, digest_of

VERSION = 1
_FAMILIES: dict[str, tuple[Family, ...]] = {
    "classification": ("encoder", "decoder", "encoder-decoder"),
    "relation-extraction": ("encoder", "decoder", "encoder-decoder"),
    "token-classification": ("encoder", "decoder", "encoder-decoder"),
    "embedding": ("encoder",),
}
_TEXT_FAMILIES: tuple[Family, ...] = ("encoder-decoder", "decoder")


def families_for(kind: str) -> tuple[Family, ...]:
    """The families that can do a kind, the most natural one first."""
    if kind in ("generation", "chat"):
        return tuple(reversed(_TEXT_FAMILIES))
    return _FAMILIES.get(kind, _TEXT_FAMILIES)


def pin(space: Workspace, candidate: Candidate, facts: Facts) -> Base:
    """A candidate as a base whose identity is its content; remembers where its weights lie.

    Raises:
        BadInput: There is no such model, or it cannot be used safely.
    """
    name = candidate.model
    if candidate.api:
        return _pin_api(candidate)
    if name == "scratch" or name.startswith("scratch:"):
        return _pin_scratch(name, facts)
    folder, source = find(space.root, name, candidate.revision)
    base = describe.describe(folder).model_copy(update={"name": _short(name), "source": source})
    if base.digest is not None:
        space.locations[base.digest] = folder
    return base.model_copy(update={"revision": candidate.revision})


def pin_all(space: Workspace, candidates: Sequence[Candidate], facts: Facts) -> list[Base]:
    """Every candidate pinned; with none named, the known small models that are on this machine already."""
    if candidates:
        bases = _named_apart([pin(space, candidate, facts) for candidate in candidates])
        for base in bases:
            if base.api is not None:
                space.reporter.say("stages.api_leaves", name=base.name, api=base.api)
        return bases
    found = []
    for known in KNOWN:
        if (folder := hub.on_this_machine(known)) is not None:
            found.append(pin(space, Candidate(model=str(folder)), facts).model_copy(update={"name": known}))
    suited = [base for base in found if base.family in families_for(facts.kind)]
    if not suited:
        space.reporter.say("stages.no_candidate")
    return suited


def _named_apart(bases: Sequence[Base]) -> list[Base]:
    """Each base once; two that share a name get the start of their digest behind it."""
    once = list({digest_of(base.to_json()): base for base in bases}.values())
    names = [base.name for base in once]
    return [
        base if names.count(base.name) == 1 else base.model_copy(update={"name": f"{base.name}@{mark(base)}"})
        for base in once
    ]


def mark(base: Base) -> str:
    """Eight letters that tell a base from others of its name."""
    return (base.digest or digest_of(base.to_json())).removeprefix("b2:")[:8]


def select(
    space: Workspace, bases: Sequence[Base], facts: Facts, limits: Limits, use: str, parent: Run
) -> tuple[Shortlist, Run]:
    """The bases that suit the kind, the licence and the limits; the rest with the reason."""

    def work(bench: Bench) -> Shortlist:
        refusals = {base.name: _refusal(base, facts, limits, use) for base in bases}
        taken = tuple(base for base in bases if refusals[base.name] is None)
        refused = tuple(reason for reason in refusals.values() if reason is not None)
        return Shortlist(bases=taken, refused=refused)

    inputs = {
        "facts": facts,
        "bases": digest_of([base.to_json() for base in bases]),
        "limits": digest_of(limits.model_dump(mode="json")),
        "use": use,
    }
    run = space.ledger.perform("select", VERSION, inputs, work, parents=[parent])
    return Shortlist.model_validate_json(json.dumps(run.output)), run


def _refusal(base: Base, facts: Facts, limits: Limits, use: str) -> Refused | None:
    if base.family not in families_for(facts.kind):
        said: dict[str, bool | int | float | str | None] = {"family": base.family, "kind": facts.kind}
        return Refused(name=base.name, key="stages.family_unsuited", facts=said)
    on_disk = base.source in ("folder", "hub")
    if use == "commercial" and on_disk and not licence_allows(base.license or ""):
        key = "stages.licence" if base.license else "stages.licence_unknown"
        return Refused(name=base.name, key=key, facts={"licence": base.license})
    needs = 4.4 * (base.parameters or 0) + 0.6e9
    if limits.memory is not None and base.source != "api" and needs > limits.memory:
        facts_ = {"needs": needs / 1e9, "limit": limits.memory / 1e9}
        return Refused(name=base.name, key="stages.too_large", facts=dict(facts_))
    return None


def _pin_api(candidate: Candidate) -> Base:
    if candidate.key_env and candidate.key_env not in os.environ:
        raise BadInput("stages.api_needs_key", place=candidate.model, key_env=candidate.key_env)
    return Base(
        name=candidate.model,
        family="decoder",
        source="api",
        revision=candidate.revision,
        api=candidate.api,
        key_env=candidate.key_env,
    )


def _pin_scratch(name: str, facts: Facts) -> Base:
    """``scratch[:FAMILY[:SIZE]]`` as a base: its digest is the recipe's."""
    _, family, size = (name.split(":") + ["", ""])[:3]
    family = family or families_for(facts.kind)[0]
    size = size or "tiny"
    named = family in ("encoder", "decoder", "encoder-decoder") and name.count(":") <= 2
    if not named or not is_size(size):
        raise BadInput("stages.scratch_form", place=name, name=name)
    count = SCRATCH_PARAMETERS.get(size) or float(size.rstrip("M")) * 1e6
    if not 1e4 <= count <= 2e9:
        raise BadInput("stages.scratch_size", place=name, size=size)
    full = f"scratch:{family}:{size}"
    return Base(name=full, family=family, source="scratch", digest=digest_of(full), parameters=int(count))  # type: ignore[arg-type]


def is_size(size: str) -> bool:
    """Whether a network made from scratch can have this size: one of the named ones, or a count such as ``5M``."""
    return size in SCRATCH_PARAMETERS or re.fullmatch(r"\d+(\.\d+)?M", size) is not None


def find(root: Path, name: str, revision: str | None) -> tuple[Path, str]:
    """The folder of a model, and where it came from: a folder beside the project or from here, or the hub.

    Raises:
        BadInput: There is no such model, or the hub cannot be reached.
    """
    # Normalised by name: `../model` must be found although the project's own folder is not there yet.
    for folder in (Path(os.path.normpath(root / name)), Path(name).expanduser()):
        if folder.is_dir():
            return folder.resolve(), "folder"
    if (folder_ := hub.on_this_machine(name, revision)) is not None:
        return folder_, "hub"
    return hub.fetch(name, revision), "hub"


def _short(name: str) -> str:
    """The last two parts of a path, or the name as it is."""
    parts = Path(name).parts
    return name if len(parts) <= 2 and not name.startswith((".", "/", "~")) else "/".join(parts[-2:]).lstrip("/")
