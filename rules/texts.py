"""Texts of events as people read them: of bounded length, and without what no column or answer can hold."""

import re
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# So much is looked at for each character that is kept, since indentation and blank lines are left out.
_LOOKED_AT = 8


def readable(text: str, longest: int) -> str:
    """The text as an answer can carry it, with an ellipsis for what is longer."""
    return _UNSTORABLE.sub("\ufffd", cut(text, longest))


def one_line(value: Any, longest: int) -> str | None:
    """A text on one line, with single blanks for white space and controls; None for what is no text, or empty."""
    if not isinstance(value, str):
        return None
    beginning = value[: longest * _LOOKED_AT]
    line = " ".join(_CONTROLS.sub(" ", _COLOURS.sub("", beginning)).split())
    if len(beginning) < len(value):
        line += "…"
    return readable(line, longest) or None


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
