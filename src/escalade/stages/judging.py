"""A judge behind an OpenAI-compatible API: asked once for each prompt, its replies kept."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from escalade.errors import BadInput
from escalade.protocols import Sampling
from escalade.stages.workspace import Workspace

_REPLY = Sampling(max_tokens=1024, temperature=0.0)
"""Room for a reason of a few sentences; models that think aloud need more than the line with the verdict."""


class ApiJudge:
    """Asks at temperature 0, a few requests at a time.

    Args:
        space: Who is told what leaves this machine, and when to stop.
        api: Base address.
        model: The model's id there.
        key_env: Environment variable that holds the key; none where empty.
        kept: Where replies are kept, so that an interrupted evaluation asks nothing twice; nowhere where None.

    Raises:
        BadInput: The address is no address, or the variable is not set.
    """

    def __init__(self, space: Workspace, api: str, model: str, key_env: str = "", kept: Path | None = None) -> None:
        from escalade.generate.remote import RemoteSampler

        check_judge(api, model, key_env)
        self.name, self._api, self._space, self._kept = model, api, space, kept
        self.unread: list[tuple[str, str]] = []
        """Rows whose reply held nothing clear, each with the reply."""
        self._known = dict(_read(kept)) if kept else {}
        self._sampler: Any = RemoteSampler(api, model, os.environ.get(key_env) if key_env else None)

    def ask(self, ids: Sequence[str], prompts: Sequence[str]) -> list[str]:
        """A reply per prompt, in order."""
        new = {prompt: id for id, prompt in zip(ids, prompts, strict=True) if prompt not in self._known}
        if new:
            self._space.reporter.say("stages.judge_leaves", count=len(new), model=self.name, api=self._api)
        replies = self._sampler.generate(list(new), _REPLY)
        for done, ((prompt, id), reply) in enumerate(zip(new.items(), replies, strict=True), start=1):
            self._known[prompt] = reply.text
            self._keep(id, prompt, reply.text)
            self._space.reporter.progress(self.name, done, len(new))
            self._space.check()
        return [self._known[prompt] for prompt in prompts]

    def unclear(self, id: str, reply: str) -> None:
        """Takes note of a reply that nothing could be read from."""
        self.unread.append((id, reply))

    def _keep(self, id: str, prompt: str, reply: str) -> None:
        if self._kept:
            with self._kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"id": id, "prompt": prompt, "reply": reply}, ensure_ascii=False) + "\n")


def check_judge(api: str, model: str, key_env: str = "") -> None:
    """What can be known of a judge before anything is asked.

    Raises:
        BadInput: The address is no address, or the variable of the key is not set.
    """
    if not api.startswith(("http://", "https://")):
        raise BadInput("generate.api_address", place=api)
    if key_env and key_env not in os.environ:
        raise BadInput("stages.api_needs_key", place=model, key_env=key_env)


def _read(kept: Path) -> list[tuple[str, str]]:
    """Prompts and replies of a file; a last line that was cut short is no reply."""
    found = []
    for line in kept.read_text(encoding="utf-8").split("\n") if kept.exists() else ():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        found.append((said["prompt"], said["reply"]))
    return found
