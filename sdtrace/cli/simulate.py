"""`sdtrace simulate`: a made trace with one planted fault, or none."""

import json
from typing import Any

import click

from sdtrace.cli import options, outputs

_DTYPES = ("float64", "float32", "float16", "bfloat16", "decimals:3", "decimals:4", "decimals:6")


@click.command("simulate", cls=outputs.Verb)
@click.argument("fault", required=False)
@click.argument("out", type=outputs.FILE, required=False)
@click.option("--list", "list_", is_flag=True, help="The faults, what they do and their strength.")
@click.option("--strength", type=float, help="How strong the fault is; --list says what it means.")
@click.option("--law", help="Verification law; default: the fault's own, else ratio.")
@click.option("--tested", type=click.IntRange(1), default=3000, show_default=True, help="Decisions, at least.")
@click.option("--vocab", type=click.IntRange(8), default=1000, show_default=True, help="Tokens of the vocabulary.")
@click.option("--tau", type=click.IntRange(1, 64), default=4, show_default=True, help="Drafted tokens a step.")
@click.option("--dtype", type=click.Choice(_DTYPES), default="float32", show_default=True, help="Rounding of the log.")
@click.option(
    "--level",
    type=click.Choice(["basic", "sums", "draws", "rows"]),
    default="draws",
    show_default=True,
    help="What is logged: p and q; sums over the vocabulary too; uniforms; top rows.",
)
@click.option("--temperature", type=click.FloatRange(0, 2), help="Of responses; default: the fault's own, else 1.")
@click.option("--top-k", type=click.IntRange(0), help="Of responses; 0: none; default: the fault's own, else none.")
@click.option(
    "--shape",
    type=click.Choice(["completion", "chat", "sglang", "llamacpp"]),
    help="Whose responses; llamacpp's logprobs are known to be raw; default: the fault's own, else completion.",
)
@click.option("--undeclared", is_flag=True, help="The run line names neither law nor precision.")
@click.option("--variant", default="", help="A lawful strangeness beside the fault, or beside none; --list names them.")
@click.option("--only", default="", help="The part of the traffic that the fault is confined to; --list names them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Everything follows from it.")
def command(fault: str | None, out: str | None, **given: Any) -> int:
    """Write a made trace (SYNTHETIC) with one planted FAULT, or `healthy`, to OUT: .jsonl (.gz, .zst) or a folder."""
    from sdtrace.errors import UsageError
    from sdtrace.render.text import clean
    from sdtrace.simulate import LAWS, Settings, simulate
    from sdtrace.simulate.responses import TEXT_FAULTS, Asked, responses
    from sdtrace.writers.convert import write

    if given["list_"]:
        click.echo("\n".join(_listed()))
        return 0
    if fault is None or out is None:
        raise UsageError(
            "which fault, and where to?", "sdtrace simulate FAULT OUT; sdtrace simulate --list names the faults"
        )
    if fault in TEXT_FAULTS:
        own = TEXT_FAULTS[fault]
        said = {n: getattr(own, n) if given[n] is None else given[n] for n in ("temperature", "top_k", "shape")}
        count = max(1, given["tested"] // 50)
        k = min(20, given["vocab"] - 1)
        asked = Asked(fault, given["strength"], count, 50, given["vocab"], k=k, seed=given["seed"], **said)
        options.write(out, "".join(f"{json.dumps(one)}\n" for one in responses(asked)).encode())
        click.echo(f"{count:,} responses written to {clean(out)} (SYNTHETIC)", err=True)
        return 0
    if given["law"] not in (None, *LAWS):
        raise UsageError(f"--law {given['law']}: no such law here", f"one of {', '.join(LAWS)}")
    names = ("strength", "law", "tested", "vocab", "tau", "dtype", "level", "seed", "variant", "only")
    wanted = {name: given[name] for name in names}
    done = write(simulate(Settings(fault=fault, declared=not given["undeclared"], **wanted)), out)
    click.echo(f"{done.steps:,} steps of {done.requests:,} requests written to {clean(out)} (SYNTHETIC)", err=True)
    return 0


def _listed() -> list[str]:
    """Every fault with its cause and what it does, then lawful strangeness, then faults of responses."""
    from sdtrace.render.tables import table
    from sdtrace.simulate import FAULTS, PARTS, VARIANTS
    from sdtrace.simulate.responses import TEXT_FAULTS

    def strong(means: str | None, strength: float | None) -> str:
        return f" [{means} {strength:g}]" if means else ""

    faults = [
        [n, f.cause or "-", f"{f.says}{strong(f.means, f.strength)}; {', '.join(f.laws)}"] for n, f in FAULTS.items()
    ]
    variants = [[n, f"{v.says}; {', '.join(v.laws)}"] for n, v in VARIANTS.items()]
    parts = [[n, p.says] for n, p in PARTS.items()]
    texts = [[n, f.cause or "-", f"{f.says}{strong(f.means, f.strength)}"] for n, f in TEXT_FAULTS.items()]
    width = options.list_width()
    return [
        *table(["fault", "cause", "what it does; laws"], faults, width=width, color=False, wrapped=2),
        "\nparts of the traffic (--only NAME):",
        *table(["part", "where"], parts, width=width, color=False, wrapped=1),
        "\nlawful (--variant NAME):",
        *table(["variant", "what it does; laws"], variants, width=width, color=False, wrapped=1),
        "\nresponses with logprobs, no trace (a line a request and its response, .jsonl):",
        *table(["fault", "cause", "what it does"], texts, width=width, color=False, wrapped=2),
    ]
