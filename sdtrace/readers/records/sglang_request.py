"""SGLang: meta_info of /generate and of OpenAI endpoints, and the records of --export-metrics-to-file."""

from sdtrace.readers.records.shape import Node, Rows, Shape
from sdtrace.readers.sglang_meta import request_window


def rows(node: Node) -> Rows | None:
    """The object that holds spec_verify_ct (or says that there is none, beside completion_tokens)."""
    if "spec_verify_ct" not in node and not ("request_parameters" in node and "completion_tokens" in node):
        return None
    row = request_window(node)
    return [] if row is None else [row]


SHAPE = Shape("sglang-requests", "sglang", "SGLang meta_info or exported request metrics", rows)
