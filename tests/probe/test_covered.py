"""What a verdict rests on once an engine scored its tokens: the sentence is made anew from values, never searched."""

from typing import Any, cast

import pytest

from sdtrace.probe import scored
from sdtrace.replay.engine.client import Engine
from sdtrace.replay.engine.run import EngineReplay
from sdtrace.replay.engine.score import Scores
from sdtrace.results.headline import Coverage, Headline

BASE: Coverage = {"speed": "judged", "acceptance": "judged", "correctness": "not-judged", "metrics": "judged"}
LITTLE: Coverage = BASE | {"correctness": "too-little"}
UNSURE: Coverage = {"acceptance": "judged", "correctness": "not-judged"}


@pytest.mark.parametrize(
    ("before", "headline", "told"),
    [
        (BASE, Headline("2.00 tokens; ", BASE), "2.00 tokens; speed, acceptance and correctness judged"),
        # the sentence leaves speed out
        (BASE, Headline("only times can tell; ", UNSURE), "only times can tell; acceptance and correctness judged"),
        # it said how little there was
        (LITTLE, Headline("2.00; ", LITTLE, "tokens: 8 sampled"), "2.00; speed, acceptance and correctness judged"),
        # a name that reads like the words is none of them
        (BASE, Headline("'correctness not checked'; ", BASE), "'correctness not checked'; speed, acceptance and correctness judged"),
        (BASE, Headline("8 of 9 lines were lost"), "8 of 9 lines were lost"),
    ],
)  # fmt: skip
def test_the_words_of_coverage_follow_from_it(
    before: Coverage, headline: Headline, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scored, "agrees", lambda *_args, **_more: "each token is the engine's own")
    engine = cast("Engine", None)
    replayed = EngineReplay("http://host", engine, Scores(), 1, Scores().left_out)
    verdict: dict[str, Any] = {"state": "healthy", "headline": headline.text, "coverage": before}
    found = scored.covered(verdict, headline, replayed)
    assert found["headline"] == told
    assert found["coverage"] == before | {"correctness": "judged"}
    assert scored.covered(verdict, headline, None) == verdict
    assert scored.covered(verdict, None, replayed)["headline"] == headline.text
