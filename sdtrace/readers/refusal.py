"""Why a reader is not the one: the first line that it refuses, and what it looked for in it."""

from sdtrace.readers.io.source import Source

NOT_HEARD, NO_OBJECT, PARQUET = "no line of its kind", "no JSON object of its kind", "Parquet, not text"

#: What a reader looks for, in the words that its lines or records have.
FIELDS: dict[str, str] = {
    "vllm-responses": "`metrics.speculative_decoding`",
    "sglang-requests": "`spec_verify_ct` in `meta_info`",
    "tensorrt-llm-stats": "`iter` and `iterLatencyMS`",
    "tensorrt-llm-requests": "`perf_metrics.timing_metrics`",
    "tensorrt-llm-dflash": "`accepted_draft_hist`",
    "aiperf": "`spec_decode_acceptance`",
    "spec-bench": "`choices[].accept_lengths`",
    "eagle": "`choices[].idxs`",
    "specforge": "`metrics` and `num_draft_tokens`",
    "sglang-bench": "`acc_length` and `step_time`",
    "specdec-bench": "`Request_AL`",
    "speed-bench": "`selected_samples`, `summary` and `results`",
    "openvino": "`main_model_metrics`",
    "llamacpp-slots": "`n_ctx`, `is_processing` and `speculative` of a slot",
    "bench-serving": "`output_throughput`, `duration` and `completed`",
    "trtllm-bench": "`performance` and `request_info`",
    "mlc-llm": "`spec_decode.draft_count`",
    "lm-studio": "`accepted_draft_tokens_count`",
    "exllamav3": "`accepted_draft_tokens` and `rejected_draft_tokens`",
    "openai-usage": "`accepted_prediction_tokens`",
    "speculators": "`mean_accepted_tokens` and `per_position_acceptance`",
    "sglang-dspark": "`dspark_info_record`, or `rid`, `fct`, `w` and `cl`",
    "llamacpp-timings": "`predicted_n` or `draft_n`",
    "vllm-log": "`SpecDecoding metrics:`, `Speculative metrics:` or a process prefix of vLLM",
    "sglang-log": "`Decode batch`, `Prefill batch` or `accept len:`",
    "llamacpp-log": "`slot print_timing:`, `draft acceptance =` or `statistics ...: #calls`",
    "tensorrt-llm-log": "`[TRT-LLM]` or `[SpeculationGate]`",
    "lmdeploy-log": "`SpecDecoding metrics: Draft acceptance rate:` with two decimals",
    "ollama-log": "`time=... level=... msg=`",
    "dynamo-log": "`accept_length:` behind `Observed`",
    "tokenspeed-log": "`avg_accept_len:` in a decode line",
    "tabbyapi-log": "`tokens generated in` behind `Metrics`",
    "bench-serving-console": "`Serving Benchmark Result`, `Acceptance length:` or `Accept length:`",
    "vllm-offline": "`mean acceptance length:` and `num_accepted_tokens:`",
    "speculators-report": "`Speculative Decoding Acceptance Analysis`",
    "mtp-bench": "`pred= draft= acc= rate=`",
    "openvino-sample": "`MAIN MODEL` and `Num accepted token:`",
    "gpt-fast": "`Acceptance probs:` or `Average tokens/sec:`",
    "spec-bench-console": "`Task:` between equals signs",
    "aiperf-console": "`Acceptance Length` in a table",
    "ik-llama-bench": "table with the columns `rounds` and `accepted`",
}


def placed(name: str, why: str, src: Source) -> str:
    """The reason with the number of the first line and the field that is not in it.

    Reasons that name a line already, and those of folders and Parquet files, stay as they are.
    """
    if src.is_folder or src.head.startswith(b"PAR1") or why.startswith(("line ", "does not begin with PAR1")):
        return why
    number, line = _first(src.head)
    if why == NO_OBJECT and (what := _kind(src.head, line)) != "JSON":
        return f"line {number}: {what}, not a JSON object with {FIELDS.get(name, 'its fields')}"
    if why in (NO_OBJECT, NOT_HEARD):
        behind = "nor in the records behind it" if why == NO_OBJECT else "nor in samples of the file"
        return f"line {number}: no {FIELDS.get(name, 'field of its own')}, {behind}"
    return f"line {number}: {why}"


def nobody(src: Source, readers: int) -> str:
    """What there is in a file that no reader knows."""
    number, line = _first(src.head)
    return f"line {number}: {_kind(src.head, line)} in which none of {readers} readers finds what it looks for"


def _kind(head: bytes, line: bytes) -> str:
    """binary, JSON or text, by a line of the head."""
    if b"\0" in head[:4096] or not _readable(line):
        return "binary"
    return "JSON" if line.startswith((b"{", b"[", b"data:")) else "text"


def _readable(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start > len(line) - 4  # a sample may end within a character
    return True


def _first(head: bytes) -> tuple[int, bytes]:
    """The first line that is neither blank nor a remark."""
    lines = [(n, line.strip()) for n, line in enumerate(head.split(b"\n"), 1) if line.strip()]
    return next((pair for pair in lines if not pair[1].startswith(b"#")), lines[0] if lines else (1, b""))
