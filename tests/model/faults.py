"""A real model that is really run wrongly: which fault does the replay name?

    python tests/model/faults.py --verifier MODEL --drafter MODEL --trace TRACE [--requests 4] [--tokens 28] [--only FAULT...]
        [--server URL [--other URL]]    # p from a server of the same model; another one has the drafter

TRACE is a sampled trace of assisted generation with prompt ids (`sample_logs/make/record_transformers.py --prompts`). It is
replayed as it is, and nothing may be named. Its prompts then go, inside the model's chat template, through the engine of
`engine.py`, once soundly and once for every fault: the verifier's cache, positions, parameters, prompt or weights are
wrong, its p is recorded and its decisions follow from it. Exits 1 on a wrong name, or on any name for a sound engine.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers

from sdtrace import read
from sdtrace.api import replay
from sdtrace.replay.model import special_ids
from sdtrace.replay.requests import gather
from tests.model import engine
from tests.model.engine import Asked, record

ASKED = Asked(temperature=0.8, top_k=20, top_p=0.9, repetition=1.1)
#: What p under a penalty would be, an engine does not tell.
UNPENALISED = replace(ASKED, repetition=1.0)
FAULTS = [*engine.FAULTS, "another-checkpoint"]
#: What a server's scores name, where it is not the fault's own name.
BY_SCORES = {
    "positions-ahead": "positions-shifted", "positions-behind": "positions-shifted", "quantised-Q4_0": "other-weights",
    "another-checkpoint": "other-weights",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verifier", required=True)
    parser.add_argument("--drafter", required=True, help="also the other checkpoint that may have run instead")
    parser.add_argument("--trace", required=True)
    parser.add_argument("--requests", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=28)
    parser.add_argument("--server", metavar="URL")
    parser.add_argument("--other", metavar="URL")
    parser.add_argument("--only", nargs="+", default=FAULTS, choices=FAULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    load: dict[str, Any] = {"dtype": torch.float32, "attn_implementation": "sdpa"}
    target, draft = (
        transformers.AutoModelForCausalLM.from_pretrained(name, **load, trust_remote_code=False).eval()
        for name in (given.verifier, given.drafter)
    )
    prompts, special = templated(given), special_ids(given.verifier)
    asked = UNPENALISED if given.server else ASKED
    wrong = 0 if given.server else int(told("recorded by Transformers", given.trace, given, None))
    only = [one for one in given.only if not (given.server and one.startswith("penalties"))]
    for fault in ["healthy", *only]:
        with tempfile.TemporaryDirectory() as folder:
            model = draft if fault == "another-checkpoint" else target
            how: dict[str, Any] = {"prompts": prompts, "tokens": given.tokens, "special": special}
            trace = record(Path(folder) / "t", model, draft, asked, fault, **how)
            expected = {"healthy": None, "another-checkpoint": f"model:{given.drafter}"}.get(fault, fault)
            wrong += (scored if given.server else told)(fault, trace, given, expected)
    return int(wrong > 0)


def templated(given: argparse.Namespace) -> list[list[int]]:
    """The recorded prompts as a user's turn."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(given.verifier, trust_remote_code=False)
    ones = gather(read(given.trace), given.requests).conversations
    return [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": tokenizer.decode(one.prompt)}], add_generation_prompt=True
        )["input_ids"]
        for one in ones
    ]


def scored(fault: str, trace: Any, given: argparse.Namespace, expected: str | None) -> bool:
    """One line of the table by a server's scores; whether it is wrong."""
    suspects = [given.other] if given.other and fault == "another-checkpoint" else []
    document = replay(trace, verifier=given.server, suspects=suspects).document
    found, causes = document["replay"], [c["cause"] for c in document["causes"] if c["side"] == "wrong"]
    log_p, name = found["log_p"], BY_SCORES.get(fault, expected)
    if suspects:
        name = next((w["name"] for w in found["ways"] if w["name"].startswith("model:")), None)
    # places where a fault can begin are one where the first draft of every request was rejected
    best = max((w["log_odds"] for w in found["ways"] if w["name"] == found["named"]), default=0.0)
    alike = {found["named"]} | {
        w["name"] for w in found["ways"] if w["log_odds"] == best and w["name"].startswith("positions")
    }
    named = found["named"] == name or (str(found["named"]).startswith("positions") and name in alike)
    right = named and bool(causes) == (expected is not None)
    print(
        f"{'ok   ' if right else 'OTHER'} {fault}: named {found['named']} ({document['verdict']['state']}, {causes}); "
        f"median |d log p| {log_p['median']:.2g}, {log_p['outside_band']} of {log_p['compared']} outside {found['band']['width']:.1g}; "
        f"decisions: {found['decisions']['agree']} agree, {found['decisions']['disagree']} disagree; "
        f"likeliest {[(w['name'], round(w['log_odds']), round(w['within_band'], 2)) for w in found['ways'][:2]]}",
        flush=True,
    )
    return not right


def told(fault: str, trace: Any, given: argparse.Namespace, expected: str | None) -> bool:
    """One line of the table; whether the name is wrong."""
    begin = time.process_time()
    suspects = [given.drafter] if fault == "another-checkpoint" else []
    document = replay(trace, verifier=given.verifier, suspects=suspects).document
    found, cause = document["replay"], next(iter(document["causes"]), None)
    log_p, right = found["log_p"], found["named"] == expected
    if expected is None:
        right = right and not [c for c in document["causes"] if c["side"] == "wrong"] and not log_p["outside_band"]
    ranked = [w["name"] for w in found["ways"][:2]]
    uniform = found["emitted_under_p"]
    print(
        f"{'ok   ' if right else 'WRONG'} {fault}: named {found['named']} ({document['verdict']['state']}, "
        f"{cause['cause'] if cause else 'no cause'}); median |d log p| {log_p['median']:.2g}, {log_p['outside_band']} of "
        f"{log_p['compared']} outside {found['band']['width']:.1g}; decisions under the model's p: "
        f"{found['decisions']['agree']} agree, {found['decisions']['disagree']} disagree; kept tokens uniform: "
        f"{uniform and round(uniform['p_value'], 3)}; likeliest {ranked}; {time.process_time() - begin:.0f} s",
        flush=True,
    )
    return not right


if __name__ == "__main__":
    raise SystemExit(main())
