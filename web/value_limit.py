"""Count the values of a JSON text without building them, since each takes far more memory than its text."""

import re

# In one event, and in any other body unless its schema has `max_values`.
MAX_VALUES = 100_000

# The text up to the next value: what separates it from the one before, or opens the array or object that it is the
# first of. An empty array or object has none. The possessive quantifiers keep the match linear.
_NEXT_VALUE = re.compile(
    r"""(?: [^"\[{,]++
          | " [^"\\]*+ (?: \\. [^"\\]*+ )*+ "
          | [\[{] (?=[\ \t\n\r]*[\]}])
        )*+ [,\[{]""",
    re.VERBOSE,
)


def find_excess(text: str, max_values: int) -> int | None:
    """The position at which a JSON text exceeds `max_values` values, on all levels; None if it has no more.

    In a text that is not JSON, the values before the first error count.
    """
    # At least as many as the values, since strings contain such characters too.
    if text.count(",") + text.count("[") + text.count("{") < max_values:
        return None
    at = 0
    for _ in range(max_values):  # with the outermost value one too many
        match = _NEXT_VALUE.match(text, at)
        if match is None:
            return None
        at = match.end()
    return at
