"""What of the replay needs no model: packing, its mask, distances, Kolmogorov's test, samples; and the missing extra."""

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtrace.cli import run
from sdtrace.replay import compare
from sdtrace.replay.contexts import not_rolled_back, stale_entries
from sdtrace.replay.conversation import Conversation, Step
from sdtrace.replay.packing import batches, chunks, pack, places
from sdtrace.schema.run import Run
from sdtrace.schema.trace import schema


@st.composite
def conversations(draw: Any) -> Conversation:
    rng = random.Random(draw(st.integers(0, 2**32)))
    prompt = [rng.randrange(50) for _ in range(rng.randrange(1, 8))]
    tokens, steps = list(prompt), []
    count = draw(st.integers(1, 12))
    for n in range(count):
        drafted = [rng.randrange(50) for _ in range(rng.choice([0, 1, 3, 4]))]
        n_a = rng.randrange(len(drafted) + 1)
        output = [*drafted[:n_a], rng.randrange(50)]
        if n == count - 1 and rng.random() < 0.3:  # a stop id or max_tokens cuts the last block
            output = output[: max(len(output) - 1, 1)]
        steps.append(Step({"step": n}, len(tokens), drafted, output, n_a))
        tokens += output
    return Conversation(Run(), {"run_id": "", "request_id": "r"}, prompt, steps, tokens)


def context(one: Conversation, s: int, j: int) -> list[int]:
    """What p at position j of step s is conditioned on."""
    return one.tokens[: one.steps[s].begin] + one.steps[s].draft[:j]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(conversations())
def test_every_row_sees_its_context_and_nothing_else(one: Conversation) -> None:
    packed = pack(one)
    mask = next(chunks(packed, len(packed) + 1)).mask
    assert set(packed.where) == {(s, j) for s, step in enumerate(one.steps) for j in range(places(step))}
    for (s, j), row in packed.where.items():
        seen = packed.tokens[mask[row]].tolist()
        assert seen == context(one, s, j)
        assert packed.positions[mask[row]].tolist() == list(range(len(seen)))


@settings(max_examples=100, deadline=None)
@given(conversations(), st.integers(1, 9))
def test_chunks_cover_each_token_once_and_see_the_same(one: Conversation, size: int) -> None:
    packed = pack(one)
    whole = next(chunks(packed, len(packed) + 1)).mask
    covered: list[int] = []
    for chunk in chunks(packed, size):
        columns = np.concatenate([np.arange(chunk.cached), chunk.index])
        for k, row in enumerate(chunk.index):
            assert set(columns[chunk.mask[k]]) == set(np.flatnonzero(whole[row]))
        assert chunk.index[: chunk.chain].tolist() == list(range(chunk.cached, chunk.cached + chunk.chain))
        covered += chunk.index.tolist()
    assert sorted(covered) == list(range(len(packed)))


@settings(max_examples=100, deadline=None)
@given(conversations())
def test_a_cache_that_is_not_rolled_back(one: Conversation) -> None:
    counted, stale = not_rolled_back(one), stale_entries(one)
    assert counted.positions.tolist() == list(range(len(counted)))
    for (s, j), row in stale.where.items():
        assert stale.positions[row] == one.steps[s].begin + j - 1, "a stale cache has the right positions"
    if not any(step.rejected for step in one.steps[:-1]):
        # nothing was rejected before the last step: the same contexts as in a sound engine
        for (s, j), row in counted.where.items():
            assert counted.tokens[: row + 1].tolist() == context(one, s, j)


def test_batches_are_bounded() -> None:
    ones = [pack(_long(n)) for n in (3, 30, 4, 5, 200, 31)]
    found = list(batches(ones, 64))
    assert sorted(i for batch in found for i in batch) == list(range(6))
    for batch in found:
        assert len(batch) == 1 or max(len(ones[i]) for i in batch) * len(batch) <= 64


def _long(n: int) -> Conversation:
    return Conversation(Run(), {"run_id": "", "request_id": "r"}, [1], [Step({}, 1, [], [2] * n, 0)], [1] + [2] * n)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([50, 200, 1000]))
def test_uniform_points_are_uniform_and_squares_are_not(seed: int, n: int) -> None:
    u = np.random.default_rng(seed).random(n)
    found = compare.uniformity(u.tolist(), 1)
    assert found is not None
    assert found.p_value > 1e-7
    squared = compare.uniformity((u**2).tolist(), 1)
    assert squared is not None
    assert n < 1000 or squared.p_value < 1e-9


def test_kolmogorov_against_known_values() -> None:
    assert compare.kolmogorov(1.3581) == pytest.approx(0.05, abs=1e-4)
    assert compare.kolmogorov(1.6276) == pytest.approx(0.01, abs=1e-4)
    assert compare.kolmogorov(0.0) == 1.0


@pytest.mark.slow
@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=20), st.sampled_from(["float32", "bfloat16", "decimals:4"]))
def test_rounding_explains_itself(values: list[float], dtype: str) -> None:
    """A probability that was only rounded lies at distance 0 of the model's."""
    p = np.array(values)
    if dtype == "decimals:4":
        rounded = np.round(p, 4)
    else:
        bits = 24 if dtype == "float32" else 8
        mantissa, exponent = np.frexp(p)
        rounded = np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent)
    keys = {"run_id": [""] * len(p), "request_id": ["r"] * len(p), "step": range(len(p)), "position": [0] * len(p)}
    records = pl.DataFrame(keys | {"what": ["drafted"] * len(p), "p": rounded})
    facts = pl.DataFrame(keys | {"log_p": np.log(p), "log_p_emitted": [None] * len(p)})
    facts = facts.with_columns(pl.col("log_p_emitted").cast(pl.Float64))
    d = compare.distances(records, facts, dtype)["d"]
    assert d.null_count() == 0
    assert d.abs().max() < 1e-9
    far = compare.distances(records, facts.with_columns(log_p=pl.col("log_p") - 0.5), dtype)["d"]
    assert all(x > 0.3 for x, value in zip(far, values, strict=True) if value > 0.01)


def test_without_the_extra_the_command_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torch" else find(name, *a))
    trace = tmp_path / "t.jsonl"
    trace.write_text('{"kind":"step","request_id":"a","step":0,"draft_token_ids":[5],"num_accepted":0}\n')
    assert run(["replay", str(trace), "--verifier", "anything"]) == 2
    assert "sdtrace[replay]" in capsys.readouterr().err


@pytest.mark.slow
def test_nothing_of_the_core_loads_torch() -> None:
    import subprocess

    modules = "sdtrace.api, sdtrace.cli.replay, sdtrace.record, sdtrace.record.vllm, sdtrace.replay.compare"
    code = f"import sys, {modules}; assert not {{'torch', 'transformers', 'vllm'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_slope_shows_a_missing_temperature() -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 2, 400)
    p, heated = 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-logit / 0.5))
    table = pl.DataFrame({"p": heated, "replayed": np.log(p), "d": np.log(heated / p)})
    assert compare.slope(table) == pytest.approx(2.0, abs=1e-6)
    assert compare.slope(table.head(3)) is None


def test_decisions_are_made_again_with_the_models_p() -> None:
    """One position agrees, one contradicts, one lies inside the band; the law is the run's own."""
    columns = dict.fromkeys(
        ("accepted", "verified_len", "last_kind", "last_target_prob", "context_len", "target_probs"), None
    )
    row = columns | {
        "run_id": "a", "request_id": "r", "step": 0, "line": 3, "path": "t.jsonl", "draft_token_ids": [5, 6, 7],
        "draft_probs": [0.5, 0.5, 0.5], "uniforms": [0.2, 0.9, 0.80001], "num_accepted": 3, "output_token_ids": [5, 6, 7, 8],
    }  # fmt: skip
    request = dict.fromkeys(schema("request")) | {"run_id": "a", "request_id": "r", "temperature": 1.0}
    step = Step(row, 1, [5, 6, 7], [5, 6, 7, 8], 3)
    one = Conversation(Run(run_id="a", rule="ratio"), request, [1], [step], [1, 5, 6, 7, 8])
    p = [0.4, 0.2, 0.4]
    keys = {"run_id": ["a"] * 3, "request_id": ["r"] * 3, "step": [0] * 3, "position": [0, 1, 2], "drafted": [5, 6, 7]}
    facts = pl.DataFrame(keys | {"log_p": np.log(p), "best": [5, 6, 7], "gap": [1.0, 1.0, 1.0]})
    found = compare.decisions([one], facts, 1e-3)
    assert (found.agree, found.disagree, found.undecidable) == (1, 1, 1)
    assert [(w["path"], w["line"], w["position"]) for w in found.witnesses] == [("t.jsonl", 3, 1)]
