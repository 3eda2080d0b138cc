"""The chunks of streamed responses, joined: OpenAI and llama.cpp send what is new, SGLang everything so far."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sdtrace.readers.json_value import parsed
from sdtrace.readers.responses import llamacpp, openai, sglang
from sdtrace.readers.responses.parameters import whole

_LISTS = ("token_ids", "logprobs", "top_ids", "top_logprobs")
_DIALECTS = (sglang.rows, llamacpp.rows, openai.rows)


@dataclass
class Stream:
    """Responses of one stream so far, by name and choice."""

    rows: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    named: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def take(self, chunk: Mapping[str, Any], line: int | None = None) -> bool:
        """Add a chunk; whether it held tokens."""
        made = [row for rows in _DIALECTS for row in rows(chunk)]
        for row in made:
            key = str(row.get("request_id") or chunk.get("id") or ""), row["choice"]
            before = self.rows.get(key)
            if before is None:
                self.rows[key] = row | {"line": line} | {name: [*row[name]] for name in _LISTS}
                self.named.setdefault(key[0], []).append(self.rows[key])
            else:
                _grow(before, row)
        if not made:
            self._end(chunk)
        return bool(made)

    def responses(self) -> Iterator[dict[str, Any]]:
        """The responses as they are by now."""
        for row in self.rows.values():
            yield row | llamacpp.drafted({name: row[name] for name in _LISTS}) if row["engine"] == "llama.cpp" else row

    def _end(self, chunk: Mapping[str, Any]) -> None:
        """What the last chunks tell of a response whose tokens have come: why it ended, how many they were, its parameters."""
        mine = self.named.get(str(chunk.get("id") or ""), [])
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            for row in mine:
                if isinstance(choice, Mapping) and choice.get("index", 0) == row["choice"]:
                    row["finish_reason"] = choice.get("finish_reason") or row.get("finish_reason")
        usage = chunk.get("usage")
        if isinstance(usage, Mapping) and len(mine) == 1:
            mine[0]["completion_tokens"] = whole(usage.get("completion_tokens"))
        settings = chunk.get("generation_settings")
        if isinstance(settings, Mapping):
            for row in mine:
                row |= {k: v for k, v in llamacpp.ended(chunk).items() if v is not None}


def chunks(value: Any) -> Iterator[Mapping[str, Any]]:
    """The chunks of a response that was kept as a stream: its text, or a list of its events; nothing where it is none."""
    if isinstance(value, str) and value.lstrip().startswith("data:"):
        for line in value.splitlines():
            made = parsed(line[5:].strip().encode()) if line.startswith("data:") else None
            if isinstance(made, Mapping):
                yield made
    elif isinstance(value, list) and len(value) > 1 and (all(_is_chunk(one) for one in value) or _counted(value)):
        yield from value


def _is_chunk(one: Any) -> bool:
    if not isinstance(one, Mapping):
        return False
    return str(one.get("object", "")).endswith("chunk") or ("stop" in one and "content" in one) or _delta(one)


def _delta(one: Mapping[str, Any]) -> bool:
    """A chunk of a streamed completion is named as a whole one is; its usage is null or missing, or all that the last one holds."""
    return one.get("object") == "text_completion" and (not one.get("usage") or one.get("choices") == [])


def _counted(value: list[Any]) -> bool:
    """Chunks of a streamed completion that each count the tokens so far (vLLM's continuous_usage_stats, TensorRT-LLM's server)."""
    if not all(isinstance(one, Mapping) and one.get("object") == "text_completion" for one in value):
        return False
    usages = [one.get("usage") for one in value]
    counts = [whole(usage.get("completion_tokens")) for usage in usages if isinstance(usage, Mapping)]
    known = [n for n in counts if n is not None]
    rising = len(known) == len(value) and known == sorted(known) and known[0] < known[-1]
    return rising and len({str(one.get("id")) for one in value}) == 1


def _grow(before: dict[str, Any], row: dict[str, Any]) -> None:
    """Add what a chunk has; lists grow in place, for a response may come in 100,000 chunks."""
    now, then = row["token_ids"], before["token_ids"]
    everything = row["engine"] == "sglang" and now[: len(then)] == then
    before |= {k: v for k, v in row.items() if v is not None and k not in _LISTS}
    for name in _LISTS:
        if everything:
            before[name] = [*row[name]]
        else:
            before[name] += row[name]
