"""What was forgotten, as the page shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_samples import EVIL, attempt, document, project, task
from test_page import harmless

from escalade import messages
from escalade.document import AttemptDocument, ChangeDocument, ForgettingDocument, KeepDocument
from escalade.ledger import Ledger
from escalade.report import write_report
from escalade.values import Divergence, Refused

KL = Divergence(
    value=0.4321, lower=0.4011, upper=0.4999, confidence=0.95, tokens=1234, n=64, clusters=60, seed=0, signature="KL"
)
NO_KL = Refused(name="tiny", key="rungs.forgetting_encoder")
NO_HEAD = Refused(name="tiny", key="rungs.forgetting_no_head")
LATE = Refused(name="tiny", key="climb.forgetting_late")


def change(source: str, difference: float) -> ChangeDocument:
    return ChangeDocument(
        source=source, metric="bits_per_byte", base=1.2345, adapted=1.2345 + difference, difference=difference,
        lower=difference - 0.0111, upper=difference + 0.0222, bound=difference + 0.0187, confidence=0.95, n=59,
        clusters=31, signature="nll:whole text|windows:512",
    )  # fmt: skip


def forgot(
    general: ChangeDocument | None,
    divergence: Divergence | None = KL,
    reason: Refused | None = None,
    keep: tuple[KeepDocument, ...] = (),
) -> ForgettingDocument:
    return ForgettingDocument(
        general=general, reason=reason, divergence=divergence, no_divergence=None if divergence else NO_KL, keep=keep
    )


def page(root: Path, *found: ForgettingDocument | None) -> str:
    attempts: list[AttemptDocument] = [
        attempt(f"b2:{i}", "full", f"tiny-{i}", 0.8, 5.0, "decoder").model_copy(update={"forgetting": one})
        for i, one in enumerate(found)
    ]
    shown = document(task(attempts, "b2:0"), attempts=attempts)
    write_report(root, shown, Ledger(root / ".escalade"), project())
    return (root / "report.html").read_text("utf-8")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_number_is_shown(tmp_path: Path, language: str) -> None:
    messages.use(language)
    keep = KeepDocument(source="own.txt", worsen_at_most=0.0123, change=change("own.txt", 0.0456), broken=True)
    holds = KeepDocument(source="other.txt", worsen_at_most=0.9, change=change("other.txt", -0.0321), broken=False)
    text = " ".join(harmless(page(tmp_path, forgot(change("docs", 0.0789)), forgot(None, keep=(keep, holds)))).text)
    for number in ("1.2345", "1.3134", "+0.0789", "[+0.0678, +0.1011]", "59", "31", "0.4321", "[0.4011, 0.4999]"):
        assert number in text, number
    for number in ("1,234", "64", "+0.0643", "+0.0123", "−0.0321", "own.txt", "other.txt", "nll:whole text"):
        assert number in text, number
    words = ("broken", "holds") if language == "en" else ("违反", "满足")
    assert all(word in text for word in words)


def test_what_is_not_there_says_why(tmp_path: Path) -> None:
    unmeasured = KeepDocument(source="own.txt", worsen_at_most=0.1, change=None, broken=None)
    text = " ".join(
        harmless(page(tmp_path, forgot(None, None, NO_HEAD), forgot(None, None, LATE, keep=(unmeasured,)))).text
    )
    assert NO_HEAD.reason in text and NO_KL.reason in text and LATE.reason in text and "not measured" in text


def test_nothing_is_shown_where_no_pretrained_base_was_changed(tmp_path: Path) -> None:
    assert messages.text("report.forgetting_caption") not in page(tmp_path, None, None)


def test_sources_are_escaped(tmp_path: Path) -> None:
    keep = KeepDocument(source=EVIL, worsen_at_most=0.1, change=change(EVIL, 0.2), broken=True)
    harmless(page(tmp_path, forgot(change(EVIL, 0.2)), forgot(None, keep=(keep,))))
