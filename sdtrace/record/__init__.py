"""Recording a trace from an engine: `TraceWriter` for any of them, `transformers` and `vllm` for those two."""

from sdtrace.record.writer import TraceWriter

__all__ = ["TraceWriter"]
