"""Lines as engines print them, with values of our own: name -> (text, reader, engine). Wording as in each release."""

VLLM_V0 = """\
INFO 02-11 14:50:38 metrics.py:477] Speculative metrics: Draft acceptance rate: 0.550, System efficiency: 0.133, Number of \
speculative tokens: 8, Number of accepted tokens: 44, Number of draft tokens: 80, Number of emitted tokens: 12.
INFO 02-11 14:50:38 spec_decode_worker.py:1071] SpecDecodeWorker stage times: average_time_per_proposal_tok_ms=0.02 \
scoring_time_ms=19.13 verification_time_ms=0.17
INFO 02-11 14:50:43 metrics.py:455] Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: 5.3 tokens/s, Running: 1 \
reqs, Swapped: 0 reqs, Pending: 0 reqs, GPU KV cache usage: 0.1%, CPU KV cache usage: 0.0%.
"""
VLLM_084 = """\
INFO 04-20 10:00:00 [metrics.py:53] SpecDecoding metrics: Draft acceptance rate: 33.3%, Accepted: 2 tokens, Drafted: 6 tokens
"""
VLLM_085 = """\
INFO 05-02 10:00:00 [metrics.py:82] SpecDecoding metrics: Draft acceptance rate: 33.3%, Mean acceptance length: 1.00, Accepted: \
2 tokens, Drafted: 6 tokens, Per-position acceptance rate: 0.500, 0.500, 0.000
"""
VLLM_090 = """\
INFO 06-06 14:20:34 [metrics.py:86] SpecDecoding metrics: Draft acceptance rate: 33.3%, Mean acceptance length: 2.00, Accepted: \
2 tokens, Drafted: 6 tokens, Per-position acceptance rate: 0.500, 0.500, 0.000
"""
VLLM_011 = """\
(APIServer pid=722) INFO 10-26 12:36:16 [loggers.py:127] Engine 000: Avg prompt throughput: 0.0 tokens/s, Avg generation \
throughput: 40.9 tokens/s, Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 1.3%, Prefix cache hit rate: 0.0%
(APIServer pid=722) INFO 10-26 12:36:16 [metrics.py:96] SpecDecoding metrics: Mean acceptance length: 2.01, Accepted throughput: \
20.60 tokens/s, Drafted throughput: 60.90 tokens/s, Accepted: 206 tokens, Drafted: 609 tokens, Per-position acceptance rate: \
0.601, 0.286, 0.128, Avg Draft acceptance rate: 33.8%
"""
VLLM_032 = """\
(APIServer pid=17) INFO 11-23 15:40:49 [loggers.py:199] Engine 000: Iteration(4): 0 context requests, 0 context tokens, 1 \
generation requests, 5 generation tokens, iteration elapsed time: 254.46 ms, CPU KV cache usage: 0.0%
(APIServer pid=17) INFO 11-23 15:40:49 [loggers.py:335] Engine 000: Avg prompt throughput: 23.9 tokens/s, Avg generation \
throughput: 7.0 tokens/s, Running: 1 reqs, Waiting: 0 reqs, CPU KV cache usage: 0.0%, Prefix cache hit rate: 0.0%
(APIServer pid=17) INFO 11-23 15:40:49 [metrics.py:120] SpecDecoding metrics: Mean acceptance length: 3.67, Accepted throughput: \
1.11 tokens/s, Drafted throughput: 1.11 tokens/s, Accepted: 8 tokens, Drafted: 8 tokens, Per-position acceptance rate: 1.000, \
1.000, 0.333, 0.333, Avg Draft acceptance rate: 100.0%
INFO:     127.0.0.1:53202 - "POST /v1/completions HTTP/1.1" 200 OK
"""
VLLM_JSON = """\
{"asctime": "2026-11-23 15:42:47,294", "levelname": "INFO", "name": "vllm.v1.metrics", "processName": "MainProcess", \
"process": 18, "message": "SpecDecoding metrics: Mean acceptance length: 2.50, Accepted throughput: 3.00 tokens/s, Drafted \
throughput: 4.00 tokens/s, Accepted: 30 tokens, Drafted: 40 tokens, Per-position acceptance rate: 0.800, 0.700, Avg Draft \
acceptance rate: 75.0%", "vllm_process_name": "APIServer"}
"""
DP2 = """\
(APIServer pid=19) INFO 11-23 15:45:46 [loggers.py:335] Engine 000: Avg prompt throughput: 0.0 tokens/s, Avg generation \
throughput: 6.5 tokens/s, Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 0.0%
(APIServer pid=19) INFO 11-23 15:45:46 [metrics.py:120] SpecDecoding metrics: Mean acceptance length: 1.00, Accepted throughput: \
0.00 tokens/s, Drafted throughput: 1.00 tokens/s, Accepted: 0 tokens, Drafted: 4 tokens, Per-position acceptance rate: 0.000, \
0.000, 0.000, 0.000, Avg Draft acceptance rate: 0.0%
(APIServer pid=19) INFO 11-23 15:45:46 [loggers.py:335] Engine 001: Avg prompt throughput: 24.0 tokens/s, Avg generation \
throughput: 9.5 tokens/s, Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 0.0%
(APIServer pid=19) INFO 11-23 15:45:46 [metrics.py:120] SpecDecoding metrics: Mean acceptance length: 4.00, Accepted throughput: \
1.13 tokens/s, Drafted throughput: 1.13 tokens/s, Accepted: 12 tokens, Drafted: 12 tokens, Per-position acceptance rate: 1.000, \
1.000, 0.500, 0.500, Avg Draft acceptance rate: 100.0%
"""
SGLANG_OLD = """\
[2025-10-22 09:00:02 TP0] Decode batch. #running-req: 1, #token: 111, token usage: 0.00, accept len: 2.20, accept rate: 0.55, \
cuda graph: True, gen throughput (token/s): 0.41, #queue-req: 0,\x20
[2025-10-22 09:00:02 TP0] Decode batch. #running-req: 1, #token: 190, token usage: 0.00, accept len: 1.80, accept rate: 0.45, \
cuda graph: True, gen throughput (token/s): 160.00, #queue-req: 0,\x20
"""
SGLANG_NEW = """\
[2026-09-28 12:34:57 TP0] Decode batch, #running-req: 6, #full token: 387840, full token usage: 0.74, mamba num: 24, mamba \
usage: 0.63, accept len: 2.16, accept rate: 0.39, cuda graph: True, gen throughput (token/s): 13.65, #queue-req: 0
[2026-09-28 12:35:01 TP0] Decode batch, #running-req: 5, #full token: 387776, full token usage: 0.74, mamba num: 16, mamba \
usage: 0.42, accept len: 2.58, accept rate: 0.53, cuda graph: True, gen throughput (token/s): 133.47, #queue-req: 2
[2026-09-28 12:35:02] INFO:     127.0.0.1:51360 - "POST /v1/chat/completions HTTP/1.1" 200 OK
"""
SGLANG_FINISH = """\
[2025-10-02 20:00:00] Finish: obj=GenerateReqInput(rid='0123456789abcdef', stream=True, session_params=None), out={'meta_info': \
{'id': '0123456789abcdef', 'finish_reason': {'type': 'stop', 'matched': 2}, 'prompt_tokens': 20, 'completion_tokens': 61, \
'cached_tokens': 0, 'spec_accept_rate': 0.5, 'spec_accept_length': 3.05, 'spec_verify_ct': 20, 'e2e_latency': 0.9}}
[2026-10-30 12:00:00] {"timestamp": "2026-10-30T12:00:00.123456", "event": "request.finished", "rid": "fedcba9876543210", \
"obj": {"stream": false}, "out": {"meta_info": {"id": "fedcba9876543210", "completion_tokens": 128, "spec_accept_rate": \
0.8166666666666667, "spec_accept_length": 4.266666666666667, "spec_num_correct_drafts": 98, "spec_num_proposed_drafts": 120, \
"spec_verify_ct": 30, "spec_correct_drafts_histogram": [4, 0, 2, 2, 22]}}}
"""
LLAMA_A = """\
2026-05-14 22:40:29.046 | slot print_timing: id  3 | task 0 |\x20
2026-05-14 22:40:29.046 | prompt eval time =     648.99 ms /   133 tokens (    4.88 ms per token,   204.94 tokens per second)
2026-05-14 22:40:29.046 |        eval time =   30387.12 ms /  2048 tokens (   14.84 ms per token,    67.40 tokens per second)
2026-05-14 22:40:29.046 | draft acceptance rate = 0.98260 ( 1186 accepted /  1207 generated)
2026-05-14 22:40:29.046 | statistics mtp: #calls(b,g,a) = 1 861 690, #gen drafts = 690, #acc drafts = 690, #gen tokens = 1207, \
#acc tokens = 1186, dur(b,g,a) = 0.006, 3112.317, 0.287 ms
"""
#: builds of May 2026 stamp the first line of a block alone
LLAMA_A_STAMPED = """\
0.01.000.000 I slot print_timing: id  0 | task 0 |\x20
prompt eval time =     100.00 ms /    10 tokens (   10.00 ms per token,   100.00 tokens per second)
       eval time =    1000.00 ms /   100 tokens (   10.00 ms per token,   100.00 tokens per second)
      total time =    1100.00 ms /   110 tokens
draft acceptance rate = 0.75000 (   60 accepted /    80 generated)
0.01.100.000 I slot      release: id  0 | task 0 | stop processing: n_tokens = 110, truncated = 0
"""
LLAMA_C = """\
0.07.112.318 I slot print_timing: id  0 | task 12 |        eval time =    1988.80 ms /   221 tokens (    9.00 ms per token)
0.07.112.340 I slot print_timing: id  0 | task 12 | draft acceptance = 0.58333 (  140 accepted /   240 generated), mean \
acceptance length =  2.75, acceptance rate per position = (0.812, 0.562, 0.375)
"""
LLAMA_D = """\
0.02.430.460 I slot print_timing: id  0 | task 0 |        eval time =      49.92 ms /     3 tokens (   24.96 ms per token)
0.02.430.464 I slot print_timing: id  0 | task 0 | draft acceptance = 1.00000 (    3 accepted /     3 generated), mean len =  4.00
0.02.430.494 I slot      release: id  0 | task 0 | stop processing: n_tokens = 27, truncated = 0
0.06.050.462 I slot print_timing: id  0 | task 5 |        eval time =    3363.39 ms /   300 tokens (   11.25 ms per token)
0.06.050.465 I slot print_timing: id  0 | task 5 | draft acceptance = 0.83529 (  213 accepted /   255 generated), mean len =  3.51
0.06.050.466 I slot print_timing: id  0 | task 5 |      acc per pos = (0.976, 0.824, 0.706, 0.000, 0.000, 0.000)
0.06.050.485 I slot      release: id  0 | task 5 | stop processing: n_tokens = 351, truncated = 0
"""
LLAMA_JSONL = """\
{"type":"log","time":2878746,"level":"info","msg":"spec common_specu: adding speculative implementation 'draft-simple'\\n"}
{"type":"log","time":2878779,"level":"info","msg":"spec common_specu: - n_max=4, n_min=0, p_min=0.000000\\n"}
{"type":"log","time":16431318,"level":"info","msg":"slot print_timing: id  0 | task 0 | draft acceptance = 1.00000 (   15 \
accepted /    15 generated), mean len =  4.75\\n"}
"""
LLAMA_REPLAY = (
    "0.00.357.367 I srv    load_model: speculative decoding will use checkpoints\n"
    + "".join(
        f"0.{9 + i // 10:02}.66{i % 10}.861 I slot   operator(): id  0 | task 0 | accepted  0/ 6 draft tokens (restore checkpoint)\n"
        f"0.{9 + i // 10:02}.67{i % 10}.160 I slot   operator(): id  0 | task 0 | accepted  1/ 1 draft tokens\n"
        for i in range(11)
    )
    + (
        "0.13.076.972 I slot print_timing: id  0 | task 0 |        eval time =   11078.43 ms /   120 tokens (   93.10 ms per token)\n"
        "0.13.076.994 I slot print_timing: id  0 | task 0 | draft acceptance = 0.00000 (    0 accepted /    66 generated), "
        "mean len =  1.00\n"
        "0.13.077.038 I spec common_specu: statistics     ngram-simple: #calls(b,g,a) =    1    107     11, #gen drafts =     11, "
        "#acc drafts =    11, #gen tokens =     66, #acc tokens =    11, #mean acc len = 2.00, #acc rate/pos = (1.000), "
        "dur(b,g,a) = 0.000, 0.165, 0.012 ms\n"
    )
)
LLAMA_SYNTHETIC = """\
0.12.769.223 I spec common_specu: adding speculative implementation 'draft-simple'
0.12.769.245 I spec common_specu: - n_max=3, n_min=0, p_min=0.000000
0.12.770.261 W spec common_specu: synthetic speculative acceptance is enabled for benchmarking; generated output is not valid
2.04.329.526 I slot print_timing: id  0 | task 0 | draft acceptance = 0.70588 (   12 accepted /    17 generated), mean len =  3.00
"""
LLAMA_COINS = """\
0.05.100.001 D r = 0.300000, p_dft = 0.800000, p_tgt = 0.400000
0.05.100.002 D draft token 0 of sequence 0 (278, ' the') accepted
0.05.100.004 D r = 0.700000, p_dft = 0.800000, p_tgt = 0.400000
0.05.100.005 D draft token 1 of sequence 0 (512, ' cat') rejected
0.05.100.006 D all drafted tokens were rejected, sampling from residual distribution
0.05.100.007 D the sampled target token (99, ' dog') did not match, or we ran out of drafted tokens
0.05.200.001 D r = 0.600000, p_dft = 0.800000, p_tgt = 0.400000
0.05.200.002 D draft token 0 of sequence 0 (278, ' the') accepted
0.05.200.007 D the sampled target token (98, ' a') did not match, or we ran out of drafted tokens
0.05.300.001 D r = 0.600000, p_dft = 0.800000, p_tgt = 0.400000
0.05.300.002 D draft token 0 of sequence 0 (278, ' the') rejected
0.05.300.003 D r = 0.100000, p_dft = 0.800000, p_tgt = 0.400000
0.05.300.004 D draft token 0 of sequence 1 (279, ' th') accepted
0.05.300.007 D the sampled target token (98, ' a') did not match, or we ran out of drafted tokens
"""
TENSORRT = """\
[01/16/2026-06:20:17] [TRT-LLM] [RANK 0] [I] iter = 259, global_rank = 0, rank = 0, currank_total_requests = 0/1, host_step_time = \
9.843ms, prev_device_step_time = 8.712ms, timestamp = 2026-01-16 06:20:17, num_scheduled_requests: 1, states = \
{'num_ctx_requests': 0, 'num_ctx_tokens': 0, 'num_generation_tokens': 4}
[TRT-LLM] [I] [SpeculationGate] Request 41 completed: avg_decoded=1.62, accepted_len=0.620
"""
LMDEPLOY = """\
SpecDecoding metrics: Draft acceptance rate: 43.33%, Mean acceptance length: 2.30, Accepted: 52 tokens, Drafted: 120 tokens, \
Per-position acceptance rate: 0.700, 0.400, 0.200
"""
OLLAMA = """\
time=2026-09-04T14:17:24.482+09:00 level=INFO source=speculate_stats.go:62 msg="speculative decode stats" iterations=133 \
drafted=502 accepted=424 acceptance=0.84 avg_draft=3.77 max_draft=5 avg_accepted=3.19
"""
DYNAMO = "Observed num_req: 42.00 isl: 512.30 osl: 131.08 kv_hit_rate: 0.412 accept_length: 2.318\n"
AIPERF = """\
                                    NVIDIA AIPerf: Spec Decode
│         Acceptance Length (ratio) │   3.21 │  1.00 │   6.00 │   5.80 │
│  Token-Weighted Acceptance Length │   3.20 │   N/A │    N/A │    N/A │
│ Overall Draft Acceptance Rate (%) │  46.80 │   N/A │    N/A │    N/A │
"""
IK_LLAMA = """\
| task     | run | stage   |  tokens | stop  | time(s) |   tok/s | rounds |    accepted |    rate |  a.len | pos accept        |
|----------|-----|---------|---------|-------|---------|---------|--------|-------------|---------|--------|-------------------|
| code     |   1 | mtp     |     640 | eog   |  10.000 |   64.00 |    200 |     440/600 |  73.33% |   3.20 | 85.0% 75.0% 60.0% |
"""

SAMPLES: dict[str, tuple[str, str, str]] = {
    "vllm-v0": (VLLM_V0, "vllm-log", "vllm"),
    "vllm-0.8.4": (VLLM_084, "vllm-log", "vllm"),
    "vllm-0.8.5": (VLLM_085, "vllm-log", "vllm"),
    "vllm-0.9.0": (VLLM_090, "vllm-log", "vllm"),
    "vllm-0.11": (VLLM_011, "vllm-log", "vllm"),
    "vllm-0.32": (VLLM_032, "vllm-log", "vllm"),
    "vllm-json": (VLLM_JSON, "vllm-log", "vllm"),
    "vllm-dp2": (DP2, "vllm-log", "vllm"),
    "sglang-0.5.3": (SGLANG_OLD, "sglang-log", "sglang"),
    "sglang-0.5.20": (SGLANG_NEW, "sglang-log", "sglang"),
    "sglang-finish": (SGLANG_FINISH, "sglang-log", "sglang"),
    "llama.cpp-a": (LLAMA_A, "llamacpp-log", "llama.cpp"),
    "llama.cpp-a-stamped": (LLAMA_A_STAMPED, "llamacpp-log", "llama.cpp"),
    "llama.cpp-c": (LLAMA_C, "llamacpp-log", "llama.cpp"),
    "llama.cpp-d": (LLAMA_D, "llamacpp-log", "llama.cpp"),
    "llama.cpp-jsonl": (LLAMA_JSONL, "llamacpp-log", "llama.cpp"),
    "llama.cpp-replay": (LLAMA_REPLAY, "llamacpp-log", "llama.cpp"),
    "llama.cpp-synthetic": (LLAMA_SYNTHETIC, "llamacpp-log", "llama.cpp"),
    "llama.cpp-coins": (LLAMA_COINS, "llamacpp-log", "llama.cpp"),
    "tensorrt-llm": (TENSORRT, "tensorrt-llm-log", "tensorrt-llm"),
    "lmdeploy": (LMDEPLOY, "lmdeploy-log", "lmdeploy"),
    "ollama": (OLLAMA, "ollama-log", "ollama"),
    "dynamo": (DYNAMO, "dynamo-log", "dynamo"),
    "aiperf-console": (AIPERF, "aiperf-console", "aiperf"),
    "ik-llama": (IK_LLAMA, "ik-llama-bench", "ik_llama.cpp"),
}
