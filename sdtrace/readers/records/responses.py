"""Responses with logprobs and no count of drafts: what their tokens say is in `Batch.responses`, there are no windows."""

from sdtrace.readers.records.shape import Node, Rows, Shape
from sdtrace.readers.responses import answered, holds


def rows(node: Node) -> Rows | None:
    """No window; the object holds logprobs of emitted tokens, or a request with its answer, which an engine can score."""
    return [] if holds(node) or answered(node) else None


SHAPE = Shape(
    "responses",
    "openai",
    "responses of vLLM, SGLang, llama.cpp or an OpenAI interface with logprobs, with or without their request",
    "`logprobs`, `output_token_logprobs` or `completion_probabilities`",
    rows,
)
