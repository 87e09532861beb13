"""Results of hidden tests: the outcomes of the known tests, limits of outputs, and a check's result."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rules.events.masking import mask_text
from rules.plain_text import replace_unstorable, to_storable

PASSED, FAILED, SKIPPED, MISSING = "passed", "failed", "skipped", "missing"
MAX_TESTS = 2_000
MAX_NAME_CHARACTERS = 500
MAX_OUTPUT_BYTES = 16 * 1024
MAX_OUTPUTS_BYTES = 1024 * 1024
MAX_NAMED = 5
TRUNCATED = "[truncated]\n"


class Outcomes(NamedTuple):
    """A run's results. It is complete if each known test was reported exactly once."""

    results: list[dict[str, Any]]
    passed_count: int
    total_count: int
    is_complete: bool


def compare(reported: Iterable[dict[str, Any]], known: Sequence[str] | None) -> Outcomes:
    """Compare a run's report with the known tests. A test that was reported twice has failed.

    reported -- `{name, outcome, duration_ms, output}`
    known -- names; None to use the reported ones
    """
    by_name: dict[str, dict[str, Any]] = {}
    repeated = set()
    for test in reported:
        name = to_storable(test["name"], MAX_NAME_CHARACTERS)
        if name in by_name:
            repeated.add(name)
        by_name.setdefault(name, test)
    names = list(by_name)[:MAX_TESTS] if known is None else known
    results = [_result(name, by_name.get(name), name in repeated) for name in names]
    outcomes = [result["outcome"] for result in results]
    is_complete = MISSING not in outcomes and repeated.isdisjoint(names)
    return Outcomes(_limit_outputs(results), outcomes.count(PASSED), len(names), is_complete)


def _result(name: str, test: dict[str, Any] | None, is_repeated: bool) -> dict[str, Any]:
    test = test or {"outcome": MISSING}
    outcome = FAILED if is_repeated else test["outcome"]
    result = {"name": name, "outcome": outcome}
    return result | {"durationMs": test.get("duration_ms"), "output": test.get("output")}


def _limit_outputs(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mask secrets, and truncate outputs at the start. Beyond MAX_OUTPUTS_BYTES, outputs become None."""
    available = MAX_OUTPUTS_BYTES - sum(len(result["name"].encode()) for result in results)
    for result in results:
        if result["output"]:
            output = _truncate(mask_text(replace_unstorable(result["output"])))
            available -= len(output.encode())
            result["output"] = output if available >= 0 else None
    return results


def _truncate(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= MAX_OUTPUT_BYTES:
        return text
    return TRUNCATED + encoded[len(TRUNCATED) - MAX_OUTPUT_BYTES :].decode(errors="ignore")


class CheckResult(NamedTuple):
    """The names of the tests that count, and of the unstable ones. The task is ready if there is no problem."""

    names: list[str]
    unstable: list[str]
    problem: str | None


def evaluate_check(base: dict[str, str], references: Sequence[dict[str, str]]) -> CheckResult:
    """Evaluate a check: outcomes by test name, on the repository and on the reference solution.

    Tests whose outcomes differ between the reference's runs don't count.
    """
    reported = dict.fromkeys(name for outcomes in references for name in outcomes)
    unstable = [name for name in reported if len({outcomes.get(name) for outcomes in references}) > 1]
    names = [name for name in reported if name not in unstable]
    return CheckResult(names, unstable, _find_problem(names, base, references[0]))


def _find_problem(names: list[str], base: dict[str, str], reference: dict[str, str]) -> str | None:
    if not names:
        return "The runs on the reference solution reported no test whose outcome is stable."
    if unsolved := [name for name in names if reference[name] != PASSED]:
        return f"The reference solution does not pass {_list_names(unsolved)}."
    if all(base.get(name) == PASSED for name in names):
        return "The repository passes all tests without a solution."
    return None


def _list_names(names: list[str]) -> str:
    rest = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + rest
