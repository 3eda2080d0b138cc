"""Whose lines a file holds where a shipper put them together: the pod, container, service, replica, host, task or file named in
front of a line."""

import re

import polars as pl

#: `[pod/NAME/CONTAINER] ` of kubectl --prefix, `NAME-1  | ` of docker compose, `NAME-7f9c6d-abcde CONTAINER ` of stern,
#: `(ServeReplica:APP:DEPLOYMENT pid=12, ip=10.0.0.3) ` of Ray, `(SGLangEngine pid=12) ` before SGLang's stamp,
#: `logs/a.log:12:` of grep over several files, ` 3: ` of srun -l,
#: `[1,3]<stderr>:` of mpirun, `[rank3]: ` of torchrun, `node-7: ` of pdsh, `Nov 23 10:00:00 node-7 vllm[31]: ` of a syslog
#: (a host without a number only before a program with its process),
#: `TIME PREFIX/CONTAINER/TASK ` of aws logs tail, `TIME {pod="a"} ` of logcli;
#: no look around: polars reads it
_PLACE = (
    r"^\s*(?:\[(?:pod/)?(?P<bracket>[a-z][\w./-]*)\] |(?P<service>[A-Za-z][\w.@-]*)\s*\| "
    r"|(?:\+ )?(?P<pod>[a-z][a-z0-9.-]{0,200}-(?:[a-z0-9]{5}|[0-9]{1,3})) [a-z][a-z0-9-]{0,62} (?:[(\[0-9]|INFO|DEBUG|WARNING|ERROR)"
    r"|\(ServeReplica:[^ )]{1,200} pid=(?P<process>[0-9]+)(?:, ip=(?P<address>[0-9a-fA-F.:]+))?\) "
    r"|\([A-Za-z]\w{0,60} pid=(?P<actor>[0-9]+)(?:, ip=(?P<node>[0-9a-fA-F.:]+))?\) \[[0-9]{4}-"
    r"|(?P<file>[\w./-]{1,200}\.(?:log|txt|out|err))(?:[:-][0-9]+)?[:-][(\[A-Z0-9 ]"
    r"|(?:\[[0-9]{1,4},|\[(?:rank|default))?(?P<task>[0-9]{1,5})(?:\]?: |\](?:<std(?:out|err)>)?: ?)"
    r"(?:[(\[]|INFO|DEBUG|WARNING|ERROR|slot|srv|[0-9]+\.)"
    r"|(?:[A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9:]{8}|[0-9]{4}-[0-9T:.+-]{14,28}Z?) (?P<machine>[A-Za-z][\w.-]{0,120}) "
    r"(?P<program>[\w.@/-]{1,60})\[[0-9]+\]: (?:[(\[]|INFO|DEBUG|WARNING|ERROR|slot|srv|[0-9]+\.)"
    r"|(?:(?:[A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9:]{8}|[0-9]{4}-[0-9T:.+-]{14,28}Z?) )?(?P<host>[A-Za-z][\w.-]{0,60}[0-9][\w.-]{0,60})"
    r"(?: (?P<unit>[\w.@/-]{1,60})(?:\[[0-9]+\])?)?: (?:[(\[]|INFO|DEBUG|WARNING|ERROR|slot|srv|[0-9]+\.)"
    r"|[0-9]{4}-[0-9T:.+-]{14,28}Z? (?P<stream>[\w.-]{1,100}/[\w.-]{1,100}/[\w.-]{1,100}) "
    r"(?:[(\[]|INFO|DEBUG|WARNING|ERROR|slot|srv|[0-9]+\.)"
    r'|[0-9]{4}-[0-9T:.+-]{14,28}Z? \{(?:[^}]{0,400}[ ,{])?(?:pod|pod_name|instance|container|host|hostname)="(?P<label>[\w.:/-]{1,200})")'
)
_RE = re.compile(_PLACE)
#: The same without bounds, which only a search that goes back needs: polars compiles it in 2 ms instead of 100, for every log anew.
_UNBOUNDED = (
    _PLACE.replace("{0,200}", "*")
    .replace("{1,200}", "+")
    .replace("{0,62}", "*")
    .replace("{0,400}", "*")
    .replace("{0,60}", "*")
    .replace("{1,60}", "+")
    .replace("{0,120}", "*")
    .replace("{1,100}", "+")
)
_WHOLE = ("bracket", "service", "pod", "file", "stream", "label")


def place(text: str) -> str:
    """The name in front of a line; nothing where there is none."""
    found = _RE.match(text[:400])
    if found is None:
        return ""
    for process, address in (("process", "address"), ("actor", "node")):
        if found[process]:
            return f"replica-{found[process]}@{found[address] or 'local'}".replace(":", ".")
    if found["task"]:
        return f"rank {int(found['task'])}"
    if found["machine"] or found["host"]:
        return "/".join(part for part in (found["machine"] or found["host"], found["program"] or found["unit"]) if part)
    return next(found[name] for name in _WHOLE if found[name])


def place_of(text: pl.Expr) -> pl.Expr:
    """The same for a column of lines."""
    parts = text.str.head(400).str.extract_groups(_UNBOUNDED).struct
    process = pl.coalesce(parts.field("process"), parts.field("actor"))
    address = pl.coalesce(parts.field("address"), parts.field("node"), pl.lit("local"))
    replica = pl.concat_str(pl.lit("replica-"), process, pl.lit("@"), address.str.replace_all(":", ".", literal=True))
    task = pl.lit("rank ") + parts.field("task").cast(pl.Int64, strict=False).cast(pl.String)
    unit = pl.coalesce(pl.lit("/") + parts.field("unit"), pl.lit(""))
    machine = parts.field("machine") + pl.lit("/") + parts.field("program")
    named = (parts.field(name) for name in _WHOLE)
    return pl.coalesce(*named, replica, task, machine, parts.field("host") + unit, pl.lit(""))
