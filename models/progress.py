"""Progress of each assessment: its funnel and the work that waits for reviewers, in four queries."""

from collections import Counter, defaultdict
from typing import Any

from models import overview, todo
from models.orgs import ApiToken


def by_assessment(reviewer: ApiToken) -> list[dict[str, Any]]:
    """Return the funnel and counts of waiting work for each assessment with candidates, oldest first."""
    funnels: dict[Any, Counter] = defaultdict(Counter)
    for row in overview.funnel_counts(reviewer.organization):
        funnels[row["assessment_id"]].update({name: row[name] for name in overview.FUNNEL})
    waiting = {
        "to_score": todo.by_assessment(todo.without_total(reviewer)),
        "disagreements": todo.by_assessment(todo.disagreements(reviewer)),
        "failed_messages": todo.by_assessment(todo.failed_messages(reviewer)),
    }
    return [
        {"assessment_id": row_id, "funnel": funnel}
        | {"waiting": {name: counts[row_id] for name, counts in waiting.items()}}
        for row_id, funnel in funnels.items()
    ]
