"""Run all tests and write JUnit XML to $REPORT."""

import os
import sys
import time
import unittest
from xml.etree import ElementTree

import client

MAX_OUTPUT = 8_000


class Result(unittest.TestResult):
    """Collects one JUnit test case for each test."""

    def __init__(self) -> None:
        super().__init__()
        self.suite = ElementTree.Element("testsuite", name="group-bookings")

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.started_at = time.monotonic()
        _, group, method = test.id().split(".")
        self.case = ElementTree.SubElement(
            self.suite, "testcase", classname=group, name=method.removeprefix("test_").replace("_", " ")
        )

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.case.set("time", f"{time.monotonic() - self.started_at:.3f}")

    def addFailure(self, test, error) -> None:
        super().addFailure(test, error)
        self.add_output("failure", self.failures[-1][1])

    def addError(self, test, error) -> None:
        super().addError(test, error)
        self.add_output("error", self.errors[-1][1])

    def add_output(self, tag: str, text: str) -> None:
        # XML can't contain most control characters.
        text = "".join(
            character if character.isprintable() or character == "\n" else "?" for character in text
        )
        ElementTree.SubElement(self.case, tag).text = text[-MAX_OUTPUT:]


client.wait_until_ready()
result = Result()
unittest.defaultTestLoader.discover(".").run(result)
ElementTree.ElementTree(result.suite).write(os.environ["REPORT"], encoding="utf-8", xml_declaration=True)
sys.exit(not result.wasSuccessful())
