"""The log of the processes: it may contain no traceback, except for connections lost with the database."""

import re

CONNECTION_LOST = re.compile(r"(OperationalError|InterfaceError|AdminShutdown|DatabaseError)\b")


def tracebacks(log: str) -> list[list[str]]:
    """Find all tracebacks, each with its last line, which names the error."""
    found: list[list[str]] = []
    block: list[str] | None = None
    for line in log.splitlines():
        if line.startswith("Traceback (most recent call last):"):
            block = [line]
        elif block is not None:
            block.append(line)
            if line and not line[0].isspace():
                found.append(block)
                block = None
    return found


def violations(log: str, has_server: bool) -> list[str]:
    """Find the tracebacks that are not allowed."""
    return [
        "Traceback in the log: " + " | ".join(block[-6:])
        for block in tracebacks(log)
        if not (has_server and CONNECTION_LOST.search(block[-1]))
    ]
