"""Model calls that neither the service nor the client recorded (R45)."""

from datetime import UTC, datetime, timedelta

import pytest

from rules.integrity.unrecorded_calls import MAX_PROBES, REPORT_WINDOW, ModelCall, findings

START = datetime(2026, 4, 1, 9, tzinfo=UTC)
END = START + timedelta(seconds=30)
MOMENT = timedelta(milliseconds=1)
CALL = ModelCall("gpt-5.5", START, END, output_tokens=200, cost_nano_usd=10**7, is_recorded=None)


def count(calls, reported_at=()):
    return sum(finding.count for finding in findings(calls, reported_at))


@pytest.mark.parametrize(
    ("reported_at", "expected"),
    [
        ([], 1),
        ([START - REPORT_WINDOW - MOMENT, END + REPORT_WINDOW + MOMENT], 1),
        ([START - REPORT_WINDOW], 0),
        ([END + REPORT_WINDOW], 0),
    ],
)
def test_a_call_is_recorded_if_the_client_reported_something_at_that_time(reported_at, expected):
    assert count([CALL], reported_at) == expected


def test_a_call_whose_events_could_not_be_stored_is_not_recorded():
    assert count([CALL._replace(is_recorded=False, output_tokens=1)], [START]) == 1


@pytest.mark.parametrize("output_tokens", [None, 16])
def test_a_few_probes_are_not_a_finding(output_tokens):
    probe = CALL._replace(output_tokens=output_tokens)
    assert count([probe] * MAX_PROBES) == 0
    assert count([CALL] + [probe] * MAX_PROBES) == 1
    assert count([probe] * (MAX_PROBES + 1)) == MAX_PROBES + 1


def test_the_explanation_has_models_and_cost():
    (finding,) = findings([CALL, CALL._replace(model=None, cost_nano_usd=None), CALL], [])
    assert finding.explanation.endswith(" Calls: 2 gpt-5.5 ($0.0200), 1 unknown ($0.0000).")
