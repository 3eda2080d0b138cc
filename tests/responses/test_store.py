"""Sums over responses that were kept are those that were made, and add up."""

from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from sdtrace.responses import store
from sdtrace.responses.readings import readings
from sdtrace.responses.texts import Texts, merged
from tests.made.responses import table, texts


def test_parts_of_a_night_add_up(tmp_path: Path) -> None:
    whole, parts = Texts(), []
    for n in range(3):
        frame = table(vocab=200, responses=6, seed=n, fault="text-stale" if n == 2 else "text-healthy")
        whole.add(frame)
        part = Texts()
        part.add(frame)
        (tmp_path / str(n)).mkdir()
        store.save(part, tmp_path / str(n))
        parts.append(store.load(tmp_path / str(n)))
    total = merged(parts)
    assert total.sums is not None
    assert whole.sums is not None
    assert_frame_equal(total.sums.sort("code", "basis", "variant"), whole.sums.sort("code", "basis", "variant"))
    assert [one.wrong for one in readings(total)] == [True]
    assert total.witnesses["rest"][0]["size"] == whole.witnesses["rest"][0]["size"]


def test_nothing_is_kept_of_nothing(tmp_path: Path) -> None:
    store.save(Texts(), tmp_path)
    assert not list(tmp_path.iterdir())
    assert store.load(tmp_path) == Texts()


def test_temperature_zero_and_identities_too(tmp_path: Path) -> None:
    made = texts(vocab=200, responses=4, temperature=0.0, fault="text-second")
    store.save(made, tmp_path)
    found = store.load(tmp_path)
    for name in ("greedy", "identity"):
        one, other = getattr(found, name), getattr(made, name)
        assert isinstance(one, pl.DataFrame)
        assert_frame_equal(one, other)


def test_what_a_stream_was_called_before_is_told_apart(tmp_path: Path) -> None:
    made = texts(vocab=200, responses=4)
    store.save(made, tmp_path)
    old = pl.DataFrame(
        {
            "stream": [
                "mt19937, drafts verified by match, at temperature 1",
                "sglang-coins, 3 drafted, drafts in a chain",
                "vllm-v2",
            ]
        }
    )
    old.write_parquet(tmp_path / "texts-seeds.parquet")
    found = store.load(tmp_path).seeds
    assert found is not None
    assert found.rows() == [
        ("mt19937", "drafts verified by match", True),
        ("sglang-coins, 3 drafted", "drafts in a chain", False),
        ("vllm-v2", None, False),
    ]
