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
@click.option("--undeclared", is_flag=True, help="The run line names neither law nor precision.")
@click.option("--variant", default="", help="A lawful strangeness beside the fault, or beside none; --list names them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Everything follows from it.")
def command(fault: str | None, out: str | None, **given: Any) -> int:
    """Write a made trace (SYNTHETIC) with one planted FAULT, or `healthy`, to OUT: .jsonl (.gz, .zst) or a folder."""
    from sdtrace.errors import UsageError
    from sdtrace.render.text import clean
    from sdtrace.simulate import FAULTS, LAWS, VARIANTS, Settings, simulate
    from sdtrace.simulate.responses import TEXT_FAULTS, Asked, responses
    from sdtrace.writers.convert import write

    if given["list_"]:
        for name, what in FAULTS.items():
            strength = f" [{what.means} {what.strength:g}]" if what.means else ""
            click.echo(f"{name:<22} {what.cause or '-':<26} {what.says}{strength}; {', '.join(what.laws)}")
        click.echo("\nlawful (--variant NAME):")
        for name, variant in VARIANTS.items():
            click.echo(f"{name:<28} {variant.says}; {', '.join(variant.laws)}")
        click.echo("\nresponses with logprobs, no trace (a line a request and its response, .jsonl):")
        for name, text in TEXT_FAULTS.items():
            strength = f" [{text.means} {text.strength:g}]" if text.means else ""
            click.echo(f"{name:<22} {text.cause or '-':<26} {text.says}{strength}")
        return 0
    if fault is None or out is None:
        raise UsageError(
            "which fault, and where to?", "sdtrace simulate FAULT OUT; sdtrace simulate --list names the faults"
        )
    if fault in TEXT_FAULTS:
        cold = TEXT_FAULTS[fault].temperature if given["temperature"] is None else given["temperature"]
        count = max(1, given["tested"] // 50)
        asked = Asked(
            fault, given["strength"], count, 50, given["vocab"], cold, k=min(20, given["vocab"] - 1), seed=given["seed"]
        )
        options.write(out, "".join(f"{json.dumps(one)}\n" for one in responses(asked)).encode())
        click.echo(f"{count:,} responses written to {clean(out)} (SYNTHETIC)", err=True)
        return 0
    if given["law"] not in (None, *LAWS):
        raise UsageError(f"--law {given['law']}: no such law here", f"one of {', '.join(LAWS)}")
    wanted = {
        name: given[name] for name in ("strength", "law", "tested", "vocab", "tau", "dtype", "level", "seed", "variant")
    }
    done = write(simulate(Settings(fault=fault, declared=not given["undeclared"], **wanted)), out)
    click.echo(f"{done.steps:,} steps of {done.requests:,} requests written to {clean(out)} (SYNTHETIC)", err=True)
    return 0
