"""From a record to the text a model reads: one way for training, prompting, grading and serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from escalade.data import Template, render_output, render_prompt
from escalade.records import Chat, Message, Pair, Record


@dataclass(frozen=True)
class Prompter:
    """Renders prompts with a template, its demonstrations, and the model's own chat template where it has one.

    Args:
        template: The task's template.
        demonstrations: Records shown before the question.
        tokenizer: The model's tokenizer; None for a remote model, which applies its own chat template.
    """

    template: Template
    demonstrations: Sequence[Record] = ()
    tokenizer: Any = None

    def prompt(self, record: Record) -> str:
        """The whole text before the answer."""
        if isinstance(record, Chat) and self._has_chat_template():
            return self._chat(record.messages[:-1])
        return self.wrap(render_prompt(record, self.template, self.demonstrations))

    def wrap(self, text: str) -> str:
        """A rendered question inside the model's chat template, where it has one."""
        return self._chat([Message("user", text)]) if self._has_chat_template() else text

    def pair(self, record: Record) -> Pair:
        """The record as prompt and answer."""
        return Pair(id=record.id, input=self.prompt(record), output=render_output(record), group=record.group)

    def _has_chat_template(self) -> bool:
        return bool(getattr(self.tokenizer, "chat_template", None))

    def _chat(self, messages: Sequence[Message]) -> str:
        turns = [{"role": m.role, "content": m.content} for m in messages]
        text: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return text
