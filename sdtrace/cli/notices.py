"""Options of `nightly` that tell a team: --mail, --webhook, --notify-on, --link."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from sdtrace.errors import UsageError

if TYPE_CHECKING:
    from sdtrace.history.notice import Notice

F = TypeVar("F", bound=Callable[..., Any])
#: history.notice.When; written again, so that help loads no tables.
WHENS = ("change", "alarm", "always")


def options(function: F) -> F:
    """--mail, --webhook, --notify-on, --link."""
    for made in (
        click.option("--link", metavar="URL", help="Where the pages are served; a notice ends with the night's page."),
        click.option(
            "--notify-on",
            type=click.Choice(WHENS),
            default="change",
            show_default=True,
            help="An alarm opened or closed; any alarm is active; every night.",
        ),
        click.option(
            "--webhook",
            metavar="URL",
            help="Post the notice there: Slack and Teams by their hosts, plain JSON elsewhere.",
        ),
        click.option("--mail", is_flag=True, help="Print the notice as a mail, or nothing: pipe it to sendmail."),
    ):
        function = made(function)
    return function


def checked(given: Mapping[str, Any]) -> None:
    """Raises UsageError for an address that is none."""
    for name in ("webhook", "link"):
        address = given[name]
        if address is not None and (
            urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname
        ):
            raise UsageError(f"--{name}: not an http or https address", f"like: --{name} https://host/path")


def send(notice: "Notice", given: Mapping[str, Any]) -> bool:
    """Print and post the notice where it is due. False where the server did not take it, which is said."""
    from sdtrace.render import notice as words

    if not notice.due(given["notify_on"]):
        return True
    link = f"{given['link'].rstrip('/')}/{notice.night}.html" if given["link"] else None
    if given["mail"]:
        click.echo(words.mail(notice, link), nl=False)
    if not given["webhook"]:
        return True
    from sdtrace.readers.io.http import Server, Unanswered  # only for what asks a server

    try:
        Server().post(given["webhook"], words.body(notice, link, words.shape(given["webhook"])))
    except Unanswered as error:
        host = urlsplit(given["webhook"]).hostname  # the rest of such an address is a secret
        click.echo(f"error: --webhook {host}: {error}\nhint: {error.hint}", err=True)
        return False
    return True
