"""What the processes said: no traceback, save of connections that broke as the database went away."""

import re

BEGIN = "Traceback (most recent call last):"
LAST_LINE = re.compile(r"^\S")
CONNECTION_LOST = re.compile(r"(OperationalError|InterfaceError|AdminShutdown|DatabaseError)\b")


def tracebacks(log: str) -> list[list[str]]:
    """Each traceback with the line that ends it."""
    found: list[list[str]] = []
    block: list[str] | None = None
    for line in log.splitlines():
        if line.startswith(BEGIN):
            block = [line]
        elif block is not None:
            block.append(line)
            if LAST_LINE.match(line):
                found.append(block)
                block = None
    return found


def breaches(log: str, has_server: bool) -> list[str]:
    """The tracebacks that should not be there."""
    return [
        "A process said: " + " | ".join(block[-6:])
        for block in tracebacks(log)
        if not (has_server and CONNECTION_LOST.search(block[-1]))
    ]
