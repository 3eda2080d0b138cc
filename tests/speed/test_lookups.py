"""Drafters that look tokens up are known under each engine's name for them: that they find nothing is no fault."""

import pytest

from sdtrace.speed.finding import looks_up


@pytest.mark.parametrize("method", ["ngram", "NGRAM", "ngram_gpu", "ngram-simple", "suffix", "lookup", "prompt_lookup"])
def test_a_lookup(method: str) -> None:
    assert looks_up(method)


@pytest.mark.parametrize("method", [None, "", "draft_model", "eagle3", "mtp", "other"])
def test_none(method: str | None) -> None:
    assert not looks_up(method)
