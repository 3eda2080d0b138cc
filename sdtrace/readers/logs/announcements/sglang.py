"""What SGLang says of itself, releases to 0.5.23: text that is not the target's, drafters that do not fit."""

from sdtrace.readers.logs.announcements.announcement import table

ROWS = table(
    (
        "sglang-greedy-verification",
        "falling back to greedy argmax verification",
        r"\w{1,20} non-greedy verification is unavailable on this build/device",
        "sampled requests are verified greedily: the text does not follow the distribution that they asked "
        "for",
        "sampling-not-preserved",
        "proved",
        "send temperature 0, or use a build whose verification kernel samples; another speculative algorithm "
        "samples too",
        "DFLASH non-greedy verification is unavailable on this build/device; falling back to greedy argmax "
        "verification. The requested sampling distribution will not be preserved; use temperature=0 and "
        "top_k=1 for lossless greedy decoding.",
    ),
    (
        "sglang-nan",
        "values were sanitized before sampling",
        r"NaN detected in .{1,80}?; values were sanitized before sampling",
        "NaN stood in what was sampled from; it is said once however often it happens",
        "invalid-probabilities",
        "proved",
        "look for overflow in the pass named (fp16 activations, a quantised kernel); compare answers with "
        "speculation off",
        "NaN detected in target logits; values were sanitized before sampling. This usually indicates "
        "numerical overflow (e.g. fp16 activations) or an upstream bug producing NaN. Logged once; further "
        "occurrences are silent.",
    ),
    (
        "sglang-canary-violation",
        "violation: launch_tag=",
        r"kv[_-]canary violation: launch_tag=",
        "the engine's own canary found state in the KV cache that is not the request's",
        "kv-corrupted",
        "proved",
        "stop trusting answers of this server; report the line with the flags; switch off, one at a time, "
        "overlap, cache sharing and the draft's cache",
        "kv_canary violation: launch_tag=verify fail_reason=token_mismatch stored_token=11 expected_token=12",
    ),
    (
        "sglang-canary-count",
        "violations=",
        r"\[canary\] step=\d{1,15} .{0,120}?violations=[1-9]",
        "the engine's own canary counts violations of the KV cache",
        "kv-corrupted",
        "proved",
        "look for the lines `kv_canary violation` with the launch that did it",
        "[canary] step=100 protected_tokens=4096 sweep_passes=10 violations=2 launch_tags_active=3/4",
    ),
    (
        "sglang-perturbed",
        "kv_canary perturb",
        r"kv_canary perturb \w{1,40}: (?!skipped)",
        "the KV cache is disturbed on purpose: a test setting is on",
        "kv-corrupted",
        "proved",
        "remove the setting --kv-canary-perturb (or its like) from this server",
        "kv_canary perturb next_token_swap: swapped i=0 j=1 step=12",
    ),
    (
        "sglang-simulated-dspark",
        "Simulated acceptance drawn ahead",
        r"Simulated acceptance drawn ahead of the draft launch",
        "simulated acceptance is on: accepted lengths are drawn, not decided",
        "synthetic-acceptance",
        "proved",
        "a benchmark setting is on (SGLANG_SIMULATE_ACC_LEN); remove it from production",
        "Simulated acceptance drawn ahead of the draft launch (first step).",
    ),
    (
        "sglang-grammar",
        "Grammar accept_token failed",
        r"Grammar accept_token failed for req",
        "a grammar met a token that it does not allow: accepted drafts went past a structured output's rules",
        "corrupt-text",
        "suspected",
        "send the same requests without speculation; if they end well there, report the request at the line "
        "named",
        "Grammar accept_token failed for req 81ab with token 198: Tokens not accepted",
    ),
    (
        "sglang-block-size",
        "block size mismatch",
        r"DFLASH block size mismatch: using speculative_num_draft_tokens=",
        "the draft length is not the one that the drafter was trained for",
        "low-acceptance",
        "suspected",
        "set --speculative-num-draft-tokens to the block size of the drafter's configuration",
        "DFLASH block size mismatch: using speculative_num_draft_tokens=8 but draft config block_size=16.",
    ),
    (
        "sglang-gamma",
        "DSpark gamma mismatch",
        r"DSpark gamma mismatch: using gamma=",
        "the draft length is not the one that the drafter was trained for",
        "low-acceptance",
        "suspected",
        "set --speculative-num-draft-tokens to the block size of the drafter's configuration",
        "DSpark gamma mismatch: using gamma=4 (from speculative_num_draft_tokens=5) but draft config "
        "block_size=8.",
    ),
    (
        "sglang-mtp-depth",
        "exceeds the checkpoint's num_draft_slots",
        r"MTP depth \d{1,6} exceeds the checkpoint's num_draft_slots",
        "more tokens are drafted than the checkpoint has MTP layers for",
        "tau-too-large",
        "suspected",
        "lower --speculative-num-steps to the number of the checkpoint's draft slots",
        "MTP depth 5 exceeds the checkpoint's num_draft_slots=3.",
    ),
    (
        "sglang-lora-embedding",
        "so those deltas do not influence drafting",
        r"LoRA adapter '[^']{1,200}' targets embedding modules",
        "an adapter changes the embeddings, and the drafter does not see it: it accepts less on that adapter",
        "low-acceptance",
        "suspected",
        "compare acceptance with and without the adapter",
        "LoRA adapter 'a' targets embedding modules (['embed_tokens']) while EAGLE-family speculative "
        "decoding is enabled. The shared draft consumes their base weights, so those deltas do not influence "
        "drafting and may reduce the accept rate. Outputs are unaffected.",
    ),
    (
        "sglang-draft-cache-not-saved",
        "draft indexer KV is not backed up",
        r"NPU HiCache kernel_ascend IO: MTP draft pool",
        "the draft's cache is not saved with the target's: restored prompts draft without it",
        "low-acceptance",
        "suspected",
        "compare acceptance of prompts restored from the host cache with fresh ones",
        "NPU HiCache kernel_ascend IO: MTP draft pool p carries an index_k_buffer but the host MLA pool "
        "allocates indexer rows only for the target pool; draft indexer KV is not backed up.",
    ),
    (
        "sglang-draft-cache-skipped",
        "skipping MTP draft pool whose",
        r"NPU HiCache kernel_ascend IO: skipping MTP draft pool",
        "the draft's cache is not transferred: restored prompts draft without it",
        "low-acceptance",
        "suspected",
        "compare acceptance of prompts restored from the host cache with fresh ones",
        "NPU HiCache kernel_ascend IO: skipping MTP draft pool whose dtype (a, b) does not match the host "
        "dtype (c, d); its KV is not transferred.",
    ),
    (
        "sglang-boundary-fix-off",
        "SGLANG_ENABLE_MTP_BOUNDARY_KV_FIX disabled",
        r"SGLANG_ENABLE_MTP_BOUNDARY_KV_FIX disabled",
        "a fix of the draft's cache is off: hidden sizes of draft and target differ",
        "low-acceptance",
        "suspected",
        "compare acceptance at the first positions with a drafter of the target's hidden size",
        "SGLANG_ENABLE_MTP_BOUNDARY_KV_FIX disabled: draft hidden size 2048 != target hidden size 7168 (the "
        "stash holds verify hiddens).",
    ),
    (
        "sglang-mtp-parameter",
        "not found in params_dict, skip loading",
        r"Parameter [\w.-]{1,200} not found in params_dict, skip loading",
        "a weight of the drafter found no place in its model",
        "drafter-miswired",
        "suspected",
        "compare the names in the drafter's checkpoint with those that the engine loads",
        "Parameter model.layers.0.mlp.experts.w13 not found in params_dict, skip loading",
    ),
    (
        "sglang-unexpected-weight",
        "unexpected weight",
        r"(?:Eagle3 MLA: skipping|DSpark V4 draft:) unexpected weight",
        "a weight of the drafter's checkpoint has no place in its model",
        "drafter-miswired",
        "suspected",
        "compare the names in the drafter's checkpoint with those that the engine loads",
        "Eagle3 MLA: skipping unexpected weight fc_norm.weight",
    ),
    (
        "sglang-unrecognised-weight",
        "Unrecognized weight",
        r"Unrecognized weight: \S{1,200} Skipping",
        "a weight of the drafter's checkpoint has no place in its model",
        "drafter-miswired",
        "suspected",
        "compare the names in the drafter's checkpoint with those that the engine loads",
        "Unrecognized weight: eagle_linear.bias. Skipping.",
    ),
    (
        "sglang-target-layers",
        "differs from runtime target num_hidden_layers",
        r"Draft config num_target_layers=\S{1,20} differs from runtime target",
        "the drafter was made for a target with another number of layers",
        "drafter-miswired",
        "suspected",
        "use the drafter that was trained on this target",
        "Draft config num_target_layers=36 differs from runtime target num_hidden_layers=48; selecting "
        "capture layers based on the runtime target model.",
    ),
)  # fmt: skip
