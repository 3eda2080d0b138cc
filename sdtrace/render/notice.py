"""A night's notice in words: a mail, and the bodies that chat systems take."""

import json
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Literal
from urllib.parse import urlsplit

from sdtrace.history.fall import FEWEST
from sdtrace.history.notice import Notice
from sdtrace.render.text import clean, counted, figure, sentence
from sdtrace.results.words import TITLES, figure_name
from sdtrace.schema.json_values import Json

Shape = Literal["slack", "teams", "json"]
#: Alarms and figures that are named; the rest is counted.
_NAMED = 2


def subject(notice: Notice) -> str:
    """One line: verdict, what changed, the night."""
    parts = [
        f"{counted(len(notice.opened), 'new alarms')}" if notice.opened else "",
        f"{counted(len(notice.closed), 'alarms')} closed" if notice.closed else "",
    ]
    what = ", ".join(part for part in parts if part) or "no change"
    return f"[sdtrace] {TITLES[notice.state].upper()}: {what}, night of {notice.night}"


def lines(notice: Notice) -> list[str]:
    """The night in five lines at most."""
    return list(_lines(notice))[:5]


def _lines(notice: Notice) -> Iterator[str]:
    yield sentence(clean(notice.headline, 240))
    if notice.opened:
        # the first line says what the worst of them is
        said = [(a.id, "" if a.headline == notice.headline else f" ({clean(a.headline, 120)})") for a in notice.opened]
        yield "New: " + _named([f"{clean(name, 120)}{what}" for name, what in said])
    if notice.closed:
        yield "Closed: " + _named([f"{clean(s.id, 120)} (since {s.opened}; {s.by})" for s in notice.closed])
    known = f", {notice.known} known" if notice.known else ""
    yield f"Active alarms: {notice.active}{known}; {notice.nights:,} {'night' if notice.nights == 1 else 'nights'} on record"
    if notice.learning:
        names = _named([clean(name, 60) for name in notice.learning])
        yield f"Still learning: {names}; faults alarm at once, changes of figures after {FEWEST} nights"
    elif notice.figures:
        yield _named([_figure(f.service, f.name, f.value, f.change) for f in notice.figures], 3)


def _figure(service: str, name: str, value: float, change: float | None) -> str:
    against = f" ({change:+.1%})" if change is not None else ""
    return f"{clean(service, 60)}: {figure_name(name)} {figure(name, value)}{against}"


def _named(some: list[str], most: int = _NAMED) -> str:
    more = f"; and {len(some) - most} more" if len(some) > most else ""
    return "; ".join(some[:most]) + more


def mail(notice: Notice, link: str | None) -> str:
    """A message with headers, for `sendmail ADDRESS`."""
    made = EmailMessage()
    made["Subject"] = subject(notice)
    made["Auto-Submitted"] = "auto-generated"
    made.set_content("\n".join([*lines(notice), *([link] if link else [])]) + "\n", cte="8bit")
    return made.as_string()


def shape(url: str) -> Shape:
    """Which body the address takes, by its host."""
    host = (urlsplit(url).hostname or "").lower()
    if host == "hooks.slack.com" or host.endswith(".slack.com"):
        return "slack"
    if host.endswith((".webhook.office.com", ".logic.azure.com", ".powerplatform.com")):
        return "teams"
    return "json"


def body(notice: Notice, link: str | None, shape: Shape) -> bytes:
    """The JSON that is posted. Text stands as text: neither Slack nor Teams finds a mention, a link or markup in it."""
    told = lines(notice)
    if shape == "slack":
        plain = {"type": "plain_text", "emoji": False}
        text = "\n".join([*told, *([link] if link else [])])
        blocks = [
            {"type": "header", "text": plain | {"text": subject(notice)[:150]}},
            {"type": "section", "text": plain | {"text": text[:3000]}},
        ]
        return _dumped({"text": _escaped(subject(notice)), "blocks": blocks})
    if shape == "teams":
        rows = [{"type": "TextBlock", "text": _plain(one), "wrap": True} for one in told]
        title = {"type": "TextBlock", "text": _plain(subject(notice)), "weight": "Bolder", "wrap": True}
        open_page = [{"type": "Action.OpenUrl", "title": "Open the report", "url": link}] if link else []
        card = {"type": "AdaptiveCard", "version": "1.4", "body": [title, *rows], "actions": open_page}
        kind = "application/vnd.microsoft.card.adaptive"
        return _dumped({"type": "message", "attachments": [{"contentType": kind, "content": card}]})
    return _dumped(
        {
            "subject": subject(notice),
            "lines": told,
            "link": link,
            "night": notice.night,
            "verdict": notice.state,
            "opened": [clean(a.id, 200) for a in notice.opened],
            "closed": [clean(a.id, 200) for a in notice.closed],
            "active": notice.active,
            "known": notice.known,
        }
    )


def _dumped(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _escaped(text: str) -> str:
    """Slack's own three characters; without them no mention (<!here>) and no link is left."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    """Markdown of a card's text, escaped."""
    return "".join(f"\\{c}" if c in "\\`*_[]()<>#~|!" else c for c in text)
