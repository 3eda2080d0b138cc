"""Who a night is about: services, and the version and configuration that each ran with."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sdtrace.audit.audit import Audit
from sdtrace.schema.json_values import Json
from sdtrace.schema.run import Run

#: What of a run line is the configuration; a change of any of it is a deploy.
_PARTS = (
    "engine",
    "engine_version",
    "method",
    "target_model",
    "draft_model",
    "rule",
    "rule_params",
    "draft_sampling",
    "num_draft_tokens",
)
#: Keys of `config` that name the service, in order of trust.
_NAMES = ("deployment", "service", "endpoint", "name")
#: Keys of `config` that are kept beside the names; a change of one is a deploy. What else stands there (flags, keys,
#: addresses, counters) is neither kept nor looked at.
_SETTINGS = frozenset(
    {
        *("dtype", "device", "gpu", "gpus", "gpu_name", "quantization", "kv_cache_dtype", "attention_backend"),
        *("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "expert_parallel_size"),
        *("enable_expert_parallel", "enable_prefix_caching", "enable_chunked_prefill", "enforce_eager"),
        *("max_model_len", "max_num_seqs", "max_num_batched_tokens", "block_size", "gpu_memory_utilization"),
        *(
            "async_scheduling",
            "scheduling_policy",
            "cuda_graph",
            "num_gpus",
            "threads",
            "num_assistant_tokens_schedule",
        ),
        *("deploy", "deploy_id", "deployment_id", "revision", "commit", "build", "release", "image", "region", "tier"),
    }
)
#: Characters of a name or a value that are kept.
_LONG = 200


@dataclass(frozen=True)
class Service:
    """One service in one night: its runs, and what they ran as (`parts`; several values where they differ)."""

    name: str
    runs: tuple[str, ...]
    parts: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """Equal exactly where version and configuration are."""
        return fingerprint(self.parts)


def services(audit: Audit) -> list[Service]:
    """Every service of an audit, by name; runs without a line and inputs of counts go by their engine."""
    ids = audit.tally.frame("laws")["run_id"].unique(maintain_order=True).to_list()
    grouped: dict[str, list[str]] = {}
    for run_id in ids:
        grouped.setdefault(_name(audit.runs.get(run_id, Run())), []).append(run_id)
    found = [Service(name, tuple(sorted(runs)), _parts(audit, runs)) for name, runs in sorted(grouped.items())]
    return found or _counted(audit)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What differs, in words."""
    names = [n for n in dict.fromkeys([*before, *after]) if before.get(n) != after.get(n)]
    return [f"{n} {before.get(n, 'not told')} -> {after.get(n, 'not told')}" for n in names]


def _name(run: Run) -> str:
    config = kept_config(run)
    for key in _NAMES:
        if isinstance(config.get(key), str) and config[key]:
            return str(config[key])
    models = [_clean(name).rsplit("/", 1)[-1] for name in (run.target_model, run.draft_model) if name]
    return " with ".join(models) or _clean(run.engine or "unnamed")


def kept_config(run: Run) -> Json:
    """What the state keeps of the `config` of a run: names and _SETTINGS, where they are plain values."""
    config = run.settings
    known = {k: config[k] for k in (*_NAMES, *sorted(_SETTINGS)) if k in config}
    plain = {
        k: v for k, v in known.items() if isinstance(v, str | bool) or (isinstance(v, int | float) and abs(v) < 1e18)
    }
    return {k: _clean(v) if isinstance(v, str) else v for k, v in plain.items()}


def kept_parts(record: Json) -> Json:
    """A record of any version with only such parts as this one keeps; the fingerprint is that of those."""
    services = {
        name: told
        | (
            {"parts": parts, "fingerprint": fingerprint(parts)}
            if (parts := {k: v for k, v in told["parts"].items() if _is_kept(k)}) != told["parts"]
            else {}
        )
        for name, told in record["services"].items()
    }
    return record | {"services": services}


def fingerprint(parts: Mapping[str, str]) -> str:
    """Equal exactly where version and configuration are."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _is_kept(part: str) -> bool:
    return not part.startswith("config.") or part.removeprefix("config.") in _SETTINGS


def without_credentials(text: str) -> str:
    """An address without its user, and without what follows its path; any other text as it is."""
    if "://" not in text:
        return text
    plain = "".join(map(_anonymous, re.split(r"(\s)", text[:4096])))
    query = re.compile(r"[?#]").search(plain, plain.find("://"))
    return plain if query is None else plain[: query.start()]


def _anonymous(word: str) -> str:
    """A word without what stands between `://` and its last `@`."""
    begin, end = word.find("://"), word.rfind("@")
    return word[: begin + 3] + word[end + 1 :] if 0 <= begin < end else word


def _clean(text: str) -> str:
    """A name or a value on one line, of bounded length, without credentials."""
    return without_credentials("".join(c if c.isprintable() else " " for c in text[: 4 * _LONG]))[:_LONG]


def _parts(audit: Audit, runs: list[str]) -> dict[str, str]:
    values: dict[str, set[str]] = {}
    for run_id in runs:
        run = audit.runs.get(run_id, Run())
        known = {name: getattr(run, name) for name in _PARTS}
        known |= {f"config.{k}": v for k, v in kept_config(run).items() if k in _SETTINGS}
        for name, value in known.items():
            if value is not None:
                told = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                values.setdefault(name, set()).add(_clean(told))
    return {name: " and ".join(sorted(told)[:4]) for name, told in sorted(values.items())}


def _counted(audit: Audit) -> list[Service]:
    engines = audit.windows["engine"].drop_nulls().unique(maintain_order=True).to_list()
    engines = engines or list(dict.fromkeys(e.engine for e in audit.events))
    if not engines:
        return []
    values: dict[str, set[str]] = {"engine": {str(e) for e in engines}}
    for event in audit.events:
        if event.kind in ("config", "version", "synthetic", "lossy", "off"):
            values.setdefault(event.kind, set()).add(_clean(event.value or event.what))
    name = _clean(" and ".join(str(e) for e in engines))
    return [Service(name, (), {k: " and ".join(sorted(told)[:4]) for k, told in sorted(values.items())})]
