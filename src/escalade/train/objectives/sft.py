"""Supervised fine-tuning: the completion of a rendered prompt (Ouyang et al. 2022, section 3.5)."""

from __future__ import annotations

from collections.abc import Sequence

from escalade.models.encoding import cut_prompt, encode_completion, encode_prompt
from escalade.protocols import Batch, Row
from escalade.records import Pair, Record, input_text, output_text
from escalade.train.objectives.token import TokenObjective


class Sft(TokenObjective):
    """Reads ``Pair(input=rendered prompt, output=completion)``; learns the completion and the end token only.

    Args (of ``TokenObjective``): ``tokenizer``, ``family`` (decoder or encoder-decoder), ``context``.

    Where prompt and completion do not fit a decoder's context together, the prompt gives way first (its beginning; see
    ``cut_prompt``) down to a quarter of the context, then the completion's end does, and with it the end token: a model
    must not learn to stop where a text was cut.
    """

    def encode(self, record: Record) -> Row | None:
        """Prompt (role 0) and completion (role 1) in ``ids``; of an encoder-decoder, the completion in ``target``."""
        prompt_text, completion_text = self._texts(record)
        prompt = encode_prompt(self.tokenizer, self.family, prompt_text, self.context)
        completion = encode_completion(self.tokenizer, completion_text)
        if not prompt or not completion_text:
            return None
        prompt, completion, was_cut = self.fit(prompt, completion)
        if was_cut:
            self.cut.append(record.id)
        if self.family == "encoder-decoder":
            return Row(record.id, tuple(prompt), target=tuple(completion))
        return Row(record.id, (*prompt, *completion), roles=(0,) * len(prompt) + (1,) * len(completion))

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """Labels are the completions' tokens."""
        if self.family == "encoder-decoder":
            return self.paired([row.ids for row in rows], [row.target for row in rows])
        return self.causal(rows)

    def fit(self, prompt: list[int], completion: list[int]) -> tuple[list[int], list[int], bool]:
        """Prompt and completion cut to the context, and whether anything was cut."""
        if self.family == "encoder-decoder":
            short = cut_prompt(self.tokenizer, self.family, prompt, self.context), completion[: self.context]
        else:
            least = min(len(prompt), max(1, self.context // 4))
            answer = completion[: self.context - least]
            short = cut_prompt(self.tokenizer, self.family, prompt, self.context - len(answer)), answer
        return *short, len(short[0]) + len(short[1]) < len(prompt) + len(completion)

    def _texts(self, record: Record) -> tuple[str, str]:
        match record:
            case Pair(input=prompt, output=completion):
                return prompt, completion
            case _:
                return input_text(record), output_text(record)
