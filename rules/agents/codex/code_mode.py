"""Extract the tool calls of a Codex code mode script that are certain to have run.

In code mode, the model writes JavaScript for a single tool. The request includes neither the script's calls nor their
results. Calls are certain if the script ran to completion and has no control flow.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rules.lenient_json import MAX_DIGITS

MAX_TOKENS = 10_000
MAX_DEPTH = 20
# Characters that a script's variables add to its calls. A short script could otherwise repeat them without limit.
MAX_REPEATED_CHARACTERS = 2**20
_CONTROL_KEYWORDS = (
    "if else for while do switch case try catch finally throw function return break continue class exit yield async "
    "with eval setTimeout"
)
_CONTROL_FLOW = frozenset(_CONTROL_KEYWORDS.split())
# The last four start unterminated strings and comments.
_CONTROL_OPERATORS = frozenset(["=>", "&&", "||", "??", "?", "?.", '"', "'", "`", "/*"])
_TOKEN = re.compile(
    r"(?P<blank>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<word>[A-Za-z_$][\w$]*)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?)"
    r"""|(?P<string>"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'|`[^`\\]*+(?:\\.[^`\\]*+)*+`)"""
    r"|(?P<operator>=>|&&|\|\||/\*|\?\?|\?\.|\.\.\.|.)",
    re.S,
)
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|.))", re.S)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "undefined": None}


class ScriptCall(NamedTuple):
    """A tool call in a script."""

    name: str
    argument: Any


class _Token(NamedTuple):
    kind: str
    text: str


class _Variable(NamedTuple):
    value: Any
    characters: int


class _NotLiteral(Exception):
    """The value is not a literal."""


class _TooLong(Exception):
    """The script repeats its variables beyond MAX_REPEATED_CHARACTERS."""


def calls(script: str) -> list[ScriptCall]:
    """Return a completed script's calls in order, or an empty list if it has control flow or repeats too much."""
    try:
        return list(_Parser(_straight_line_tokens(script)).calls())
    except _TooLong:
        return []


def _straight_line_tokens(script: str) -> list[_Token]:
    """Return the script's tokens, or an empty list if it has control flow."""
    tokens: list[_Token] = []
    for match in _TOKEN.finditer(script):
        token = _Token(match.lastgroup or "", match[0])
        is_control = token.text in (_CONTROL_FLOW if token.kind == "word" else _CONTROL_OPERATORS)
        if is_control or len(tokens) == MAX_TOKENS:
            return []
        if token.kind != "blank":
            tokens.append(token)
    return tokens


class _Parser:
    """Parses a script's calls and literals."""

    def __init__(self, tokens: Sequence[_Token]):
        self._tokens = tokens
        self._position = 0
        self._variables: dict[str, _Variable] = {}
        # Of the value that is being parsed, and of all variables in values.
        self._characters = 0
        self._repeated_characters = 0

    def calls(self) -> Iterator[ScriptCall]:
        is_concurrent = False
        for position in range(len(self._tokens)):
            is_concurrent = is_concurrent or self._matches(position, "await", "Promise", ".", "all", "(", "[")
            if self._matches(position, "const") and self._matches(position + 2, "="):
                self._assign(position)
            is_awaited = self._matches(position - 1, "await") or (
                is_concurrent and (self._matches(position - 1, "[") or self._matches(position - 1, ","))
            )
            if is_awaited and self._matches(position, "tools", ".") and self._matches(position + 3, "("):
                try:
                    argument = self._parse_argument(position + 4)
                except _NotLiteral:
                    continue
                yield ScriptCall(self._tokens[position + 2].text, argument)

    def _matches(self, position: int, *texts: str) -> bool:
        if not 0 <= position <= len(self._tokens) - len(texts) or self._tokens[position].text != texts[0]:
            return False
        return all(self._tokens[position + number].text == text for number, text in enumerate(texts))

    def _assign(self, position: int) -> None:
        name = self._tokens[position + 1].text
        self._position = position + 3
        self._characters = 0
        try:
            value = self._parse_value(MAX_DEPTH)
        except _NotLiteral:
            return
        if self._next() in (";", "const", "let", "await", "text", ""):
            self._variables[name] = _Variable(value, self._characters)

    def _parse_argument(self, position: int) -> Any:
        self._position = position
        value = self._parse_value(MAX_DEPTH)
        if self._next() != ")":
            raise _NotLiteral
        return value

    def _next(self) -> str:
        return self._tokens[self._position].text if self._position < len(self._tokens) else ""

    def _take(self) -> _Token:
        if self._position >= len(self._tokens):
            raise _NotLiteral
        token = self._tokens[self._position]
        self._position += 1
        self._characters += len(token.text)
        return token

    def _parse_value(self, depth: int) -> Any:
        token = self._take()
        if not depth:
            raise _NotLiteral
        if token.kind == "string":
            return _string(token.text)
        if token.kind == "number" and len(token.text) <= MAX_DIGITS:
            return float(token.text) if "." in token.text else int(token.text)
        if token.text == "{":
            return dict(self._parse_fields(depth))
        if token.text == "[":
            return list(self._parse_elements(depth))
        return self._resolve(token)

    def _resolve(self, token: _Token) -> Any:
        """Return the value of a constant, known variable or raw string."""
        if token.text == "String" and self._matches(self._position, ".", "raw"):
            self._position += 2
            raw = self._take()
            if raw.text.startswith("`") and "${" not in raw.text:
                return raw.text[1:-1]
        if token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        if token.kind != "word" or token.text not in self._variables:
            raise _NotLiteral
        value, characters = self._variables[token.text]
        self._characters += characters
        self._repeated_characters += characters
        if self._repeated_characters > MAX_REPEATED_CHARACTERS:
            raise _TooLong
        return value

    def _parse_fields(self, depth: int) -> Iterator[tuple[str, Any]]:
        while self._next() != "}":
            key = self._take()
            name = _string(key.text) if key.kind == "string" else key.text
            if self._next() == ":":
                self._position += 1
                yield name, self._parse_value(depth - 1)
            else:
                yield name, self._resolve(key)
            self._expect_separator("}")
        self._position += 1

    def _parse_elements(self, depth: int) -> Iterator[Any]:
        while self._next() != "]":
            yield self._parse_value(depth - 1)
            self._expect_separator("]")
        self._position += 1

    def _expect_separator(self, closing: str) -> None:
        if self._next() == ",":
            self._position += 1
        elif self._next() != closing:
            raise _NotLiteral


def _string(literal: str) -> str:
    if literal[0] == "`" and "${" in literal:
        raise _NotLiteral
    return _ESCAPE.sub(_unescape, literal[1:-1])


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return _ESCAPED.get(match[4], match[4])
    return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else ""
