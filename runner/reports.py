"""Read JUnit XML, which the submission may have written, and detect faked reports with canary tests."""

import re
import secrets
from typing import Any
from xml.etree import ElementTree

from runner import Unusable

MAX_REPORT_MB = 8
MAX_TESTS = 10_000
MAX_NAME = 500
MAX_DURATION_MS = 86_400_000
MAX_OUTPUT_BYTES, MAX_OUTPUTS_BYTES = 16 << 10, 1 << 20

PYTEST_CANARY = """
def test_{0}_pass():
    pass


def test_{0}_fail():
    assert False
"""
NODE_CANARY = """
import test from "node:test";
test("{0}_pass", () => {{}});
test("{0}_fail", () => {{ throw new Error("expected"); }});
"""
# Not allowed in XML, but Node's reporter copies them from messages. The last two are U+FFFE and U+FFFF.
INVALID_CHARACTERS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
REFERENCES = re.compile(rb"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
CANARIES = {"pytest": ("test_{}.py", PYTEST_CANARY), "node": ("{}.test.mjs", NODE_CANARY)}


class Builder(ElementTree.TreeBuilder):
    """Rejects document types, and so all entities that a report could define."""

    def doctype(self, name: str, public_id: str, system: str) -> None:
        raise Unusable("The report has a document type.")


def _replace_invalid(reference: re.Match[bytes]) -> bytes:
    """Replace a reference to a character that is not allowed in XML."""
    digits = b"0" + (reference[1] or reference[2]).lstrip(b"0")[:8]
    code = int(digits, 16 if reference[1] else 10)
    is_allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE
    return reference[0] if is_allowed or 0x10000 <= code <= 0x10FFFF else b"?"


def parse(report: bytes) -> list[dict[str, Any]]:
    """Return the tests of a JUnit XML report in the form of the runner API."""
    if not report.startswith(UTF16_MARKS):
        report = REFERENCES.sub(_replace_invalid, INVALID_CHARACTERS.sub(b"?", report))
    try:
        root = ElementTree.fromstring(report, ElementTree.XMLParser(target=Builder()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Unusable("The report is not well-formed XML.") from error
    tests: list[dict[str, Any]] = []
    left = MAX_OUTPUTS_BYTES
    for case in root.iter("testcase"):
        if len(tests) == MAX_TESTS:
            raise Unusable(f"The report has more than {MAX_TESTS:,} tests.")
        problems = [element for element in case if element.tag in ("failure", "error")]
        is_skipped = any(element.tag == "skipped" for element in case)
        texts = [text for element in problems for text in (element.get("message"), element.text) if text]
        output = "\n".join(texts).encode("utf-8", "replace")[: min(left, MAX_OUTPUT_BYTES)]
        left -= len(output)
        name, group, seconds = case.get("name", ""), case.get("classname"), case.get("time", "")
        test = {"name": (f"{group}::{name}" if group else name)[:MAX_NAME]}
        test["outcome"] = "failed" if problems else "skipped" if is_skipped else "passed"
        test["output"] = output.decode("utf-8", "ignore")
        is_time = re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,12})?", seconds, re.ASCII)
        tests.append(
            test | {"durationMs": min(int(float(seconds) * 1000), MAX_DURATION_MS) if is_time else 0}
        )
    return tests


class Canary:
    """Two tests with a random name; a report that the test tool did not write lacks their outcomes."""

    def __init__(self, framework: str):
        self.token = f"t{secrets.token_hex(8)}"
        name, content = CANARIES[framework]
        self.file_name, self.content = name.format(self.token), content.format(self.token).encode()

    def remove_from(self, tests: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
        """Return the other tests, and whether one canary failed and the other passed, once each."""
        own = [(test["name"][-4:], test["outcome"]) for test in tests if self.token in test["name"]]
        others = [test for test in tests if self.token not in test["name"]]
        return others, sorted(own) == [("fail", "failed"), ("pass", "passed")]
