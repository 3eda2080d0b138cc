"""What of an address or a path is nobody else's business: credentials everywhere, user names in what is handed on."""

import re

_SHOWN = "***"

#: `user:password@` behind a scheme.
_USER = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
_QUERY = re.compile(r"(?<=[?&])([\w.-]+)=[^&\s\"'<>#]+")
#: Parts of a name in a query whose value is a secret (presigned S3 and GCS, SAS, API keys), and whole names.
_SECRET = re.compile(
    r"token|secret|passw|signature|credential|api[_-]?key|access[_-]?key|auth|session|jwt|^(?:key|sig|pwd|pass|user|username)$",
    re.IGNORECASE,
)
#: Keys that are known by how they begin, and what stands behind "Bearer".
_BEGINNINGS = ("hf_", "sk-", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "earer ")
_KEY = re.compile(rf"(?<![\w-])(?:{'|'.join(_BEGINNINGS[:-1])})[\w-]{{16,}}|(?<=[Bb]earer )[\w.~+/=-]{{8,}}")

_HOME = re.compile(r"(?<=/home/)[^/\s\"'<>]+|(?<=/Users/)[^/\s\"'<>]+")
_WINDOWS = re.compile(r"(\b[a-z]:(?:\\{1,2}|/)Users(?:\\{1,2}|/))[^\\/:*?\"'<>|\r\n]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """`text` without credentials."""
    if "://" in text:
        text = _USER.sub(f"{_SHOWN}@", text)
    if "=" in text:
        text = _QUERY.sub(lambda found: f"{found[1]}={_SHOWN}" if _SECRET.search(found[1]) else found[0], text)
    return _KEY.sub(_SHOWN, text) if any(begin in text for begin in _BEGINNINGS) else text


def nameless(text: str) -> str:
    """`text` without credentials and without the names of users in paths (/home/NAME, /Users/NAME, C:\\Users\\NAME)."""
    text = _HOME.sub("USER", redacted(text))
    return _WINDOWS.sub(r"\g<1>USER", text)
