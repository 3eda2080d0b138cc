"""Scrapes of a vLLM server that drafts two tokens a step."""

SCRAPE = """# TYPE vllm:spec_decode_num_drafts_total counter
vllm:spec_decode_num_drafts_total{{engine="0"}} {drafts}
vllm:spec_decode_num_draft_tokens_total{{engine="0"}} {drafted}
vllm:spec_decode_num_accepted_tokens_total{{engine="0"}} {accepted}
vllm:spec_decode_num_accepted_tokens_per_pos_total{{engine="0",position="0"}} {first}
vllm:spec_decode_num_accepted_tokens_per_pos_total{{engine="0",position="1"}} {second}
vllm:generation_tokens_total{{engine="0"}} {tokens}
vllm:num_requests_running{{engine="0"}} 3
vllm:num_requests_waiting{{engine="0"}} 2
vllm:kv_cache_usage_perc{{engine="0"}} 0.25
"""


def scrape(drafts: int, first: int, second: int, engine: int = 0) -> str:
    accepted = first + second
    text = SCRAPE.format(
        drafts=drafts, drafted=2 * drafts, accepted=accepted, first=first, second=second, tokens=accepted + drafts
    )
    return text.replace('engine="0"', f'engine="{engine}",model_name="m"')
