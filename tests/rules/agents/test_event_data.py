"""Previews of event data."""

import pytest

from rules.agents import event_data

SECRETS = ["PST-ABCD-EFGH", "sk-ant-api03-" + "a" * 90]


@pytest.mark.parametrize("secret", SECRETS, ids=["candidate key", "provider key"])
def test_a_truncated_secret_is_masked(secret):
    for start in range(480, 500):
        preview = event_data.preview("x" * (start - 1) + f" {secret} and more")
        assert secret[:5] not in preview
        assert len(preview) <= event_data.MAX_PREVIEW_CHARACTERS
