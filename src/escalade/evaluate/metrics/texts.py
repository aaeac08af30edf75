"""What metrics of texts share: references, their script, and means over items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from escalade.evaluate.corpus import references_of
from escalade.evaluate.metric import Matrix, Ratio, Setting, means
from escalade.evaluate.script import Style, splitter, style_of
from escalade.protocols import Prediction
from escalade.records import Record


class MeanOverItems(Ratio, ABC):
    """Base of metrics that compare one text with its references and are averaged. Statistics: (score, 1).

    Of several references the nearest counts. An empty answer scores 0.
    """

    name: str
    describes: str
    """The signature without the tokenizer."""

    def __init__(self, setting: Setting) -> None:
        self.style = style_in(setting)
        self.words = splitter(self.style)
        self.signature = f"{self.describes}|tok:{self.style}|case:lower"

    @abstractmethod
    def similarity(self, answer: str, reference: str) -> float:
        """How near the answer comes to one reference, 0 to 1."""

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2)."""
        return means(
            [
                self.best(prediction.text or "", references_of(record))
                for prediction, record in zip(predictions, records, strict=True)
            ]
        )

    def best(self, answer: str, references: tuple[str, ...]) -> float:
        """The score against the nearest reference."""
        if not answer.strip():
            return 0.0
        return max(self.similarity(answer, reference) for reference in references)


def style_in(setting: Setting) -> Style:
    """How the texts of a setting are split, by the script of its references; told once where a corpus is shared."""

    def told() -> Style:
        texts = (text for record in setting.records for text in references_of(record))
        return style_of(texts, setting.facts.language)

    return setting.corpus.once(("style", setting.facts.language), told) if setting.corpus else told()


def f1(shared: int, found: int, wanted: int) -> float:
    """Harmonic mean of ``shared / found`` and ``shared / wanted``; 0 where nothing is shared."""
    return 2 * shared / (found + wanted) if shared else 0.0
