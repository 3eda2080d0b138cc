"""`sdtrace probe`: a running server asked and judged."""

from typing import Any

import click

from sdtrace.cli import options, outputs, progress, results, times


@click.command("probe", cls=outputs.Verb)
@click.argument("url", metavar="URL")
@click.option("--against", metavar="URL2", help="The same model without speculation: answers and speed are compared.")
@click.option("--prompts", metavar="TXT", help="Prompts of your own, one a line.")
@click.option(
    "--requests", type=click.IntRange(1, 10_000), default=30, show_default=True, help="Requests to each server."
)
@click.option("--tokens", type=click.IntRange(4, 4096), default=64, show_default=True, help="Tokens of an answer.")
@click.option(
    "--temperature",
    "temperatures",
    type=click.FloatRange(0, 2),
    multiple=True,
    default=(0.0, 1.0, 0.5),
    show_default=True,
    help="Each prompt is asked at these. Repeatable.",
)
@click.option("--budget-tokens", type=click.IntRange(4), metavar="N", help="No more answer tokens than this.")
@click.option("--for", "for_", callback=times.long, metavar="TIME", help="Ask for no longer than this: 60s, 5m.")
@click.option(
    "--drafts",
    type=click.Choice(["best", "sampled", "unknown"]),
    default="unknown",
    show_default=True,
    help="How the server drafts; with best, single seeded tokens can prove a fault.",
)
@options.engine
@options.limits("http_timeout", "http_max")
@outputs.html("Write the HTML report there.")
@results.machines
@results.judgement
@results.people
def command(url: str, **given: Any) -> int:
    """Ask a running vLLM, SGLang or llama.cpp server, and say whether it is right and how fast it is.

    Answers at temperature 0 and sampled, with seeds and logprobs, are held against their own logprobs and scored again
    by the server. /metrics is read before and after. Prompts and texts are never written.
    """
    from sdtrace.api import probe

    results.understood(given)
    with progress.stages(quiet=given["quiet"]) as told:
        found = probe(
            url,
            against=given["against"],
            prompts=given["prompts"],
            requests=given["requests"],
            tokens=given["tokens"],
            temperatures=given["temperatures"],
            budget_tokens=given["budget_tokens"],
            budget_s=given["for_"],
            one_hot=given["drafts"] == "best",
            key_from=given["api_key_env"],
            concurrency=given["concurrency"],
            rate=given["rate"],
            progress=told,
        )
    return results.show(found, given)
