"""The files for machines against who reads them elsewhere: official schemas and Prometheus' promtool.

    python tests/consumers/check.py --sarif-schema sarif-schema-2.1.0.json --junit-schema junit-10.xsd

The schemas are those of OASIS (oasis-tcs/sarif-spec) and of Jenkins' xUnit plugin; promtool comes with Prometheus. Needs
`pip install jsonschema lxml`. Exits 1 where any file is not accepted.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import jsonschema
from lxml import etree

sys.path.insert(0, str(Path(__file__).parents[2]))
from sdtrace.cli import run
from tests.made.nights import Plan, write_night

SAMPLES = Path(__file__).parents[2] / "sample_logs"


def main() -> int:
    """Reports of the samples, and three nights of which one service is wrong, one alarm acknowledged."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--sarif-schema", required=True)
    asked.add_argument("--junit-schema", required=True)
    given = asked.parse_args()
    sarif = json.loads(Path(given.sarif_schema).read_text())
    junit = etree.XMLSchema(etree.parse(given.junit_schema))
    refused = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = Plan(fault=lambda s, i: "lenience-0.7" if s == "code" else None)
        state = ["--state", str(folder / "state")]
        known = ["--acknowledge", "cause:lenient-acceptance:code", "--until", "2027-01-01"]
        commands = [["report", str(path)] for path in sorted(SAMPLES.glob("*.jsonl.gz"))]
        commands += [["nightly", *map(str, write_night(folder / "logs", i, plan)), *state] for i in range(3)]
        for command in [*commands, ["nightly", *state, *known]]:
            files = {kind: folder / kind for kind in ("sarif", "junit", "prometheus")}
            run([*command, "-q", *(x for kind, path in files.items() for x in (f"--{kind}", str(path)))])
            wrong = [
                e.message[:200]
                for e in jsonschema.Draft7Validator(sarif).iter_errors(json.loads(files["sarif"].read_text()))
            ]
            if not junit.validate(etree.parse(str(files["junit"]))):
                wrong.append(str(junit.error_log.last_error))
            with files["prometheus"].open() as text:
                told = subprocess.run(["promtool", "check", "metrics"], stdin=text, capture_output=True, text=True)
            wrong += [told.stdout + told.stderr] if told.returncode else []
            print("refused" if wrong else "accepted", " ".join(command[:2]), *wrong)
            refused += bool(wrong)
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main())
