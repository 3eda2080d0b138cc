"""What of a log line a user wrote: a request's prompt that an engine echoes, a string in quotes, a URL in an access log.

Engines and proxies print what they were asked. Such text is cut out of a line before a dialect hears it, so that a question
about speculative decoding says nothing about the engine. A word in quotes without a blank (a method's name, a path, a
request's id) is a value of the engine's own and stays, unless the quotes stand behind the name of a field for user text.
"""

import re

#: What stands where user text was.
CUT = "\N{HORIZONTAL ELLIPSIS}"
#: A string in quotes opens behind a character that is neither of a word, nor a quote, nor an escape.
_OPENS = re.compile(r"(?<![\w\\'\"])['\"]")
#: The rest of a string up to its end: an apostrophe inside a word and an escaped quote end none.
_REST = {
    "'": re.compile(r"(?:[^'\\]|\\.|'(?=\w))*+'"),
    '"': re.compile(r'(?:[^"\\]|\\.)*+"'),
}
_VALUE = re.compile(r"[\w./:@%+\[\]<>-]{0,200}")
#: Fields whose value a user writes, right before their value.
_ASKED = re.compile(
    r"\b(?:prompt|text|content|query|question|messages?|body|url|path|input|instructions)['\"]?\s{0,2}[:=]\s{0,2}b?$"
)
#: Fields whose value the engine or its operator writes, although it has blanks: logfmt's message, a configuration.
_OWN = re.compile(r"(?:\bmsg=|\bspeculative[_-]config['\"]?\s{0,2}[:= ]\s{0,2})$")
_KEY = 40
#: Words behind which all of a line is a user's.
ECHOES = (
    r"\bReceived? request\b|\bReceive: obj=|\blog_server_r: (?:request|response):|\bParsing chat message:|\bAdded request\b"
    r"|\bGenerated (?:text|response|output)\b|\b(?:chat|completion) request\b|\b[Uu]ser (?:asked|asks|said|says|wrote|message|input)\b"
    r"|\b[Pp]rompts?(?: text)?(?: ?= ?|: )|\bpresent in the request but ignored\b"
)
_ECHO = re.compile(ECHOES)


def without(text: str) -> str:
    """The line without what a user wrote in it."""
    if found := _ECHO.search(text):
        text = text[: found.end()] + CUT
    return _unquoted(text) if "'" in text or '"' in text else text


def _unquoted(text: str) -> str:
    kept: list[str] = []
    at, dead = 0, set[str]()
    for opened in _OPENS.finditer(text):
        begin, quote = opened.end(), opened[0]
        if opened.start() < at or quote in dead:
            continue
        before = text[max(0, begin - 1 - _KEY) : begin - 1]
        asked = bool(_ASKED.search(before))
        closed = _REST[quote].match(text, begin)
        if closed is None:
            if asked:
                return "".join([*kept, text[at:begin], CUT])
            dead.add(quote)  # nothing behind it closes it: to look again would take as long each time
            continue
        end = closed.end() - 1
        own = not asked and (_VALUE.fullmatch(text, begin, end) or _OWN.search(before))
        kept += [text[at:begin], text[begin:end] if own else CUT, quote]
        at = end + 1
    return "".join([*kept, text[at:]])
