"""Recording a trace from an engine: `TraceWriter` for any of them, `transformers`, `vllm` and `sglang` for those three."""

from sdtrace.record.writer import TraceWriter

__all__ = ["TraceWriter"]
