"""SGLang: meta_info of /generate and of OpenAI endpoints, records of --export-metrics-to-file, /server_info."""

from sdtrace.readers.records.shape import Node, Rows, Shape, value
from sdtrace.readers.sglang_meta import request_window


def rows(node: Node) -> Rows | None:
    """The object that holds spec_verify_ct (or says that there is none, beside completion_tokens), or a server's mean."""
    if (length := value(node, "avg_spec_accept_length")) is not None:  # lifetime, (accepted + steps) / steps
        row: Node = {"engine": "sglang", "surface": "server_info", "basis": "gauge", "said_length": length}
        return [row | {"length": length, "generation_tps": value(node, "last_gen_throughput")}]
    if "spec_verify_ct" not in node and not ("request_parameters" in node and "completion_tokens" in node):
        return None
    found = request_window(node)
    return [] if found is None else [found]


SHAPE = Shape(
    "sglang-requests",
    "sglang",
    "SGLang meta_info, exported request metrics or server_info",
    "`spec_verify_ct` in `meta_info`",
    rows,
)
