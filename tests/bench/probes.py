"""Probes of engines that are right: nothing may be said against any of them.

python -m tests.bench.probes [PROBES]    # speculating and plain, vLLM's and SGLang's interface, models of their own
"""

import sys

from sdtrace.probe.ask import Plan
from sdtrace.probe.prompts import BUILT_IN
from sdtrace.probe.run import probe
from sdtrace.replay.engine.client import Client
from tests.made.fake_engine import Engine, serving


def main(probes: int) -> None:
    """Prints what was said against each, which should be nothing."""
    said = suspected = tokens = 0
    for n in range(probes):
        engine = Engine(k=(3, 0, 5, 1)[n % 4], model=100 + n)
        with serving(engine, sglang=n % 5 == 4) as url:
            found = probe(Client(url), Plan(BUILT_IN, 24, 32), one_hot=True).document
        tokens += found["probe"]["tokens"]
        said += found["verdict"]["state"] == "wrong"
        suspected += any(c["certainty"] == "suspected" for c in found["causes"])
    print(f"{probes} probes of sound engines, {tokens:,} tokens: {said} accused, {suspected} suspected")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
