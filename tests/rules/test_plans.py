"""Calendar months for usage reports."""

from datetime import UTC, datetime

import pytest

from rules import plans


@pytest.mark.parametrize(
    ("months_before", "start"), [(0, (2026, 2, 1)), (1, (2026, 1, 1)), (2, (2025, 12, 1)), (35, (2023, 3, 1))]
)
def test_month_start_crosses_years(months_before, start):
    now = datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert plans.month_start(now, months_before) == datetime(*start, tzinfo=UTC)
