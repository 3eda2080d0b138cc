"""How people hand in logs: what a shipper, a shell or a terminal puts around an engine's lines takes none away, and names places."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.made.envelope_samples import sums
from tests.made.simulate import document


def vllm(second: int, accepted: int) -> str:
    """100 steps of three drafted tokens, in one window of 10 s."""
    return (
        f"(APIServer pid=1) INFO 11-23 10:00:{second:02d} [metrics.py:101] SpecDecoding metrics: "
        f"Mean acceptance length: {1 + accepted / 100:.2f}, Accepted throughput: {accepted / 10:.2f} tokens/s, "
        f"Drafted throughput: 30.00 tokens/s, Accepted: {accepted} tokens, Drafted: 300 tokens, Per-position acceptance rate: "
        f"{accepted / 300:.3f}, {accepted / 300:.3f}, {accepted / 300:.3f}, Avg Draft acceptance rate: {accepted / 3:.1f}%"
    )


LINES = [vllm(10 * i, 150 + i) for i in range(6)]
BAR = "Processed prompts:  34%|###4      | 34/100 [00:10<00:20,  3.10it/s, est. speed input: 20.1 toks/s, output: 45.1 toks/s]"
LLAMACPP = [
    "prompt eval time =    1630.37 ms /    43 tokens (   37.92 ms per token,    26.37 tokens per second)",
    "       eval time =   10000.00 ms /   161 tokens (   62.11 ms per token,    16.10 tokens per second)",
    "draft acceptance rate = 0.62500 (  100 accepted /   160 generated)",
]
Wrap = Callable[[list[str]], str]


def each(make: Callable[[int, str], str]) -> Wrap:
    return lambda lines: "\n".join(make(i, line) for i, line in enumerate(lines)) + "\n"


def logfmt(i: int, line: str) -> str:
    return f'time="2026-11-23T10:00:{i:02d}Z" level=info msg={json.dumps(line)} component=llama.cpp'


def docker(line: str, *, ascii: bool) -> str:
    return json.dumps({"log": line.replace(" ", "\u00a0") + "\n", "stream": "stderr"}, ensure_ascii=ascii)


#: name -> (lines, what stands around them): the sums are those of the lines alone
AROUND: dict[str, tuple[list[str], Wrap]] = {
    "no-break spaces that JSON escapes": (LINES, each(lambda _, s: docker(s, ascii=True))),
    "no-break spaces in JSON": (LINES, each(lambda _, s: docker(s, ascii=False))),
    "a bar that is drawn over": (LINES, each(lambda _, s: f"{BAR}\r{s}")),
    "a bar in front": (LINES, each(lambda _, s: BAR + s)),
    "a screen padded to its width": (LLAMACPP, each(lambda _, s: s.ljust(180))),
    "logfmt": (LLAMACPP, each(logfmt)),
    "logfmt, another order": (LLAMACPP, each(lambda _, s: f"level=info ts=2026-11-23T10:00:00Z caller=x.go:1 msg={json.dumps(s)}")),
    "Fluent Bit on a terminal": (
        LINES,
        each(lambda i, s: f'[{i}] kube.containers.v-0_a_v-ab.log: [[17954280{i:02d}.12, {{}}], {{"stream"=>"stderr", "log"=>"{s}"}}]'),
    ),
    "Fluent Bit 1, quotes inside": (
        LINES,
        each(lambda i, s: f'[{i}] tail.0: [17954280{i:02d}.12, {{"log"=>"{s} "a" ", "kubernetes"=>{{"pod_name"=>"v-0"}}}}]'),
    ),
    "numbered lines": (LINES, each(lambda i, s: f"{i + 7}: {s}")),
    "a table of Azure": (
        LINES,
        lambda lines: "TimeGenerated [UTC],PodName,LogMessage\n"
        + each(lambda i, s: f'"11/23/2026, 9:59:{i:02d}.123 AM",vllm-0,"{s}"')(lines),
    ),
}  # fmt: skip


@pytest.mark.one_of(8)
@pytest.mark.parametrize("name", AROUND)
def test_what_stands_around_takes_nothing_away(name: str, tmp_path: Path) -> None:
    lines, around = AROUND[name]
    alone, wrapped = tmp_path / "alone.log", tmp_path / "wrapped.log"
    alone.write_text("\n".join(lines) + "\n")
    wrapped.write_bytes(around(lines).encode())
    assert sums(wrapped)[1] == sums(alone)[1]
    assert sums(alone)[1]["accepted"] > 0


def test_the_lines_of_a_plain_run_behind_a_logger_are_its_speed(tmp_path: Path) -> None:
    """161 tokens in 10 s of a run that drafts nothing: the base of a comparison."""
    path = tmp_path / "plain.log"
    path.write_text(each(logfmt)(LLAMACPP[:2]))
    assert sums(path)[1]["emitted"] == 161


def test_what_a_logger_of_go_says_of_itself_is_no_line_of_an_engine(tmp_path: Path) -> None:
    path = tmp_path / "own.log"
    text = 'time=2026-11-23T10:00:00Z level=INFO source=a.go:1 msg="loading draft model" path=/m\n'
    path.write_text(text + each(logfmt)(LLAMACPP))
    assert sums(path)[1:] == ({**sums(path)[1], "accepted": 100.0}, 0)


#: name -> (what stands in front of a line, by place), the places: one accepts half of its drafts, the other a twentieth
PLACES: dict[str, tuple[Callable[[str], str], tuple[str, str]]] = {
    "stern": (lambda p: f"vllm-7f9c6d-{p} vllm ", ("pod vllm-7f9c6d-abcde", "pod vllm-7f9c6d-fghij")),
    "kubectl --prefix": (lambda p: f"[pod/vllm-{p}/vllm] ", ("pod vllm-abcde/vllm", "pod vllm-fghij/vllm")),
    "grep -rn": (lambda p: f"logs/{p}/server.log:120:", ("replica logs/abcde/server.log", "replica logs/fghij/server.log")),
    "srun -l": (lambda p: f"{int(p == 'fghij')}: ", ("rank 0", "rank 1")),
    "mpirun --tag-output": (lambda p: f"[1,{int(p == 'fghij')}]<stderr>:", ("rank 0", "rank 1")),
    "pdsh": (lambda p: f"node-{int(p == 'fghij')}: ", ("pod node-0", "pod node-1")),
    "a syslog of two hosts": (lambda p: f"Nov 23 10:00:00 node-{int(p == 'fghij')} vllm[3]: ", ("pod node-0/vllm", "pod node-1/vllm")),
    "two units of a host": (lambda p: f"Nov 23 10:00:00 node-7 vllm-{p}[3]: ", ("pod node-7/vllm-abcde", "pod node-7/vllm-fghij")),
    "grep -r": (lambda p: f"{p}.log:", ("replica abcde.log", "replica fghij.log")),
    "Ray Serve": (
        lambda p: f"(ServeReplica:default:LLM:q pid={len(p) + (p == 'fghij')}, ip=10.0.0.3) ",
        ("replica 5@10.0.0.3", "replica 6@10.0.0.3"),
    ),
}  # fmt: skip


@pytest.mark.slow
def test_pods_that_a_shipper_names_in_its_json_are_told_apart(tmp_path: Path) -> None:
    """The same ten windows of two pods: 6,000 drafted tokens, and none is a copy."""
    rows = [
        json.dumps(
            {
                "@timestamp": f"2026-11-23T10:00:{5 * i:02d}.1Z",
                "message": vllm(5 * i, 150),
                "kubernetes": {"pod_name": pod},
            }
        )
        for i in range(10)
        for pod in ("vllm-0", "vllm-1")
    ]
    path = tmp_path / "server.jsonl"
    path.write_text("\n".join(rows) + "\n")
    series = {f"{s['by']} {s['name']}": s["drafted"] for s in document(path)["acceptance"]["series"]}
    assert series == {"pod vllm-0": 3000, "pod vllm-1": 3000}


@pytest.mark.one_of(2)
@pytest.mark.parametrize("first", [0, 1])
def test_numbers_that_rise_are_lines_and_those_that_come_again_are_ranks(first: int, tmp_path: Path) -> None:
    """Two ranks whose numbers begin at 0 or 1, and the same lines with a number each."""
    ranks, lines = tmp_path / "ranks.log", tmp_path / "lines.log"
    ranks.write_text("".join(f"{first + i % 2}: {vllm(5 * i, 150)}\n" for i in range(10)))
    lines.write_text("".join(f"{1 + i}: {vllm(5 * i, 150)}\n" for i in range(10)))
    assert len(document(ranks)["acceptance"]["series"]) == 2
    assert document(lines)["acceptance"]["series"] == []


@pytest.mark.slow
def test_pods_that_fluent_bit_names_in_its_tags_are_told_apart(tmp_path: Path) -> None:
    """Ten windows of each: 3,000 drafted tokens."""
    lines = [
        f'[{i}] kube.var.log.containers.{pod}_default_v-ab.log: [[{1795428000 + 5 * i}.5, {{}}], {{"log"=>"{vllm(5 * i, 150)}"}}]'
        for i in range(10)
        for pod in ("vllm-0", "vllm-1")
    ]
    path = tmp_path / "server.log"
    path.write_text("\n".join(lines) + "\n")
    series = {f"{s['by']} {s['name']}": s["drafted"] for s in document(path)["acceptance"]["series"]}
    assert series == {"pod vllm-0": 3000, "pod vllm-1": 3000}


#: figures that lost their head, on a line or on lines of their own -> (steps, drafted, accepted)
HEADLESS = {
    vllm(0, 150).partition("metrics: ")[2]: (100, 300, 150),
    vllm(0, 150)
    .partition("metrics: ")[2]
    .replace(", Acc", "\nAcc")
    .replace(", Dra", "\nDra")
    .replace(", Per", "\nPer"): (100, 300, 150),
    "```\nMean acceptance length: 2.50\nPer-position acceptance rate: 0.500, 0.500, 0.500\n```": (0, 0, 0),
}


@pytest.mark.one_of(2)
@pytest.mark.parametrize(("text", "counts"), HEADLESS.items())
def test_figures_without_the_head_of_their_record(text: str, counts: tuple[int, int, int], tmp_path: Path) -> None:
    path = tmp_path / "post.md"
    path.write_text(f"From the engine's log:\n\n{text}\n\nwhy?\n")
    found = sums(path)[1]
    assert (found["drafts"], found["drafted"], found["accepted"], found["said_length"]) == (*counts, 2.5)


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", PLACES)
def test_places_are_told_apart(name: str, tmp_path: Path) -> None:
    """Ten windows of 100 steps each: 50% and 5% of 3,000 drafted tokens, with figures that are the same again and again."""
    front, places = PLACES[name]
    own = "(APIServer pid=1) " if name == "Ray Serve" else ""
    lines = [
        front(place) + vllm(5 * i, accepted).removeprefix(own)
        for i in range(10)
        for place, accepted in (("abcde", 150), ("fghij", 15))
    ]
    path = tmp_path / "server.log"
    path.write_text("\n".join(lines) + "\n")
    found = document(path)
    series = {f"{s['by']} {s['name']}": (s["drafted"], s["accepted"]) for s in found["acceptance"]["series"]}
    assert {name: series.get(name) for name in places} == dict(zip(places, ((3000, 1500), (3000, 150)), strict=True))
    assert found["causes"][0]["cause"] == "series-outlier"
    assert places[1] in found["causes"][0]["headline"]
    assert found["causes"][0]["headline"].count(places[1]) == 1


LM_STUDIO = """[2026-11-23 10:00:00][INFO][m] Generated prediction: {
  "id": "chatcmpl-1",
  "usage": {
    "prompt_tokens": 66,
    "completion_tokens": 300,
    "total_draft_tokens_count": 480,
    "accepted_draft_tokens_count": 160,
    "rejected_draft_tokens_count": 320
  },
  "stats": {
    "tokens_per_second": 17.9,
    "generation_time": 16.7
  }
}
"""
FRONTS: dict[str, str] = {
    "compose": "lmstudio-1  | ",
    "kubectl": "[pod/lmstudio-0/server] ",
    "kubectl with times": "[pod/lmstudio-0/server] 2026-11-23T10:00:00.123456789Z ",
    "stern": "lmstudio-7f9c6d-abcde server ",
    "journald": "Nov 23 10:00:00 node-7 lms[31]: ",
    "a time": "2026-11-23T10:00:00.123Z ",
    "grep -n": "12:",
}


@pytest.mark.one_of(4)
@pytest.mark.parametrize("name", FRONTS)
def test_a_document_of_many_lines_behind_what_stands_before_each(name: str, tmp_path: Path) -> None:
    """160 of 480 drafted tokens."""
    path = tmp_path / "lms.log"
    path.write_text("".join(f"{FRONTS[name]}{line}\n" for line in LM_STUDIO.splitlines()))
    found, lost = sums(path)[1:]
    assert (found["drafted"], found["accepted"], lost) == (480, 160, 0)


OTLP_SUMS = {
    "vllm:spec_decode_num_drafts": 100,
    "vllm:spec_decode_num_draft_tokens": 300,
    "vllm:spec_decode_num_accepted_tokens": 150,
}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("delta", [False, True])
@pytest.mark.parametrize("lines", [False, True])
def test_sums_of_telemetry(delta: bool, lines: bool, tmp_path: Path) -> None:
    """Four times 100 steps, 300 drafted and 150 accepted tokens of a pod, a twentieth accepted of another: 600 and 60 of 1,200.
    A delta tells its start, from which a fifth 100 steps count."""

    def resource(pod: str, less: int) -> dict[str, object]:
        def point(value: int, i: int) -> dict[str, object]:
            at, start = (str((1795428000 + 10 * n) * 10**9) for n in (i, i - 1))
            label = {"key": "engine", "value": {"stringValue": "0"}}
            return {
                "startTimeUnixNano": start,
                "timeUnixNano": at,
                "asInt": str(value if delta else value * i),
                "attributes": [label],
            }

        metrics = [
            {
                "name": name,
                "sum": {
                    "aggregationTemporality": 1 if delta else 2,
                    "dataPoints": [point(value // (less if "accepted" in name else 1), i) for i in range(1, 6)],
                },
            }
            for name, value in OTLP_SUMS.items()
        ]
        place = {"key": "k8s.pod.name", "value": {"stringValue": pod}}
        return {"resource": {"attributes": [place]}, "scopeMetrics": [{"metrics": metrics}]}

    pods = [resource("v-0", 1), resource("v-1", 10)]
    path = tmp_path / "metrics.json"
    documents = [{"resourceMetrics": [pod]} for pod in pods] if lines else [{"resourceMetrics": pods}]
    path.write_text("\n".join(json.dumps(one, indent=None if lines else 1) for one in documents) + "\n")
    found = document(path)
    series = {
        s["name"]: (s["steps"], s["drafted"], s["accepted"]) for s in found["acceptance"]["series"] if s["by"] == "pod"
    }
    n = 5 if delta else 4
    assert series == {"v-0": (100 * n, 300 * n, 150 * n), "v-1": (100 * n, 300 * n, 15 * n)}
    assert "pod v-1" in found["verdict"]["headline"]
