"""What the name of a series says: which engine, rank, pod, replica, slot, drafter, model or adapter its counts are of."""

import re
from typing import Literal, get_args

#: What counts can be told apart by, the widest first.
By = Literal["model", "adapter", "drafter", "pod", "replica", "engine", "rank", "slot"]
BYS: tuple[By, ...] = get_args(By)
#: One of these does the work of another with the same drafter, so its acceptance is held against the others'.
ALIKE: tuple[By, ...] = ("pod", "replica", "engine", "rank", "slot")

_LABEL = re.compile(r"(?<!\w)([A-Za-z_]\w{0,80})=(.*?)(?= [A-Za-z_]\w{0,80}=|$)")
#: of two labels for one place the later one names it; Ray Serve has ReplicaId, and WorkerId without a deployment
_LABELS: dict[str, By] = {
    "model": "model",
    "model_name": "model",
    "adapter": "adapter",
    "lora": "adapter",
    "lora_name": "adapter",
    "drafter": "drafter",
    "spec_method": "drafter",
    "exported_pod": "pod",
    "k8s_pod_name": "pod",
    "kubernetes_pod_name": "pod",
    "pod": "pod",
    "pod_name": "pod",
    "node": "replica",
    "host": "replica",
    "host_name": "replica",
    "hostname": "replica",
    "WorkerId": "replica",
    "worker_id": "replica",
    "instance": "replica",
    "service_instance_id": "replica",
    "ReplicaId": "replica",
    "replica_id": "replica",
    "engine": "engine",
    "dp_rank": "rank",
    "rank": "rank",
    "slot": "slot",
}
_WORDS = re.compile(r"\b(rank|slot|seq) (\d+)\b")
_ENGINE = re.compile(r"\bEngine (\d+)\b")
_RANK = re.compile(r"(?:^| )DP(\d+)(?= |$)")
_PORT = re.compile(r"\bport (\d+)\b")
#: words at the beginning that name no place: processes of an engine, and kinds of places
_PROCESS = re.compile(r"^\S*:|(?:Engine|port|slot|seq|rank)$|A(?:PI|pi)Server|EngineCore|Worker|VllmWorker|MainProcess")
#: a replica of Ray Serve, or the file that a line was found in
_REPLICA = re.compile(r"replica-|\S+\.(?:log|txt|out|err)$")


def named(series: str, surface: str) -> dict[By, str]:
    """The places that a series names; empty where it names none. The process id is none: a restart changes it."""
    if "=" in series:
        labels = {name: value.strip() for name, value in _LABEL.findall(series)}
        return {by: labels[name] for name, by in _LABELS.items() if name in labels}
    found: dict[By, str] = {}
    for word, number in _WORDS.findall(series):
        found["rank" if word == "rank" else "slot"] = number
    if engine := _ENGINE.search(series):
        found["engine"] = engine[1]
    if rank := _RANK.search(series):
        if "rank" in found:  # a task of srun that has ranks of its own
            found["replica"] = f"task {found['rank']}"
        found["rank"] = rank[1]
    if port := _PORT.search(series):
        found["replica"] = f"port {port[1]}"
    first, _, last = series.rpartition(" ")
    if surface == "statistics" and last:  # llama.cpp: totals by implementation
        found["drafter"] = last
        series = first
    word = series.split(" ")[0]
    if word and not _PROCESS.match(word) and not _RANK.match(word):
        found["replica" if _REPLICA.match(word) else "pod"] = word.removeprefix("replica-")
    return found
