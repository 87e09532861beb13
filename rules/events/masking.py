"""Mask secrets of known formats and home folders in recorded events before they are stored (R38).

Home folders contain the candidate's login name. Only formats with a fixed prefix are recognized, because guessing would
change recorded code. Patterns are applied only to text that contains their hint, and take linear time.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from rules.candidate_keys import ALPHABET
from rules.events.envelopes import INT64

MARKER = "[masked]"
# Longer masked text is shown with its length.
MAX_MARKED_CHARACTERS = 300
# Maximum nesting depth of a client's events (R27).
MAX_DEPTH = 32
TOO_DEEP = "[too deep]"
MAX_BEARER_CHARACTERS = 4_096
MAX_PRIVATE_KEY_CHARACTERS = 20_000
# A candidate could hide text as the names of many home folders.
MAX_NAME_CHARACTERS, MAX_HOMES = 48, 8
# Enough to recognize a longer secret.
MAX_SECRET_CHARACTERS = 5_000

_WORD_END = r"(?![A-Za-z0-9])"
# Lines of Base64, which are longer than the words of a text. Line breaks can be escaped.
_BASE64 = "[A-Za-z0-9+/=]"
_PEM_SPACE = r"(?:\s|\\{1,4}[nrt])"
_PEM_HEADER = rf"{_PEM_SPACE}{{1,8}}(?:Proc-Type: 4,ENCRYPTED|DEK-Info: [A-Z0-9-]{{1,32}},[0-9A-F]{{1,64}})"
# Before a line in a diff or an agent's numbered listing
_PEM_MARGIN = r"(?:-|[0-9]{1,6}(?:\t|→|: ))?"
_PEM_BODY = (
    rf"(?:{_PEM_HEADER}){{0,2}}{_PEM_SPACE}{{0,64}}+{_PEM_MARGIN}{_BASE64}{{16,{MAX_PRIVATE_KEY_CHARACTERS}}}+"
    rf"(?:{_PEM_SPACE}{{1,64}}+{_PEM_MARGIN}{_BASE64}{{16,128}}+){{0,300}}+"
    rf"(?:(?:{_PEM_SPACE}{{1,64}}+{_PEM_MARGIN}{_BASE64}{{1,15}}){{0,2}}"
    rf"(?={_PEM_SPACE}{{0,64}}{_PEM_MARGIN}-----END ))?{_PEM_SPACE}{{0,8}}"
)

# Pairs of a prefix and the pattern after it.
_PREFIXED = (
    # This service's tokens
    *((prefix, r"[0-9A-Za-z]{20,}") for prefix in ("psk_live_", "psr_")),
    ("whsec_", r"[0-9A-Za-z+/=]{20,}"),
    # Model providers
    *(("sk-", r"(?:ant|proj|svcacct|admin|or|lf)-[\w-]{20,}"), ("sk-", rf"[A-Za-z0-9]{{32,}}{_WORD_END}")),
    *(("gsk_", r"[A-Za-z0-9]{40,}"), ("xai-", r"[A-Za-z0-9]{40,}"), ("hf_", r"[A-Za-z0-9]{30,}")),
    # Forges and package registries
    *((prefix, r"[A-Za-z0-9]{36,}") for prefix in ("ghp_", "gho_", "ghs_", "ghu_", "ghr_")),
    ("github_pat_", r"\w{22,}"),
    *((prefix, r"[\w-]{20,}") for prefix in ("glpat-", "glptt-", "gldt-", "glrt-", "glsoat-", "glcbt-")),
    *(("npm_", rf"[A-Za-z0-9]{{36}}{_WORD_END}"), ("pypi-", r"[\w-]{50,}")),
    # Clouds
    *(("AKIA", rf"[0-9A-Z]{{16}}{_WORD_END}"), ("ASIA", rf"[0-9A-Z]{{16}}{_WORD_END}")),
    *(("AIza", r"[\w-]{35}(?![\w-])"), ("ya29.", r"[\w-]{20,}"), ("GOCSPX-", r"[\w-]{20,}")),
    ("dop_v1_", r"[a-f0-9]{64}"),
    # Payment, chat and email
    *((prefix, r"[A-Za-z0-9]{16,}") for prefix in ("sk_live_", "sk_test_", "rk_live_", "rk_test_")),
    *(("xox", r"[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}"), ("xapp-", r"[A-Za-z0-9-]{10,}")),
    ("SG.", r"[\w-]{20,24}\.[\w-]{40,46}"),
    # JSON Web Tokens
    ("eyJ", r"[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
)


class _Format(NamedTuple):
    """A secret's format. Any text with such a secret contains `hint`."""

    hint: str
    pattern: re.Pattern[str]

    @classmethod
    def with_prefix(cls, prefix: str, rest: str) -> "_Format":
        """Match secrets at the start of a word or a removed line, or after an escaped line break in JSON.

        The lookbehinds follow the prefix because searching for a literal prefix is fastest. Requiring the start of a
        word avoids rescanning a run of letters for each repetition of the prefix in it.
        """
        text = re.escape(prefix)
        start = rf"(?:(?<![\w-]{text})|(?<=\\[nrt]{text})|(?<=\n-{text})|(?<=\\n-{text}))"
        return cls(prefix, re.compile(rf"{text}{start}{rest}", re.ASCII))

    @classmethod
    def in_any_case(cls, hint: str, pattern: str) -> "_Format":
        return cls(hint, re.compile(pattern, re.ASCII | re.IGNORECASE))


_FORMATS = [
    *(_Format.with_prefix(prefix, rest) for prefix, rest in _PREFIXED),
    _Format(
        "PRIVATE KEY",
        re.compile(
            rf"(?<=-----BEGIN )[A-Z0-9 ]{{0,30}}PRIVATE KEY(?: BLOCK)?-----{_PEM_BODY}"
            rf"(?:{_PEM_MARGIN}-----END [A-Z0-9 ]{{0,40}}-----)?"
        ),
    ),
    # A hosted repository's URL
    _Format("/task.git", re.compile(r"(?<=/git/)[\w-]{43}(?=/task\.git)", re.ASCII)),
    _Format("hooks.slack.com", re.compile(r"(?<=hooks\.slack\.com/services/)[A-Za-z0-9/]{20,}")),
]
_FORMATS_IN_ANY_CASE = [
    _Format.in_any_case("pst-", rf"PST-[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}"),
    _Format.in_any_case(
        "aws_secret_access_key",
        r"(?<=aws_secret_access_key)['\"]?[ \t]{0,4}[=:][ \t]{0,4}['\"]?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    ),
    _Format.in_any_case(
        "authorization",
        r"(?<=authorization)['\"]?[ \t]{0,4}[:=][ \t]{0,4}['\"]?(?:bearer|basic|token)[ \t]{1,4}"
        rf"[\w.~+/=-]{{16,{MAX_BEARER_CHARACTERS}}}",
    ),
]


# Not in a URL or a relative path, but after an escaped line break in JSON.
_ROOT = r"/(?:(?<![\w.~/-]/)|(?<=\\[nrt]/)|(?<=file:///))(?:(?:var|usr|export|(?:mnt/)?[a-z])/)?"
_NAME = rf"[^\\/\s\"'`:;,<>|()\[\]{{}}$&*?!=]{{1,{MAX_NAME_CHARACTERS}}}"
_SEPARATOR = r"[\\/]{1,4}"
_HOME_FORMATS = [
    # Windows, where names can contain spaces
    _Format(
        "Users",
        re.compile(rf"\b[A-Za-z]:{_SEPARATOR}Users{_SEPARATOR}{_NAME}(?:(?: {_NAME}){{1,2}}(?=[\\/]))?"),
    ),
    *(_Format(f"/{parent}/", re.compile(rf"{_ROOT}{parent}/{_NAME}")) for parent in ("home", "Users")),
    # Claude Code's folders for a project: in the home folder, and for temporary files
    *(_Format(f"/-{parent}-", re.compile(rf"(?<=/)-{parent}-[^-/\s]+")) for parent in ("home", "Users")),
]


def mask_text(text: str) -> str:
    """Replace each secret in the text with MARKER, and the length of a long one."""
    for hint, pattern in _FORMATS:
        if hint in text:
            text = pattern.sub(_marker, text)
    lower = text.lower()
    for hint, pattern in _FORMATS_IN_ANY_CASE:
        if hint in lower:
            text = pattern.sub(_marker, text)
    return text


def _marker(secret: re.Match[str]) -> str:
    length = len(secret[0])
    return MARKER if length <= MAX_MARKED_CHARACTERS else f"[masked: {length} characters]"


def mask_home(text: str) -> str:
    """Replace each home folder in the text with `~`: the first MAX_HOMES distinct ones of each format."""
    for hint, pattern in _HOME_FORMATS:
        if hint in text:
            text = _mask_first(pattern, text)
    return text


def _mask_first(pattern: re.Pattern[str], text: str) -> str:
    homes: set[str] = set()

    def replace(match: re.Match[str]) -> str:
        if len(homes) < MAX_HOMES:
            homes.add(match[0])
        return "~" if match[0] in homes else match[0]

    return pattern.sub(replace, text)


def mask_text_and_home(text: str) -> str:
    return mask_home(mask_text(text))


def mask(value: Any, depth: int = MAX_DEPTH, mask_string: Callable[[str], str] = mask_text_and_home) -> Any:
    """Mask all strings in a JSON value, including field names.

    The result can be stored as an event: numbers that do not fit in JSON or a column become None, and values nested
    deeper than `depth` are replaced.
    """
    if isinstance(value, str):
        return mask_string(value)
    if isinstance(value, dict | list | tuple) and depth <= 0:
        return TOO_DEEP
    if isinstance(value, dict):
        items = value.items()
        return {mask_string(str(name)): mask(item, depth - 1, mask_string) for name, item in items}
    if isinstance(value, list | tuple):
        return [mask(item, depth - 1, mask_string) for item in value]
    return _number(value)


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, bool) or value is None:
        return value
    return value if isinstance(value, int) and value in INT64 else None
