"""Who a night is about: services, and the version and configuration that each ran with."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sdtrace.audit.audit import Audit

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
#: Keys of `config` that differ between processes of one deploy.
_VOLATILE = frozenset({"host", "hostname", "node", "pid", "port", "pod", "time", "date", "started_at", "seed", "rank"})


@dataclass(frozen=True)
class Service:
    """One service in one night: its runs, and what they ran as (`parts`; several values where they differ)."""

    name: str
    runs: tuple[str, ...]
    parts: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """Equal exactly where version and configuration are."""
        return hashlib.sha256(json.dumps(self.parts, sort_keys=True).encode()).hexdigest()[:12]


def services(audit: Audit) -> list[Service]:
    """Every service of an audit, by name; runs without a line and inputs of counts go by their engine."""
    ids = audit.tally.frame("laws")["run_id"].unique(maintain_order=True).to_list()
    grouped: dict[str, list[str]] = {}
    for run_id in ids:
        grouped.setdefault(_name(audit.runs.get(run_id, {})), []).append(run_id)
    found = [Service(name, tuple(sorted(runs)), _parts(audit, runs)) for name, runs in sorted(grouped.items())]
    return found or _counted(audit)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What differs, in words."""
    names = [n for n in dict.fromkeys([*before, *after]) if before.get(n) != after.get(n)]
    return [f"{n} {before.get(n, 'not told')} -> {after.get(n, 'not told')}" for n in names]


def _name(run: Mapping[str, Any]) -> str:
    config = _config(run)
    for key in _NAMES:
        if isinstance(config.get(key), str) and config[key]:
            return str(config[key])
    models = [str(run[k]).rsplit("/", 1)[-1] for k in ("target_model", "draft_model") if run.get(k)]
    return " with ".join(models) or str(run.get("engine") or "unnamed")


def _config(run: Mapping[str, Any]) -> dict[str, Any]:
    try:
        config = json.loads(run.get("config") or "{}")
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def _parts(audit: Audit, runs: list[str]) -> dict[str, str]:
    values: dict[str, set[str]] = {}
    for run_id in runs:
        run = audit.runs.get(run_id, {})
        known = {name: run.get(name) for name in _PARTS}
        known |= {f"config.{k}": v for k, v in _config(run).items() if k not in _VOLATILE and k not in _NAMES}
        for name, value in known.items():
            if value is not None:
                told = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                values.setdefault(name, set()).add(told[:200])
    return {name: " and ".join(sorted(told)[:4]) for name, told in sorted(values.items())}


def _counted(audit: Audit) -> list[Service]:
    engines = audit.windows["engine"].drop_nulls().unique(maintain_order=True).to_list()
    engines = engines or list(dict.fromkeys(e.engine for e in audit.events))
    if not engines:
        return []
    values: dict[str, set[str]] = {"engine": {str(e) for e in engines}}
    for event in audit.events:
        if event.kind in ("config", "version", "synthetic", "lossy", "off"):
            values.setdefault(event.kind, set()).add((event.value or event.what)[:200])
    name = " and ".join(str(e) for e in engines)
    return [Service(name, (), {k: " and ".join(sorted(told)[:4]) for k, told in sorted(values.items())})]
