"""What was tested and how small a fault would have shown, as one file that anybody can check: python -m sdtrace.certificate FILE.

The certificate holds its evidence: sums of each statistic, hashes of the inputs. The checker needs nothing else of this package, and trusts
nothing that it can compute: e-values from their bets, bounds from sums, the verdict from both, the digest over all of it.
"""

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sdtrace.version import VERSION

#: An accusation needs an e-value of a million; bounds hold at 99%.
LEVEL, CONFIDENCE = 1e6, 0.99
_FORMAT = 1


def certificate(document: Mapping[str, Any]) -> dict[str, Any]:
    """The certificate of a report. What was not tested is not in it."""
    made: dict[str, Any] = {
        "format": _FORMAT,
        "tool": "sdtrace",
        "version": VERSION,
        "verdict": document["verdict"]["state"],
        "causes": [
            {"cause": c["cause"], "certainty": c["certainty"], "headline": c["headline"]} for c in document["causes"]
        ],
        "not_checked": document["verdict"]["not_checked"],
        "inputs": [_input(one) for one in document["inputs"]],
        "level": LEVEL,
        "confidence": CONFIDENCE,
        "evidence": list(_evidence(document)),
    }
    made["bound"] = bound(made["evidence"])
    made["digest"] = digest(made)
    return made


def _input(one: Mapping[str, Any]) -> dict[str, Any]:
    """An input by its name and, where it is a file, its hash."""
    path = Path(one["path"])
    known = "://" not in one["path"] and path.is_file()
    return {
        "path": one["path"],
        "format": one["format"],
        "sha256": _hash(path) if known else None,
        "losses": sum(x["count"] for x in one["losses"]),
    }


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _evidence(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Sums of everything that was tested, each under what it is of."""
    audit = document.get("audit")
    if audit and audit["tested"]:
        yield {"of": "decisions", "n": audit["tested"], "agree": audit["agree"], "wrong": audit["disagree"]}
    replay = document.get("replay") or {}
    for name, text in (("responses", document.get("text")), ("responses scored by the engine", replay.get("text"))):
        if not text:
            continue
        if text["greedy"]:
            yield {"of": f"{name}, temperature 0", "n": text["greedy"]["tokens"], "wrong": text["greedy"]["wrong"]}
        for server in text["servers"]:
            for code, one in server["statistics"].items():
                kept = {k: one[k] for k in ("observed", "expected", "variance", "bets", "log_e", "bias_at_most")}
                where = {"engine": server["engine"], "model": server["model"], "basis": server["basis"]}
                yield {"of": f"{name}, {code}", "n": one["tokens"], **where, **kept}
        for one in text["seeds"]:
            if one["stream"]:
                yield {
                    "of": f"{name}, seeded tokens",
                    "n": one["tokens"],
                    "stream": one["stream"],
                    "wrong": one["contradicted"],
                }


def bound(evidence: list[dict[str, Any]]) -> dict[str, float | None]:
    """How large a fault can be that nothing saw, at 99%: the share of wrong ones among what was counted; the bias per token of shares."""
    counted = [share(e["wrong"], e["n"]) for e in evidence if "wrong" in e]
    biases = [
        e["bias_at_most"]
        for e in evidence
        if "bets" in e and e["of"].endswith(("rank", "rest")) and e["bias_at_most"] is not None
    ]
    return {"wrong_share_at_most": max(counted, default=None), "bias_per_token_at_most": max(biases, default=None)}


def share(wrong: int, n: int) -> float:
    """Upper bound of a share at CONFIDENCE: exact for none of n, Bernstein's (with the bound's own variance) else."""
    if not n:
        return 1.0
    x = -math.log(1 - CONFIDENCE)
    return min(1.0, x / n if not wrong else (wrong + x / 3 + math.sqrt(2 * wrong * x + x * x / 9)) / n)


def bias(one: Mapping[str, Any]) -> float:
    """Upper bound of a bias per token, both sides (Freedman)."""
    x = math.log(2 / (1 - CONFIDENCE))
    far = max(abs(one["observed"] - one["expected"][0]), abs(one["observed"] - one["expected"][1]))
    return float(min((far + math.sqrt(2 * one["variance"] * x) + x / 3) / one["n"], 1.0))


def log_mean(logs: list[float]) -> float:
    """Log of the mean of e-values from their logs."""
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs) / len(logs))


def digest(made: Mapping[str, Any]) -> str:
    """SHA-256 of everything but itself, keys sorted."""
    kept = {k: v for k, v in made.items() if k != "digest"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, allow_nan=False).encode()).hexdigest()


def problems(made: Mapping[str, Any], folder: Path) -> list[str]:
    """What does not hold in a certificate; inputs that are there are hashed again."""
    found = (
        [] if made.get("digest") == digest(made) else ["the digest is not that of the content: the file was changed"]
    )
    if made.get("format") != _FORMAT:
        return [*found, f"format {made.get('format')!r} is not known here"]
    for one in made["inputs"]:
        path = next((p for p in (Path(one["path"]), folder / Path(one["path"]).name) if p.is_file()), None)
        if one["sha256"] and path is not None and _hash(path) != one["sha256"]:
            found.append(f"{one['path']}: another file than the one that was tested")
    for one in made["evidence"]:
        found += _recomputed(one)
    if made["bound"] != bound(made["evidence"]):
        found.append("the bound does not follow from the evidence")
    wrong = [e["of"] for e in made["evidence"] if _accuses(e)]
    if made["verdict"] == "healthy" and wrong:
        found.append(f"the verdict is healthy, and the evidence is not: {', '.join(wrong)}")
    if made["verdict"] == "healthy" and not made["evidence"]:
        found.append("the verdict is healthy, and nothing was tested for it")
    return found


def _recomputed(one: Mapping[str, Any]) -> Iterator[str]:
    """What of a row of evidence does not follow from its sums."""
    checks: dict[str, Callable[[], float]] = {}
    if "bets" in one:
        checks = {"log_e": lambda: log_mean(one["bets"]), "bias_at_most": lambda: bias(one)}
    for name, value in checks.items():
        if one[name] is None or not math.isclose(value(), one[name], rel_tol=1e-9, abs_tol=1e-9):
            yield f"{one['of']}: {name} does not follow from its sums"
    if "wrong" in one and not 0 <= one["wrong"] <= one["n"]:
        yield f"{one['of']}: {one['wrong']} wrong of {one['n']}"


def _accuses(one: Mapping[str, Any]) -> bool:
    return log_mean(one["bets"]) >= math.log(LEVEL) if "bets" in one else one["wrong"] > 0 and one["of"] == "decisions"


def main(args: list[str]) -> int:
    """0 it holds, 1 it does not, 2 it is none."""
    if len(args) != 1:
        print("usage: python -m sdtrace.certificate FILE", file=sys.stderr)
        return 2
    try:
        made = json.loads(Path(args[0]).read_text(encoding="utf-8"))
        found = problems(made, Path(args[0]).parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        print(f"error: {args[0]!r} is no certificate ({type(error).__name__})", file=sys.stderr)
        return 2
    for problem in found:
        print(ascii(problem)[1:-1])
    if not found:
        n = sum(e["n"] for e in made["evidence"])
        limits = ", ".join(f"{k.replace('_', ' ')} {v:.2%}" for k, v in made["bound"].items() if v is not None)
        print(
            f"it holds: {made['verdict']}; {len(made['evidence'])} statistics over {n:,} cases; at 99%: {limits or 'no bound'}"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
