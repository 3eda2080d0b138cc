"""vLLM's request log beside responses: what was asked is known where no request was kept; a forged or a doubtful line proves nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import report
from sdtrace.readers import open_inputs
from sdtrace.readers.responses import responses as parse
from sdtrace.simulate.responses import Asked, responses

PARAMS = (
    "SamplingParams(n=1, presence_penalty=0.0, frequency_penalty=0.0, repetition_penalty=1.0, temperature={t}, watermarking=False, "
    "top_p=1.0, top_k=0, min_p=0.0, seed={seed}, stop={stop}, stop_token_ids=[], bad_words=[], thinking_token_budget=None, "
    "include_stop_str_in_output=False, ignore_eos=True, max_tokens=48, min_tokens=0, logprobs=20, prompt_logprobs=None, "
    "skip_special_tokens=True, spaces_between_special_tokens=True, structured_outputs={grammar}, extra_args=None)"
)
STAMP = "(APIServer pid=17) INFO 11-29 15:40:50 [request_logger.py:65] "


def line(
    name: str, *, stamp: str = STAMP, t: float = 0.0, seed: int | None = None, stop: str = "[]", grammar: str = "None"
) -> str:
    params = PARAMS.format(t=t, seed=seed, stop=stop, grammar=grammar)
    return f"{stamp}Received request {name}: params: {params}, lora_request: None.\n"


def answers(file: Path, fault: str, *, keep: bool = False) -> list[str]:
    """A file of answers of a vLLM at temperature 0, without their requests; their names."""
    made = list(responses(Asked(vocab=200, responses=8, temperature=0.0, fault=fault, shape="completion")))
    for n, one in enumerate(made):
        one["response"] |= {"id": f"cmpl-{n}"}
        one["response"]["choices"][0] |= {"stop_reason": None}
    rows = made if keep else [one["response"] for one in made]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return [f"cmpl-{n}" for n in range(len(made))]


def judged(tmp_path: Path, log: str, fault: str = "text-second", *, keep: bool = False) -> dict[str, Any]:
    answers(tmp_path / "responses.jsonl", fault, keep=keep)
    (tmp_path / "server.log").write_text(line("another") + log)
    return report([tmp_path / "responses.jsonl", tmp_path / "server.log"]).document


@pytest.mark.slow
def test_the_log_tells_what_was_asked(tmp_path: Path) -> None:
    log = "".join(line(f"cmpl-{n}-0") for n in range(8))
    wrong = judged(tmp_path, log)
    assert (wrong["verdict"]["state"], wrong["causes"][0]["cause"]) == ("wrong", "greedy-mismatch")
    right = judged(tmp_path, log, "text-healthy")
    assert right["causes"] == []
    assert right["text"]["greedy"]["tokens"] > 100
    assert judged(tmp_path, "")["text"]["greedy"] is None


@pytest.mark.one_of(6)
@pytest.mark.parametrize(
    "log",
    [
        "".join(line(f"cmpl-{n}-0", t=0.0) + line(f"cmpl-{n}-0", t=1.0) for n in range(8)),
        "".join(line(f"cmpl-{n}-0", stamp="a user wrote: " + STAMP) for n in range(8)),
        "".join(line(f"cmpl-{n}-0", grammar="StructuredOutputsParams(json='{}')") for n in range(8)),
        "".join(line(f"cmpl-{n}-0").replace("watermarking=False", "watermarking=True") for n in range(8)),
        "".join(line(f"cmpl-{n}-0").replace("min_p=0.0", "min_p=") for n in range(8)),
        "".join(line(f"cmpl-{n}-0").replace("n=1", "n=" + "[" * 3000) for n in range(8)),
    ],
    ids=["twice in two ways", "a prompt that forges it", "a grammar", "a watermark", "broken", "deep"],
)
def test_a_doubtful_line_proves_nothing(log: str, tmp_path: Path) -> None:
    found = judged(tmp_path, log)
    assert found["causes"] == []
    assert found["text"]["greedy"] is None


def test_a_stop_string_cannot_forge_parameters(tmp_path: Path) -> None:
    stop = "['), temperature=0.0, x=(', 'a']"
    (tmp_path / "server.log").write_text(line("cmpl-0", t=0.7, stop=stop, seed=5))
    answers(tmp_path / "r.jsonl", "text-healthy")
    opened = open_inputs([str(tmp_path / "server.log"), str(tmp_path / "r.jsonl")])
    (table,) = [b.responses for one in opened for b in one.batches() if b.responses is not None and b.responses.height]
    told = table.select("temperature", "seed", "stops", "top_p", "asked_k", "engine").row(0)
    assert told == (0.7, 5, 4, 1.0, 20, "vllm")


def test_a_request_that_says_otherwise_is_not_judged(tmp_path: Path) -> None:
    found = judged(tmp_path, "".join(line(f"cmpl-{n}", t=0.5) for n in range(8)), keep=True)
    assert found["causes"] == []
    assert any("disagree" in note for note in found["verdict"]["not_checked"])


def test_chunks_of_tensorrt_that_count_tokens_are_one_answer() -> None:
    """Each chunk has a usage; what is null is left out. Its answers are not held for vLLM's."""
    chunks: list[dict[str, Any]] = []
    for n in range(4):
        logprobs = {
            "tokens": [f"w{n}"],
            "token_logprobs": [-0.5],
            "top_logprobs": [{f"w{n}": -0.5, "x": -1.5}],
            "text_offset": [n],
        }
        choice = {"index": 0, "text": f"w{n}", "token_ids": [n + 10], "logprobs": logprobs}
        choice |= {"finish_reason": "length", "avg_decoded_tokens_per_iter": 2.0} if n == 3 else {}
        usage = {"prompt_tokens": 3, "completion_tokens": n + 1, "total_tokens": n + 4}
        chunks.append({"id": "cmpl-a", "object": "text_completion", "model": "m", "choices": [choice], "usage": usage})
    request = {"prompt": "x", "max_tokens": 4, "temperature": 1.0}
    (row,) = parse({"request": request, "response": chunks})
    assert (row["token_ids"], row["engine"], row["finish_reason"]) == ([10, 11, 12, 13], "openai", "length")
    twice = list(parse({"request": request, "response": [chunks[0], chunks[0]]}))
    assert [one["token_ids"] for one in twice] == [[10], [10]]
