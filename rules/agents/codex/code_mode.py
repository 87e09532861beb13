"""Extract the tool calls that certainly ran from a script of Codex's code mode.

In code mode the model writes JavaScript for one tool. The request contains neither the script's calls nor their
results. A call is certain if the script ran to its end and has no control flow.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MAX_TOKENS = 10_000
MAX_DEPTH = 20
_CONTROL_WORDS = (
    "if else for while do switch case try catch finally throw function return break continue class exit yield async "
    "with eval setTimeout"
)
_CONTROL_FLOW = frozenset(_CONTROL_WORDS.split())
# The last four start unterminated strings and comments.
_CONTROL_SIGNS = frozenset(["=>", "&&", "||", "??", "?", "?.", '"', "'", "`", "/*"])
_TOKEN = re.compile(
    r"(?P<blank>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<word>[A-Za-z_$][\w$]*)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?)"
    r"""|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)"""
    r"|(?P<sign>=>|&&|\|\||/\*|\?\?|\?\.|\.\.\.|.)",
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


class _NotLiteral(Exception):
    """The value is not a literal."""


def calls(script: str) -> list[ScriptCall]:
    """Return the calls of a script that ran to its end, in order; empty if it has control flow."""
    return list(_Reader(_straight_tokens(script)).calls())


def _straight_tokens(script: str) -> list[_Token]:
    """Return the tokens of a script without control flow; empty for other scripts."""
    tokens: list[_Token] = []
    for match in _TOKEN.finditer(script):
        token = _Token(match.lastgroup or "", match[0])
        is_control = token.text in (_CONTROL_FLOW if token.kind == "word" else _CONTROL_SIGNS)
        if is_control or len(tokens) == MAX_TOKENS:
            return []
        if token.kind != "blank":
            tokens.append(token)
    return tokens


class _Reader:
    """Reads a script's calls and literals."""

    def __init__(self, tokens: Sequence[_Token]):
        self._tokens = tokens
        self._position = 0
        self._values: dict[str, Any] = {}

    def calls(self) -> Iterator[ScriptCall]:
        is_concurrent = False
        for position in range(len(self._tokens)):
            is_concurrent = is_concurrent or self._is(position, "await", "Promise", ".", "all", "(", "[")
            if self._is(position, "const") and self._is(position + 2, "="):
                self._assign(position)
            is_awaited = self._is(position - 1, "await") or (
                is_concurrent and (self._is(position - 1, "[") or self._is(position - 1, ","))
            )
            if is_awaited and self._is(position, "tools", ".") and self._is(position + 3, "("):
                try:
                    argument = self._argument(position + 4)
                except _NotLiteral:
                    continue
                yield ScriptCall(self._tokens[position + 2].text, argument)

    def _is(self, position: int, *texts: str) -> bool:
        if not 0 <= position <= len(self._tokens) - len(texts) or self._tokens[position].text != texts[0]:
            return False
        return all(self._tokens[position + number].text == text for number, text in enumerate(texts))

    def _assign(self, position: int) -> None:
        name = self._tokens[position + 1].text
        self._position = position + 3
        try:
            value = self._value(MAX_DEPTH)
        except _NotLiteral:
            return
        if self._next() in (";", "const", "let", "await", "text", ""):
            self._values[name] = value

    def _argument(self, position: int) -> Any:
        self._position = position
        value = self._value(MAX_DEPTH)
        if self._next() != ")":
            raise _NotLiteral
        return value

    def _next(self) -> str:
        return self._tokens[self._position].text if self._position < len(self._tokens) else ""

    def _take(self) -> _Token:
        if self._position >= len(self._tokens):
            raise _NotLiteral
        self._position += 1
        return self._tokens[self._position - 1]

    def _value(self, depth: int) -> Any:
        token = self._take()
        if not depth:
            raise _NotLiteral
        if token.kind == "string":
            return _string(token.text)
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        if token.text == "{":
            return dict(self._fields(depth))
        if token.text == "[":
            return list(self._elements(depth))
        return self._named(token)

    def _named(self, token: _Token) -> Any:
        """Return a constant, a variable's known value, or a raw string."""
        if token.text == "String" and self._is(self._position, ".", "raw"):
            self._position += 2
            raw = self._take()
            if raw.text.startswith("`") and "${" not in raw.text:
                return raw.text[1:-1]
        if token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        if token.kind != "word" or token.text not in self._values:
            raise _NotLiteral
        return self._values[token.text]

    def _fields(self, depth: int) -> Iterator[tuple[str, Any]]:
        while self._next() != "}":
            key = self._take()
            name = _string(key.text) if key.kind == "string" else key.text
            if self._next() == ":":
                self._position += 1
                yield name, self._value(depth - 1)
            else:
                yield name, self._named(key)
            self._expect_separator("}")
        self._position += 1

    def _elements(self, depth: int) -> Iterator[Any]:
        while self._next() != "]":
            yield self._value(depth - 1)
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
    return _ESCAPE.sub(_unescaped, literal[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return _ESCAPED.get(match[4], match[4])
    return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else ""
