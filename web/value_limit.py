"""Count the values in a JSON document without parsing it, because parsed values use far more memory."""

import re

# Limit for one event, and for any other body unless its schema sets `max_values`.
MAX_VALUES = 100_000

# Matches up to the comma or opening bracket before the next value. Possessive quantifiers keep the match linear.
_NEXT_VALUE = re.compile(
    r"""(?: [^"\[{,]++
          | " [^"\\]*+ (?: \\. [^"\\]*+ )*+ "
          | [\[{] (?=[\ \t\n\r]*[\]}])
        )*+ [,\[{]""",
    re.VERBOSE,
)


def find_excess(text: str, max_values: int) -> int | None:
    """Return the position where a JSON document exceeds `max_values` values, including nested ones, or None.

    In invalid JSON, counts only the values before the first error.
    """
    # Quick check: one of these characters precedes each value except the outermost.
    if text.count(",") + text.count("[") + text.count("{") < max_values:
        return None
    at = 0
    for _ in range(max_values):  # the outermost value is the first
        match = _NEXT_VALUE.match(text, at)
        if match is None:
            return None
        at = match.end()
    return at
