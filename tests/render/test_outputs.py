"""Files for machines: read back by the parsers that read them elsewhere, and safe whatever a log held."""

import json
import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families

from sdtrace import report
from sdtrace.api import explain
from sdtrace.cli import run
from sdtrace.cli.conditions import condition, judge
from sdtrace.errors import UsageError
from sdtrace.history import nightly
from sdtrace.history.state import opened
from sdtrace.render import html, junit, markdown, prometheus, sarif, terminal
from sdtrace.render.json import dumps
from sdtrace.results.report import Report
from tests.made.nights import Plan, day, write_night
from tests.made.simulate import Scenario, Shape, simulate

SAMPLES = Path(__file__).parents[2] / "sample_logs"
PLANTED = SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz"
EVIL = "<b>&\"'|`*_[x](y)\x00\x1b[31m\ud800\u202e"


@pytest.fixture(scope="module")
def wrong() -> Report:
    return report(PLANTED)


@pytest.fixture
def evil(tmp_path: Path) -> Report:
    """A trace whose ids, paths and tags are as unfriendly as a log can make them."""

    def spoiled(run: dict, requests: list, steps: list, rng: object) -> None:
        run.update(run_id=EVIL, engine=EVIL, engine_version=EVIL, config={"deployment": EVIL})
        for one in [*requests, *steps]:
            one.update(run_id=EVIL, request_id=f"{EVIL}{one['request_id']}")

    folder = tmp_path / "a <b>&|`c`"
    folder.mkdir()
    path = simulate(Scenario(fault="lenience-0.7", shape=Shape(tested=300), edit=spoiled)).write(folder / "x y.jsonl")
    return report(path)


def test_junit(wrong: Report) -> None:
    suites = JUnitXml.fromstring(junit.dumps(wrong))
    states = [c["state"] for c in wrong.document["checks"]]
    suite = next(iter(suites))
    assert (suite.tests, suite.failures, suite.skipped, suite.errors) == (
        len(states),
        states.count("fired"),
        states.count("cannot-tell"),
        0,
    )
    failed = [case for case in suite if any(r.__class__.__name__ == "Failure" for r in case.result)]
    assert "SD101 wrong-decision" in {case.name for case in failed}
    assert "sdtrace explain" in junit.dumps(wrong).decode()


def test_sarif(wrong: Report) -> None:
    found = json.loads(sarif.dumps(wrong))["runs"][0]
    rules = [rule["id"] for rule in found["tool"]["driver"]["rules"]]
    assert rules == [c["cause"] for c in wrong.document["causes"]]
    first = found["results"][0]
    assert first["level"] == "error"
    assert rules[first["ruleIndex"]] == first["ruleId"] == "lenient-acceptance"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("planted.jsonl.gz")
    assert place["region"]["startLine"] == wrong.document["causes"][0]["evidence"][0]["line"]


def test_textfile(wrong: Report) -> None:
    families = {f.name: f for f in text_string_to_metric_families(prometheus.dumps(wrong).decode())}
    verdict = {s.labels["state"]: s.value for s in families["sdtrace_verdict"].samples}
    assert verdict == {"healthy": 0, "cannot-tell": 0, "metric-suspect": 0, "slow": 0, "wrong": 1}
    tokens = families["sdtrace_tokens_per_step"].samples[0].value
    assert tokens == pytest.approx(wrong.document["acceptance"]["tokens_per_step"])


def test_markdown(wrong: Report) -> None:
    text = markdown.dumps(wrong).decode()
    assert text.startswith("**Wrong**: the sampler accepts too much")
    assert "| tokens per step | 1.8" in text


def test_nothing_from_a_log_becomes_markup(evil: Report) -> None:
    assert evil.document["causes"]
    suites = ElementTree.fromstring(junit.dumps(evil))  # parses, so nothing broke out
    assert {e.tag for e in suites.iter()} <= {
        *("testsuites", "testsuite", "testcase", "properties", "property", "failure", "skipped", "error"),
    }
    json.loads(sarif.dumps(evil))
    list(text_string_to_metric_families(prometheus.dumps(evil).decode()))
    outside = re.sub(r"`[^`]*`", "", markdown.dumps(evil).decode().replace("\\`", ""))
    assert "<b>" not in outside
    assert "[x](y)" not in outside
    for output in (junit, sarif, prometheus, markdown):
        assert "\x1b" not in output.dumps(evil).decode()


#: What the consumers of outputs read as their own: lines, quotes, marks of direction, markup, links, mentions, placeholders.
HOSTILE = (
    *(
        "a\nsdtrace_verdict 1",
        'a"} 1 #',
        "a\\",
        "\x1b]8;;x\x07",
        "\u202egnp.exe\u2066",
        "]]><x/>",
        "</script><blink>",
        "<!-- -->",
    ),
    *(
        "@oncall",
        "a@b.example",
        "#123",
        "!7",
        "GH-7",
        "o/r#4",
        "<https://e.example>",
        "http://e.example",
        "www.e.example",
        "e.example",
    ),
    *(
        "[x](javascript:1)",
        "![x](//e.example)",
        "`@a`",
        "| a |",
        "$a$",
        "{0}",
        "cafe0123456",
        "***",
        "\ufeff\ufffe\ud800",
    ),
)
#: What makes a link or a mention in the text that GitHub, GitLab or a chat shows.
LINK = re.compile(r"://|@\w|www\.|[#!]\d|GH-\d|\b\w+\.example|\b[0-9a-f]{7,40}\b")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    """Reports in which requests, runs, tags, versions and paths, and a night whose services, are called so."""
    names = iter(HOSTILE * 1000)

    def spoiled(run: dict, requests: list, steps: list, rng: object) -> None:
        run.update(engine=next(names), engine_version=next(names), config={"deployment": " ".join(HOSTILE[:4])})
        new = {one["request_id"]: f"{next(names)} {number}" for number, one in enumerate(requests)}
        for one in [*requests, *steps]:
            one["request_id"] = new[one["request_id"]]

    folder = tmp_path_factory.mktemp("hostile")
    made = []
    for number, name in enumerate(("@oncall #123 <blink>", "www.e.example ]]> `x` [y](z)", "e@f.example\n</script>")):
        there = folder / name.replace("/", "")
        there.mkdir()
        scenario = Scenario(fault="lenience-0.7", shape=Shape(tested=200), seed=number, edit=spoiled)
        made.append(scenario_at(scenario, there))
    run(["nightly", *map(str, made), "--state", str(folder / "s"), "-o", str(folder / "pages"), "-q"])
    with opened(folder / "s") as state:
        night = nightly.report_of(state, state.nights()[-1])
    assert night.document["history"]["alarms"]
    return [report(made[0]), report(made[1:]), night]


def scenario_at(scenario: Scenario, folder: Path) -> Path:
    return simulate(scenario).write(folder / "trace.jsonl")


def test_hostile_names_in_markdown(hostile: list[Report]) -> None:
    for found in hostile:
        page = MarkdownIt().enable("table").render(markdown.dumps(found).decode())
        tree = ElementTree.fromstring(f"<body>{page}</body>")
        assert {e.tag for e in tree.iter()} <= {*("body", "p", "strong", "em", "ul", "li", "code"), *TABLE}
        shown = " ".join(t for e in tree.iter() for t in (e.text if e.tag != "code" else "", e.tail) if t)
        assert not LINK.search(shown)
        assert not any(unicodedata.category(c) in ("Cf", "Cc", "Cs") for c in shown if c != "\n")


TABLE = ("table", "thead", "tbody", "tr", "th", "td")


def test_hostile_names_in_sarif(hostile: list[Report]) -> None:
    for found in hostile:
        (made,) = json.loads(sarif.dumps(found))["runs"]
        texts = [r["message"]["text"] for r in made["results"]] + [
            r["help"]["text"] for r in made["tool"]["driver"]["rules"]
        ]
        for text in texts:
            assert not re.search(r"(?<!\\)\[[^\]]*(?<!\\)\]\(", text), "a link of SARIF's own"
            assert not re.search(r"://|@\w|www\.|[#!]\d|GH-\d", text)
        uris = [
            x["physicalLocation"]["artifactLocation"]["uri"] for r in made["results"] for x in r.get("locations", [])
        ]
        assert not any(re.match(r"//|[a-z]+:", uri) for uri in uris)


def test_hostile_names_in_xml_and_the_textfile(hostile: list[Report]) -> None:
    for found in hostile:
        tags = {e.tag for e in ElementTree.fromstring(junit.dumps(found)).iter()}
        assert tags <= {
            *("testsuites", "testsuite", "testcase", "properties", "property", "failure", "skipped", "error")
        }
        text = prometheus.dumps(found).decode()
        samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
        assert len([line for line in text.splitlines() if not line.startswith("#")]) == len(samples)
        assert sum(s.value for s in samples if s.name == "sdtrace_verdict") == 1
        assert text.isprintable() or all(c.isprintable() or c == "\n" for c in text)


def test_hostile_names_in_the_page_and_on_the_terminal(hostile: list[Report]) -> None:
    allowed = re.compile(r"\x1b\[[\d;]*m")
    for found in hostile:
        page = html.page(found).decode()
        assert page.count("<script>") == page.count("</script>") == 1
        assert "<blink" not in page
        assert 'href="javascript' not in page
        assert set(re.findall(r'(?:href|src)="([^"#]*)', page)) <= {""}
        summary = terminal.summary(found, width=100, color=True, verbose=True)
        assert all(c.isprintable() or c == "\n" for c in allowed.sub("", summary))
        assert not any(unicodedata.category(c) == "Cf" for c in page + summary)


def test_files_of_a_report(tmp_path: Path) -> None:
    names = ("json", "junit", "sarif", "prometheus", "markdown")
    flags = [x for name in names for x in (f"--{name}", str(tmp_path / name))]
    assert run(["report", str(PLANTED), "-q", *flags]) == 1
    assert all((tmp_path / name).stat().st_size > 500 for name in names)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_outputs_of_a_night_hold_its_alarms(tmp_path: Path) -> None:
    plan = Plan(fault=lambda s, i: "lenience-0.7" if s == "code" else None, tested=300)
    files = {name: tmp_path / name for name in ("junit", "sarif", "prometheus", "markdown")}
    flags = [x for name, path in files.items() for x in (f"--{name}", str(path))]
    code = run(["nightly", *map(str, write_night(tmp_path, 0, plan)), "--state", str(tmp_path / "s"), "-q", *flags])
    assert code == 1
    alarm = "cause:lenient-acceptance:code"
    samples = {
        tuple(s.labels[name] for name in ("alarm", "service", "side"))
        for f in text_string_to_metric_families(files["prometheus"].read_text())
        for s in f.samples
        if f.name == "sdtrace_alarm"
    }
    assert (alarm, "code", "wrong") in samples
    assert f"alarm `{alarm}` since {day(0)}" in files["markdown"].read_text()
    JUnitXml.fromstring(files["junit"].read_bytes())


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("tokens_per_step < 1.8", False),
        ("tokens_per_step<5", True),
        ("rate_of_drafted >= 0.1", True),
        ("disagree > 0", True),
        ("step_ms > 1", True),
    ],
)
def test_conditions(wrong: Report, text: str, met: bool) -> None:
    (result,) = judge([condition(text)], wrong.document)
    assert result.met == met


def test_what_was_not_recorded_meets_no_condition(wrong: Report) -> None:
    (result,) = judge([condition("step_ms > 1")], wrong.document | {"time": None})
    assert (result.met, result.value) == (False, None)
    assert "not judged" in result.sentence()


def test_conditions_against_the_baseline() -> None:
    metric = {"name": "tokens_per_step", "change": -0.06}
    history = {"alarms": [], "services": [{"service": "chat", "metrics": [metric]}]}
    document = {"history": history, "diff": None, "acceptance": None, "audit": None, "time": None}
    assert [r.met for r in judge([condition("tokens_per_step < -5%")], document)] == [True]
    assert [r.met for r in judge([condition("tokens_per_step < -7%"), condition("alarms > 0")], document)] == [
        False
    ] * 2


@pytest.mark.parametrize(
    "text", ["tokens_per_step", "tokens < 1", "tokens_per_step << 2", "tokens_per_step < -5%", "a b < 1"]
)
def test_conditions_that_cannot_be_meant(wrong: Report, text: str) -> None:
    with pytest.raises(UsageError):
        judge([condition(text)], wrong.document)


def test_conditions_choose_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    healthy = str(SAMPLES / "transformers-sampled.jsonl.gz")
    assert run(["report", healthy, "--fail-if", "tokens_per_step < 5"]) == 1
    assert "met, it is 1.7" in capsys.readouterr().err
    assert run(["report", healthy, "--fail-if", "tokens_per_step < 1"]) == 0
    assert run(["report", healthy, "--fail-if", "tokens_per_step < 5", "--exit-zero"]) == 0
    assert run(["report", healthy, "--fail-if", "nonsense"]) == 2


CANARY = 987_650_000
TEXT = "CANARY-prompt-text"
#: A canary as a number of its own, not as digits of a fraction.
TOKEN = re.compile(rb"(?<![\d.])98765\d{4}(?![\d.])")


def canary_trace(path: Path) -> Path:
    """Wrong decisions whose every token, prompt and stray key can be told from anything else."""

    def marked(run: dict, requests: list, steps: list, rng: object) -> None:
        for request in requests:
            request.update(
                prompt_token_ids=[CANARY + 900 + i for i in range(9)], prompt=TEXT, messages=[{"content": TEXT}]
            )
            request["stop_token_ids"] = [CANARY + i for i in request["stop_token_ids"]]
        for step in steps:
            for name in ("draft_token_ids", "output_token_ids", "target_argmax_ids"):
                step[name] = [CANARY + i for i in step[name]]
            step["text"] = TEXT

    return simulate(Scenario(fault="lenience-0.7", shape=Shape(tested=300), edit=marked)).write(path)


def test_no_content_in_any_artefact(tmp_path: Path) -> None:
    """Prompt text and token ids that are nowhere else must be in no output and in no file of the state."""
    trace = canary_trace(tmp_path / "trace.jsonl")
    assert TOKEN.search(str(explain(trace, request="r-0")).encode()), "the canaries must be there to be found"
    found = report(trace)
    texts = [module.dumps(found) for module in (junit, sarif, prometheus, markdown)]
    texts += [html.page(found), dumps(found), terminal.summary(found, width=100, color=False, verbose=True).encode()]
    out = tmp_path / "out"
    assert run(["nightly", str(trace), "--state", str(tmp_path / "state"), "-o", str(out), "-q"]) == 1
    texts += [p.read_bytes() for p in out.iterdir()]
    texts += [_unpacked(p) for p in (tmp_path / "state").rglob("*") if p.is_file()]
    for text in texts:
        assert TEXT.encode() not in text
        assert not TOKEN.search(text.replace(b",", b" "))
        assert not TOKEN.search(text.replace(b",", b""))


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".zst":
        import zstandard

        return zstandard.ZstdDecompressor().decompress(path.read_bytes())
    if path.suffix == ".parquet":
        import polars as pl

        return pl.read_parquet(path).write_json().encode()
    return path.read_bytes()
