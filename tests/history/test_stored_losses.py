"""Losses of a state that was written before they had a kind."""

import pytest

from sdtrace.history.audit_store import _loss


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("duplicate of request 'a', step 3", "repeated"),
        ("duplicate of request 'a', step 3, in another input", "repeated"),
        ("step is missing", "ordinary"),
    ],
)
def test_a_repeated_step_of_an_older_state_is_still_one(what: str, kind: str) -> None:
    saved = {"path": "f", "line": 3, "what": what, "count": 2, "advice": ""}
    assert _loss(saved).kind == kind
    assert _loss(saved | {"kind": "unreadable"}).kind == "unreadable"
