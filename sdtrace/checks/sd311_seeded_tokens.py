"""Tokens of a seeded request contradict its own draws.

What it finds
A seed, the place of a row and the listed logprobs decide the token: vLLM's model runner V2 (one-hot drafts or none) by its
Philox uniform and murmur noise, SGLang (deterministic inference, nothing drafted) by murmur noise, llama.cpp by
std::mt19937. A token that neither an accepted draft, nor a recovered, bonus or plain token can be, is a contradiction.

Why it matters
Each token is a test. Forced acceptance of 5% shows within a hundred tokens where statistics of the text need 35,000.

What to do
Send the named request again with its seed and speculation off.

How it can be wrong
The stream must be recognised first: its draws have to name the emitted tokens far more often than any other stream could.
Drafts that are sampled (not the drafter's best token) follow another law: then the stream contradicts little, and lawfully.
"""

import polars as pl

from sdtrace.responses.streams import outcome
from sdtrace.results.check import Check

CHECK = Check(
    code="SD311",
    name="seeded-tokens",
    table="responses",
    needs=(),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=outcome,
)
