"""JUnit XML, which can be the submission's own work, read into outcomes."""

import math
import re
import secrets
from typing import Any
from xml.etree import ElementTree

MAX_REPORT_BYTES = 8 << 20
MAX_TESTS = 10_000
MAX_NAME = 500
MAX_OUTPUT_BYTES = 16 << 10
MAX_OUTPUTS_BYTES = 1 << 20
MAX_DURATION_MS = 24 * 3600 * 1000

CANARIES = {
    "pytest": ("test_{}.py", "def test_{0}_pass():\n    pass\n\n\ndef test_{0}_fail():\n    assert False\n"),
    "node": (
        "{}.test.mjs",
        'import test from "node:test";\ntest("{0}_pass", () => {{}});\n'
        'test("{0}_fail", () => {{ throw new Error("expected"); }});\n',
    ),
}


class Unreadable(Exception):
    """A report that cannot be read, with the reason."""


class _NoDoctype(ElementTree.TreeBuilder):
    """Rejects document types and so all entities but XML's own."""

    def doctype(self, name: str, public_id: str, system: str) -> None:
        raise Unreadable("The report has a document type.")


def parse(report: bytes) -> list[dict[str, Any]]:
    """Return the tests of a JUnit XML report in the form of the runner API."""
    if len(report) > MAX_REPORT_BYTES:
        raise Unreadable(f"The report is larger than {MAX_REPORT_BYTES >> 20} MiB.")
    try:
        root = ElementTree.fromstring(report.strip(), ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Unreadable("The report is not well-formed XML.") from error
    tests: list[dict[str, Any]] = []
    left = MAX_OUTPUTS_BYTES
    for case in root.iter("testcase"):
        if len(tests) == MAX_TESTS:
            raise Unreadable(f"The report has more than {MAX_TESTS:,} tests.")
        problems = [element for element in case if element.tag in ("failure", "error")]
        is_skipped = any(element.tag == "skipped" for element in case)
        texts = [text for element in problems for text in (element.get("message"), element.text) if text]
        output = _cut("\n".join(texts), min(left, MAX_OUTPUT_BYTES))
        left -= len(output.encode())
        name, group = case.get("name", ""), case.get("classname")
        tests.append(
            {
                "name": (f"{group}::{name}" if group else name)[:MAX_NAME],
                "outcome": "failed" if problems else "skipped" if is_skipped else "passed",
                "durationMs": _milliseconds(case.get("time", "")),
                "output": output,
            }
        )
    return tests


def _cut(text: str, size: int) -> str:
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def _milliseconds(seconds: str) -> int:
    value = float(seconds) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?", seconds) else 0.0
    return min(math.floor(value * 1000), MAX_DURATION_MS)


class Canary:
    """Two tests with a random name that only a real run of the test tool reports correctly."""

    def __init__(self, framework: str):
        self.token = f"t{secrets.token_hex(8)}"
        name, content = CANARIES[framework]
        self.file_name, self.content = name.format(self.token), content.format(self.token).encode()

    def remove_from(self, tests: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
        """Return the other tests, and whether both canaries ran once, one failed and one passed."""
        own = [(test["name"][-4:], test["outcome"]) for test in tests if self.token in test["name"]]
        others = [test for test in tests if self.token not in test["name"]]
        return others, sorted(own) == [("fail", "failed"), ("pass", "passed")]
