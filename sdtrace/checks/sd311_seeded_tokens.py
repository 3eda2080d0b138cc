"""Tokens of a seeded request contradict its own draws.

What it finds
A seed, the place of a row and the listed logprobs decide the token: vLLM's model runner V2 (one-hot drafts or none) by its
Philox uniform and murmur noise, SGLang by murmur noise where nothing is drafted, by murmur coins where drafts stand in a chain,
llama.cpp by std::mt19937. A token that neither an accepted draft, nor a recovered, bonus or plain token can be, is a
contradiction. Where a step of SGLang began is not told: no sequence of steps could have written the text.

Why it matters
Each token is a test. Forced acceptance of 5% shows within some 150 tokens where statistics of the text need 35,000.

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
