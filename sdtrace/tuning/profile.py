"""A speculation profile for simulators: how often the token at each position of a draft is accepted, with intervals and counts.

The keys are those of ModelOpt's speculation_profile.json (schema 1.0): `conditional_accept_rates` are what Dynamo's mocker takes
(P(accept j | all before j accepted)), `marginal_accept_rates` what vLLM's synthetic sampler takes (P(accept 0 .. j)). Beside them
stand `intervals` and `counts`, which that schema does not have. What is not known is null: no rate is made up.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.redaction import nameless
from sdtrace.schema.run import Run
from sdtrace.tuning.by_position import Accepted, Readable, of_counts, of_steps
from sdtrace.verify.law import children, parameters
from sdtrace.verify.laws import LAWS
from sdtrace.version import VERSION

#: Methods whose draft of k tokens is the beginning of their draft of k + 1: one measurement tells every shorter draft.
_CHAINS = frozenset({"eagle", "eagle1", "eagle2", "eagle3", "draft_model"})
#: How far the mean may be from the one that the rates give: a wider gap means a rate that was cut off.
_TOLERANCE = 0.02


def profile(audit: Audit, diagnosis: Diagnosis, sources: Sequence[Readable]) -> dict[str, Any] | None:
    """The profile of all that was read; None where nothing tells what was accepted. Steps are read once more for it."""
    steps = not audit.tally.frame("laws").is_empty()
    seen = of_steps(sources, audit) if steps else of_counts(diagnosis.figures_from, audit.windows)
    if seen is None:
        return None
    runs = list(audit.runs.values())
    method, width = _one(r.method for r in runs), _one(children(parameters(r)) for r in runs)
    configured = _one(r.num_draft_tokens for r in runs)
    k = max(int(configured or 0), seen.k, len(seen.tested)) or None
    one_length = k is not None and (len(runs) < 2 or configured is not None)
    laws = diagnosis.chosen.frame("laws").filter(pl.col("steps") > 0)["law"].unique().to_list() if steps else []
    withheld = sorted(law for law in laws if law in LAWS and LAWS[law].decides != "token")
    chain = str(method).lower() in _CHAINS and width in (None, 1)
    rates: dict[str, list[Any] | None] = {
        "conditional_accept_rates": _filled(seen.conditional, k),
        "marginal_accept_rates": _filled(seen.marginal, k),
    }
    ends: dict[str, list[Any] | None] = {
        "conditional_accept_rates": _filled(seen.conditional_ends, k),
        "marginal_accept_rates": _filled(seen.marginal_ends, k),
    }
    if withheld:
        rates, ends = dict.fromkeys(rates), dict.fromkeys(ends)
    return {
        "schema_version": "1.0",
        "measured": True,
        "method": method,
        "draft_checkpoint": _model(_one(r.draft_model for r in runs)),
        "target_model": _model(_one(r.target_model for r in runs)),
        "num_speculative_tokens": k,
        "block_size": None,
        "max_supported_k": None,
        "verification_method": " and ".join(withheld) or "longest_prefix",
        **rates,
        **(_reason(withheld) if withheld else {}),
        "mean_accept_length": seen.mean,
        "mean_accept_length_per_request": seen.mean_per_request,
        "accept_length_model": "chain_analytic" if chain else "measured_per_k",
        "accept_length_by_k": {str(k): seen.mean} if one_length and seen.mean is not None else {},
        "acceptance_length_histogram": seen.histogram,
        "per_category": None,
        "measurement_conditions": _conditions(audit, diagnosis, seen, runs, steps=steps),
        "validation": None if withheld or seen.mean is None else _validation(seen.mean, seen.marginal),
        "intervals": {"level": 0.95, "clusters": seen.clusters_are, "clusters_used": seen.clusters, **ends}
        | {"mean_accept_length": seen.mean_ends},
        "counts": {
            "steps_that_drafted": seen.drafting,
            "drafted": seen.drafted,
            "accepted": seen.total,
            "tested_by_position": seen.tested,
            "accepted_by_position": seen.accepted,
        },
        "tool": f"sdtrace {VERSION}",
    }


def _reason(laws: Sequence[str]) -> dict[str, str]:
    told = f"the {' and '.join(laws)} rule decides on several tokens at once: it gives no longest-prefix distribution"
    return {"vectors_unavailable_reason": told}


_Value = TypeVar("_Value")


def _one(values: Iterable[_Value | None]) -> _Value | None:
    """The value that all of them are; None where they differ or there is none."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _filled(values: Sequence[Any], k: int | None) -> list[Any]:
    """One entry a position; null where no draft got there."""
    return [*values, *[None] * ((k or 0) - len(values))]


def _model(path: str | None) -> dict[str, str] | None:
    """A model as `owner/name`: a profile is handed on with a checkpoint, and paths of a cluster are nobody's business."""
    parts = [part for part in (path or "").replace("\\", "/").split("/") if part]
    return {"id": nameless("/".join(parts[-2:]))} if parts else None


def _conditions(
    audit: Audit, diagnosis: Diagnosis, seen: Accepted, runs: Sequence[Run], *, steps: bool
) -> dict[str, Any]:
    """What the numbers were measured on. No path, host or name of a request is among it."""
    engines = {i.engine for i in audit.inputs if i.engine}
    told = audit.requests["temperature"].drop_nulls().unique().sort().to_list()
    return {
        "source": "recorded steps" if steps else "counters",
        "engine": _one(r.engine for r in runs) or (engines.pop() if len(engines) == 1 else None),
        "engine_version": _one(r.engine_version for r in runs),
        "requests": seen.requests,
        "from": seen.first_at,
        "to": seen.last_at,
        "temperatures": told[:20] or None,
        "verdict": diagnosis.state,
    }


def _validation(mean: float, marginal: Sequence[float | None]) -> dict[str, Any]:
    """The two checks of the schema: the mean is 1 + the sum of the marginal rates, and these never rise."""
    known = [rate for rate in marginal if rate is not None]
    implied = 1.0 + sum(known)
    rises = [j + 1 for j, (a, b) in enumerate(pairwise(known)) if b > a + 1e-9]
    return {
        "mean_consistency": {
            "implied_mean_accept_length": implied,
            "reported_mean_accept_length": mean,
            "abs_delta": abs(implied - mean),
            "tolerance": _TOLERANCE,
            "passed": abs(implied - mean) <= _TOLERANCE,
        },
        "marginal_monotonicity": {
            "passed": not rises,
            "violations": [{"position": j, "value": known[j], "previous": known[j - 1]} for j in rises],
        },
    }
