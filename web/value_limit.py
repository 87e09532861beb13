"""Count the values of a JSON text without building them: a value takes far more memory than its text."""

import re

# Of one event, and of any other body unless its schema has `max_values`.
MAX_VALUES = 100_000

# The text up to the next value: a comma before it, or the bracket of the array or object whose first value it is. An
# empty array or object has no value. The possessive quantifiers keep the match linear.
_NEXT_VALUE = re.compile(
    r"""(?: [^"\[{,]++
          | " [^"\\]*+ (?: \\. [^"\\]*+ )*+ "
          | [\[{] (?=[\ \t\n\r]*[\]}])
        )*+ [,\[{]""",
    re.VERBOSE,
)


def find_excess(text: str, max_values: int) -> int | None:
    """The position at which a JSON text exceeds `max_values` values on all levels; None if it does not.

    In a text that is not JSON, only the values before the first error count.
    """
    # There are at least as many such characters as values, since strings contain them too.
    if text.count(",") + text.count("[") + text.count("{") < max_values:
        return None
    at = 0
    for _ in range(max_values):  # together with the outermost value, one too many
        match = _NEXT_VALUE.match(text, at)
        if match is None:
            return None
        at = match.end()
    return at
