"""One run: what a stage was given, what it gave, and what it took."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from escalade.values import Value, digest_of

FORMAT = 1
WATCHED = ("torch", "transformers", "tokenizers")
"""Packages whose major.minor a result may depend on."""


class Measured(Value):
    """What a run took; not part of its identity."""

    seconds: float
    peak_bytes: float | None = None


class Run(Value):
    """An immutable record. ``seal`` is the digest of all the other fields, so that any edit is found."""

    format: int = FORMAT
    id: str
    stage: str
    version: int
    inputs: dict[str, Any]
    output: dict[str, Any]
    output_digest: str
    artifacts: tuple[str, ...]
    parents: tuple[str, ...]
    packages: dict[str, str]
    started: str
    measured: Measured
    seal: str = ""

    def sealed(self) -> Run:
        """The same record with its seal set."""
        return self.model_copy(update={"seal": self._seal()})

    def faults(self) -> list[str]:
        """What no longer agrees: ``identity``, ``output``, ``seal``."""
        checks = {
            "identity": self.id == identity(self.stage, self.version, self.inputs),
            "output": self.output_digest == digest_of(self.output),
            "seal": self.seal == self._seal(),
        }
        return [name for name, agrees in checks.items() if not agrees]

    @property
    def stale(self) -> bool:
        """True where a watched package has another major.minor now than when this was recorded."""
        return any(_minor(self.packages.get(name, "")) != _minor(v) for name, v in packages().items())

    def _seal(self) -> str:
        said = self.to_json()
        said.pop("seal")
        return digest_of(said)


def identity(stage: str, version: int, inputs: dict[str, Any]) -> str:
    """A run's id: the digest of its stage's name, version and inputs."""
    return digest_of({"stage": stage, "version": version, "inputs": inputs})


@cache
def packages() -> dict[str, str]:
    """Installed versions of the watched packages, read without importing them."""
    found = {}
    for name in WATCHED:
        try:
            found[name] = version(name).split("+")[0]
        except PackageNotFoundError:
            continue
    return found


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
