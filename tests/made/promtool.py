"""`promtool test rules`: which alerts of a rules file fire on given series."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool (Debian: apt-get install prometheus)"
)


def fired(
    text: str, alerts: Iterable[str], series: Sequence[Mapping[str, str]], every: int, at: int, tmp_path: Path
) -> set[str]:
    """Those of `alerts` that fire by the rules `text` at minute `at`, the samples of the series `every` minutes apart from minute 0."""
    wanted = sorted(set(alerts))
    (tmp_path / "rules.yml").write_text(text)
    cases = [{"eval_time": f"{at}m", "alertname": name, "exp_alerts": []} for name in wanted]
    test = {"interval": f"{every}m", "input_series": list(series), "alert_rule_test": cases}
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": f"{every}m", "tests": [test]}
    (tmp_path / "test.yml").write_text(json.dumps(whole))
    ran = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True)
    told = ran.stdout + ran.stderr
    assert "parse" not in told, told
    found = {name for name in wanted if f"alertname: {name}," in told and f'alertname="{name}"' in told}
    assert (ran.returncode == 0) == (not found), told
    return found
