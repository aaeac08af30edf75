"""Any JSON value has one canonical text and one digest, and survives being recorded."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_cases import Said

from escalade.ledger import Ledger, identity
from escalade.ledger.note import content_of, sealed
from escalade.values import canonical, digest_of

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=80)
@given(JSON)
def test_canonical_text_is_json_of_the_same_value_and_stays_itself(value: Any) -> None:
    said = canonical(value)
    assert json.loads(said) == value and repr(json.loads(said)) == repr(_sorted(value))
    assert canonical(json.loads(said)) == said
    assert digest_of(json.loads(json.dumps(value, indent=3))) == digest_of(value)


@settings(deadline=None, max_examples=80)
@given(JSON, JSON)
def test_digests_differ_where_the_texts_do(one: Any, other: Any) -> None:
    assert (digest_of(one) == digest_of(other)) == (canonical(one) == canonical(other))


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_value_survives_a_record_and_a_note(value: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger")
        run = ledger.perform("s", 1, {"value": value}, lambda bench: Said(text="x"))
        found = Ledger(ledger.root).find(run.id)
        assert found is not None and found.id == identity("s", 1, {"value": value})
        assert canonical(found.inputs["value"]) == canonical(value)
        assert ledger.verify() == []
    assert canonical(content_of(sealed(value), "here")) == canonical(value)


def _sorted(value: Any) -> Any:
    """The value with the keys of its objects in order, as the canonical text has them."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def test_types_that_compare_equal_are_different_values() -> None:
    assert len({digest_of(value) for value in (1, 1.0, True, "1", [1], None, "", 0, 0.0, -0.0, False)}) == 11


def test_half_a_surrogate_pair_has_a_digest_too() -> None:
    assert len({digest_of(text) for text in ("\ud800", "\udc00", "?", "\\ud800")}) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_what_json_cannot_say_has_no_digest(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of(value)
