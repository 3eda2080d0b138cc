"""The samples of engines as texts, and the figures of each as it stands."""

from functools import cache
from pathlib import Path

from tests.made.envelope_samples import sums
from tests.made.log_samples import SAMPLES

ENGINES = Path(__file__).resolve().parents[2] / "sample_logs" / "engines"


FILES = sorted(p for p in ENGINES.iterdir() if not p.name.endswith(".expected.json"))


TEXTS = {name: text for name, (text, _, _) in SAMPLES.items()} | {
    p.name: p.read_text().strip("\n") + "\n" for p in FILES
}


#: two or three lines of a stamped log, and a record of JSON, hold what a cut or a copy can hurt
RECORDS = [p.name for p in FILES if all(x[:1] == "{" and x[-1:] == "}" for x in TEXTS[p.name].split("\n") if x)]


def written(folder: Path, data: bytes, name: str = "input") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@cache
def plain(name: str, folder: Path) -> tuple[str, dict[str, float], int]:
    return sums(written(folder, TEXTS[name].encode(), "plain"))
