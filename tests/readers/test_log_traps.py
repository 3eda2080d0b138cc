"""The traps of engines' logs: the same words that mean other things, by release and by engine. One test a trap."""

from pathlib import Path

import pytest

from sdtrace.readers import open_one
from tests.made.log_samples import (
    DP2,
    LLAMA_A,
    LLAMA_D,
    LLAMA_REPLAY,
    LLAMA_SYNTHETIC,
    LMDEPLOY,
    OLLAMA,
    SGLANG_FINISH,
    SGLANG_NEW,
    SGLANG_OLD,
    TENSORRT,
    VLLM_032,
    VLLM_084,
    VLLM_085,
    VLLM_090,
    VLLM_V0,
)
from tests.made.reading import causes, rows, told
from tests.made.simulate import document


@pytest.mark.slow
def test_vllm_085_length_without_bonus(tmp_path: Path) -> None:
    (old,), (new,) = rows(tmp_path, VLLM_085), rows(tmp_path, VLLM_090)
    assert (old["said_length"], new["said_length"]) == (1.0, 2.0)
    assert old["length"] == new["length"] == 2.0
    assert (old["family"], new["family"]) == ("V1 0.8.5, length without bonus", "V1 0.9.0")
    (bare,) = rows(tmp_path, VLLM_084)
    assert (bare["family"], bare["length"], bare["drafts"]) == ("V1 0.8.3-0.8.4", None, None)
    assert bare["rate"] == pytest.approx(2 / 6)


def test_sglang_rate_with_bonus_up_to_0510(tmp_path: Path) -> None:
    old, new = rows(tmp_path, SGLANG_OLD), rows(tmp_path, SGLANG_NEW)
    assert [(r["said_rate"], r["k"]) for r in old] == [(0.55, 3), (0.45, 3)]
    assert [r["rate"] for r in old] == pytest.approx([1.2 / 3, 0.8 / 3])
    assert [(r["rate"], r["k"]) for r in new] == [(0.39, 3), (0.53, 3)]
    nothing = "Decode batch, #running-req: 1, accept len: 1.00, accept rate: 0.25, cuda graph: True\n"
    (none,) = rows(tmp_path, nothing)  # zero accepted drafts print 1 / (k + 1)
    assert (none["rate"], none["k"]) == (0.0, 3)


def test_sglang_rate_of_unknown_rule_is_not_used(tmp_path: Path) -> None:
    """At length 4 and rate 1, k may be 3 under both rules: they agree there, and elsewhere none is guessed."""
    (full,) = rows(tmp_path, "Decode batch, #running-req: 1, accept len: 2.77, accept rate: 0.09\n")
    assert (full["family"], full["rate"], full["length"]) == ("rate of unknown rule", None, 2.77)


#: length and rate of decode lines, the configured verified tokens -> (accepted of drafted, k, words of the note)
RATES: dict[tuple[float, float, int | None], tuple[float | None, int | None, str | None]] = {
    # 1 of 2 drafted (from 0.5.11 on), or 2 of 4 verified and so 1 of 3 drafted (to 0.5.10)
    (2.00, 0.50, None): (None, None, "50.0% of drafted at k=2 (from 0.5.11 on) or 33.3% at k=3"),
    (2.00, 0.50, 4): (1 / 3, 3, None),
    (2.00, 0.50, 3): (0.5, 2, None),
    # 3 of 3 verified, or 2 of 2 drafted: the same
    (3.00, 1.00, None): (1.0, 2, None),
    (1.50, 0.50, None): (None, None, "50.0% of drafted at k=1 (from 0.5.11 on) or 25.0% at k=2"),
}


@pytest.mark.one_of(5)
@pytest.mark.parametrize("rate", RATES)
def test_a_rate_that_fits_both_rules_is_said_by_both(rate: tuple[float, float, int | None], tmp_path: Path) -> None:
    length, share, nodes = rate
    accepted, k, says = RATES[rate]
    start = f"[2026-11-23 09:59:00] server_args=ServerArgs(speculative_algorithm='EAGLE', speculative_num_draft_tokens={nodes})\n"
    path = tmp_path / "server.log"
    text = (start if nodes else "") + "".join(
        f"[2026-11-23 10:00:{i:02d}] Decode batch, #running-req: 1, #token: {3000 + 40 * i}, token usage: 0.03, accept len: {length:.2f}, "
        f"accept rate: {share:.2f}, cuda graph: True, gen throughput (token/s): 120.{i}0, #queue-req: 0\n" for i in range(6)
    )  # fmt: skip
    path.write_text(text)
    found = document(path)
    lines = [r for r in rows(tmp_path, text) if r["surface"] == "Decode batch"]
    ((shared, length_k),) = {(r["rate"], r["k"]) for r in lines}
    assert (shared, length_k) == (None if accepted is None else pytest.approx(accepted), k)
    assert found["acceptance"]["tokens_per_step"] == length
    notes = [note for note in found["verdict"]["not_checked"] if "fits both rules" in note]
    assert [says in note for note in notes if says] == [True] * (says is not None)


@pytest.mark.slow
def test_v0_counts_are_not_causal(tmp_path: Path) -> None:
    """44 "accepted" of 80, and 12 emitted in 10 steps: 2 before the first rejection."""
    (row,) = rows(tmp_path, VLLM_V0, "Speculative metrics")
    assert (row["drafts"], row["accepted"], row["emitted"]) == (10, 2, 12)
    assert row["rate"] == 2 / 80
    assert row["said_rate"] is None
    assert '"Number of accepted tokens":44.0' in row["said"]
    found = told(tmp_path, VLLM_V0)
    assert found["acceptance"]["rate_of_drafted"] == 2 / 80
    assert "metric-inconsistent" not in causes(found)


def test_v0_totals_are_taken_apart(tmp_path: Path) -> None:
    """Lifetime totals: two lines count the second one's traffic once."""
    later = VLLM_V0.replace("accepted tokens: 44", "accepted tokens: 60").replace(
        "emitted tokens: 12", "emitted tokens: 30"
    )
    later = later.replace("draft tokens: 80", "draft tokens: 160").replace("14:50:38", "14:51:38")
    found = told(tmp_path, VLLM_V0 + later)
    assert (found["acceptance"]["drafted"], found["acceptance"]["accepted"]) == (160, 10)


def test_throughput_divisors(tmp_path: Path) -> None:
    """Behind an idle gap 27 tokens read 0.07 a second: the time is the one since the last line, not ten seconds."""
    text = (
        "(APIServer pid=1) INFO 07-05 09:03:03 [metrics.py:101] SpecDecoding metrics: Mean acceptance length: 2.08, Accepted "
        "throughput: 0.07 tokens/s, Drafted throughput: 0.19 tokens/s, Accepted: 27 tokens, Drafted: 75 tokens, Per-position "
        "acceptance rate: 0.640, 0.320, 0.120, Avg Draft acceptance rate: 36.0%\n"
    )
    (row,) = rows(tmp_path, text)
    assert row["span_s"] == pytest.approx(395, rel=0.01)
    assert row["generation_tps"] is None


@pytest.mark.slow
def test_positions_are_over_all_drafts(tmp_path: Path) -> None:
    """Drafts of 2, 2 and 4, all accepted, print 1, 1, 0.333, 0.333 and a rate of 100%."""
    (row,) = rows(tmp_path, VLLM_032, "SpecDecoding metrics")
    assert (row["drafts"], row["drafted"], row["accepted"], row["rate"]) == (3, 8, 8, 1.0)
    found = told(tmp_path, VLLM_032)
    assert found["acceptance"]["marginal_by_position"] == pytest.approx([1, 1, 1 / 3, 1 / 3], abs=0.001)
    assert found["acceptance"]["conditional_by_position"] == [1.0, None, None, None]
    assert not causes(found)


def test_steps_without_drafts_are_invisible(tmp_path: Path) -> None:
    """A length is of steps that drafted; nothing stands for all steps, and scheduled tokens are not emitted ones."""
    (row,) = rows(tmp_path, VLLM_032, "SpecDecoding metrics")
    assert (row["steps"], row["emitted"]) == (None, None)
    (iteration,) = rows(tmp_path, VLLM_032, "Iteration")
    assert (iteration["emitted"], iteration["generation_tps"]) == (None, None)
    assert iteration["said"] == '{"Iteration":4.0,"generation tokens (scheduled)":5.0}'
    (ollama,) = rows(tmp_path, OLLAMA)  # iterations count draft-less rounds too
    assert (ollama["steps"], ollama["drafts"], ollama["emitted"]) == (133, None, 557)


@pytest.mark.slow
def test_dp_aggregation(tmp_path: Path) -> None:
    """The line without an engine belongs to the Engine line before it, and engines are added up once."""
    found = rows(tmp_path, DP2, "SpecDecoding metrics")
    assert [(r["series"], r["drafted"]) for r in found] == [
        ("APIServer:19 Engine 000", 4),
        ("APIServer:19 Engine 001", 12),
    ]
    assert told(tmp_path, DP2)["acceptance"]["drafted"] == 16
    together = DP2.split("\n")[2:4]
    text = "\n".join(together).replace("Engine 001", "2 Engines Aggregated") + "\n"
    (row,) = rows(tmp_path, text, "SpecDecoding metrics")
    assert row["series"] == "APIServer:19 2 Engines Aggregated"


def test_tensor_parallel_ranks_are_one_batch(tmp_path: Path) -> None:
    again = SGLANG_NEW.replace(" TP0]", " TP1]").replace("13.65", "13.70")
    lines = [line for pair in zip(SGLANG_NEW.splitlines(), again.splitlines(), strict=True) for line in pair]
    assert len(rows(tmp_path, "\n".join(lines) + "\n")) == 2


def test_multi_server_silence(tmp_path: Path) -> None:
    text = (
        "(ApiServer_0 pid=1) WARNING 11-23 15:40:00 [async_llm.py:131] AsyncLLM created with api_server_count more than 1; "
        "disabling stats logging to avoid incomplete stats.\n"
    )
    found = told(tmp_path, text)
    assert causes(found) == ["counters-missing"]
    assert found["causes"][0]["side"] == "metric"


def test_synthetic_acceptance(tmp_path: Path) -> None:
    found = told(tmp_path, LLAMA_SYNTHETIC)
    assert causes(found)[0] == "synthetic-acceptance"
    assert found["verdict"]["state"] == "wrong"
    assert found["causes"][0]["evidence"][0]["line"] == 3


def test_llamacpp_statistics_lie_on_recurrent_models(tmp_path: Path) -> None:
    """Replays are counted as accepted: 11 of 66 by statistics where 0 of 66 is true."""
    found = told(tmp_path, LLAMA_REPLAY)
    assert causes(found) == ["metric-inconsistent"]
    assert (found["acceptance"]["accepted"], found["acceptance"]["drafted"], found["acceptance"]["steps"]) == (
        0,
        66,
        11,
    )
    assert "0 of 66" in found["causes"][0]["headline"]


def test_llamacpp_equal_drafts_are_the_tell(tmp_path: Path) -> None:
    """Old servers print replays in the request line too; that no draft at all was rejected at once gives them away."""
    kinds = [e.kind for b in open_one(str(_written(tmp_path, LLAMA_A)), None).batches() for e in b.events]
    assert kinds == ["replay"]
    honest = LLAMA_A.replace("#acc drafts = 690", "#acc drafts = 655")
    assert not [e for b in open_one(str(_written(tmp_path, honest)), None).batches() for e in b.events]


def _written(folder: Path, text: str) -> Path:
    path = folder / "server.log"
    path.write_text(text)
    return path


def test_a_traced_round_is_counted_once(tmp_path: Path) -> None:
    """At -lv 5 with LLAMA_TRACE a round is printed twice."""
    text = (
        "0.05.859.824 I slot   operator(): id  0 | task 0 | accepted  4/ 4 draft tokens\n"
        "0.05.859.885 D slot   operator(): id  0 | task 0 | accepted 4/4 draft tokens, new n_tokens = 18\n"
        "0.08.031.638 I slot   operator(): id  0 | task 0 | accepted  1/ 4 draft tokens\n"
        "0.08.031.700 D slot   operator(): id  0 | task 0 | accepted 1/4 draft tokens, new n_tokens = 20\n"
    )
    assert [r["accepted"] for r in rows(tmp_path, text)] == [4, 1]
    debug_only = "\n".join(text.split("\n")[1::2]) + "\n"
    assert [r["accepted"] for r in rows(tmp_path, debug_only)] == [4, 1]
    old = "slot update_slots: id  3 | task 0 | accepted 9/0 draft tokens, new n_tokens = 731\n"  # a constant 0 before Dec 2025
    (row,) = rows(tmp_path, old)
    assert (row["accepted"], row["drafted"], row["rate"]) == (9, None, None)


def test_zero_padding_of_positions(tmp_path: Path) -> None:
    row = rows(tmp_path, LLAMA_D, "request")[1]
    assert row["said_positions"] == [0.976, 0.824, 0.706]
    assert row["accepted_by_position"] == [83, 70, 60]
    assert sum(row["accepted_by_position"]) == row["accepted"] == 213


@pytest.mark.slow
def test_trimmed_stops(tmp_path: Path) -> None:
    """A stop inside an accepted run: 3 accepted and 3 emitted at a length of 4 is no fault."""
    row = rows(tmp_path, LLAMA_D, "request")[0]
    assert (row["accepted"], row["drafts"], row["emitted"], row["length"]) == (3, 1, 3, 4.0)
    assert not causes(told(tmp_path, LLAMA_D))


def test_llamacpp_silence_is_not_speculation_off(tmp_path: Path) -> None:
    """No line at all comes for a request in which nothing was drafted; without a word of speculation it tells nothing."""
    request = (
        "0.04.182.749 I slot print_timing: id  0 | task 0 |        eval time =    1783.29 ms /    75 tokens (   24.10 ms per token)\n"
        "0.04.182.784 I slot      release: id  0 | task 0 | stop processing: n_tokens = 110, truncated = 0\n"
    )
    command = "CMD: /opt/llama-server -m model.gguf --port 18999 --spec-type ngram-map-k --spec-draft-n-max 4\n"
    (row,) = rows(tmp_path, command + request)
    assert (row["drafted"], row["accepted"], row["emitted"], row["length"], row["rate"]) == (0, 0, 75, None, None)
    (row,) = rows(tmp_path, request)
    assert (row["surface"], row["drafted"], row["emitted"]) == ("eval time", None, 75), "its speed alone"


@pytest.mark.slow
def test_user_text_is_not_read(tmp_path: Path) -> None:
    """With -v prompts are logged; a line of acceptance in one is no record, and it is told that it was left out."""
    text = (
        'srv  log_server_r: request:  {"content":"Context\n'
        "draft acceptance rate = 0.57576 (  171 accepted /   297 generated)\n"
        'still user text"}\n'
        "slot print_timing: id  0 | task 0 | \n"
        "draft acceptance rate = 0.70312 (   90 accepted /   128 generated)\n"
    )
    assert [(r["line"], r["accepted"]) for r in rows(tmp_path, text)] == [(5, 90)]
    losses = told(tmp_path, text)["inputs"][0]["losses"]
    assert [loss["where"].rsplit(":", 1)[1] for loss in losses if "speaks of acceptance" in loss["what"]] == ["2"]
    stamped = LLAMA_D + "draft acceptance = 0.57576 (  171 accepted /   297 generated), mean len =  2.00\n"
    assert [r["accepted"] for r in rows(tmp_path, stamped)] == [3, 213]


def test_eval_time_is_of_the_request_it_stands_before(tmp_path: Path) -> None:
    """Time per token divides by n or n - 1 by release: time and tokens are kept, their printed ratio is not."""
    (row,) = rows(tmp_path, LLAMA_A, "request")
    assert (row["busy_ms"], row["emitted"]) == (30387.12, 2048)
    concurrent = LLAMA_D.splitlines()
    concurrent = [concurrent[0], concurrent[3], concurrent[1], concurrent[4]]
    assert [r["emitted"] for r in rows(tmp_path, "\n".join(concurrent) + "\n", "request")] == [3, 300]


@pytest.mark.slow
def test_length_bases(tmp_path: Path) -> None:
    """Lengths with the bonus (LMDeploy, SGLang) and without (Ollama's avg_accepted) are not mixed."""
    assert rows(tmp_path, LMDEPLOY)[0]["length"] == 2.30
    assert rows(tmp_path, TENSORRT, "SpeculationGate")[0]["length"] == 1.62
    (ollama,) = rows(tmp_path, OLLAMA)
    assert (ollama["said_length"], ollama["length"]) == (3.19, None)


def test_sglang_request_length_counts_the_prefill_token(tmp_path: Path) -> None:
    """spec_accept_length is completion tokens by verifications; where accepted tokens are given ours is taken from them."""
    text, json = rows(tmp_path, SGLANG_FINISH)
    assert (text["length"], text["accepted"], text["emitted"]) == (3.05, None, 61)
    assert json["length"] == 1 + 98 / 30
    assert (json["k"], json["histogram"]) == (4, [4, 0, 2, 2, 22])
