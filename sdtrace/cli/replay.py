"""`sdtrace replay`: the real target model over a trace."""

from typing import Any

import click

from sdtrace.cli import options, outputs, progress, results


@click.command("replay", cls=outputs.Verb)
@options.inputs
@click.option(
    "--verifier",
    required=True,
    metavar="MODEL",
    help="The target: a folder, a .gguf file, a hub name, http://HOST:PORT, or vllm:MODEL.",
)
@click.option("--drafter", metavar="MODEL", help="The draft model: q is compared too, recovery tested exactly.")
@click.option("--suspect", multiple=True, metavar="MODEL", help="Another model that may have run instead. Repeatable.")
@click.option("--requests", type=click.IntRange(1), metavar="N", help="Only N requests, chosen by hash of their id.")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Default: the engine's own.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Default: cuda where there is one.")
@click.option(
    "--state",
    type=outputs.FOLDER,
    metavar="DIR",
    help="Keep finished requests there; the same command goes on from them.",
)
@options.engine
@outputs.html("Write the HTML report there.")
@results.machines
@results.judgement
@results.people
def command(paths: tuple[str, ...], **given: Any) -> int:
    """Run the target model again over what was recorded, and compare.

    Needs prompt token ids in the trace (the recorder writes them when asked) and the extra: pip install 'sdtrace[replay]'. A
    vLLM, SGLang or llama.cpp server as verifier needs no extra: it scores the ids of traces and responses itself, and makes
    ids of responses that hold only text.
    """
    from sdtrace.api import replay

    results.understood(given)
    with progress.stages(quiet=given["quiet"]) as told:
        found = replay(
            paths,
            verifier=given["verifier"],
            drafter=given["drafter"],
            suspects=given["suspect"],
            requests=given["requests"],
            dtype=given["dtype"],
            device=given["device"],
            state=given["state"],
            **options.of_engine(given["verifier"], given),
            format=given["format_"],
            ids=given["content"] != "none",
            progress=told,
        )
    return results.show(found, given)
