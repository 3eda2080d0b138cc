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
from sdtrace.cli import run
from sdtrace.history import nightly
from sdtrace.history.state import opened
from sdtrace.render import html, junit, markdown, prometheus, sarif, terminal
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_hostile_names_in_markdown(hostile: list[Report]) -> None:
    for found in hostile:
        page = MarkdownIt().enable("table").render(markdown.dumps(found).decode())
        tree = ElementTree.fromstring(f"<body>{page}</body>")
        assert {e.tag for e in tree.iter()} <= {*("body", "p", "strong", "em", "ul", "li", "code"), *TABLE}
        shown = " ".join(t for e in tree.iter() for t in (e.text if e.tag != "code" else "", e.tail) if t)
        assert not LINK.search(shown)
        assert not any(unicodedata.category(c) in ("Cf", "Cc", "Cs") for c in shown if c != "\n")


TABLE = ("table", "thead", "tbody", "tr", "th", "td")


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_files_of_a_report(tmp_path: Path) -> None:
    names = ("json", "junit", "sarif", "prometheus", "markdown")
    flags = [x for name in names for x in (f"--{name}", str(tmp_path / name))]
    assert run(["report", str(PLANTED), "-q", *flags]) == 1
    assert all((tmp_path / name).stat().st_size > 500 for name in names)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.slow
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
