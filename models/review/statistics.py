"""Statistics of an assessment's reviewers."""

from typing import Any

from models import scores, visibility
from models.assessments import Assessment
from models.orgs import ApiToken
from models.sessions import Session
from rules.statistics.reviewers import compare_reviewers


def reviewer_statistics(viewer: ApiToken, assessment: Assessment) -> list[dict[str, Any]]:
    """Return the rows of schemas/review/statistics.py, by name, from sessions whose scores the viewer can see."""
    ids = [session.id for session in Session.select(Session.id).where(Session.assessment == assessment)]
    authors: dict[Any, Any] = {}
    titles: dict[str, str] = {}
    sessions = []
    for version, current in scores.current_scores(sorted({*ids} - visibility.hidden_scores(viewer, ids))):
        authors |= {score.reviewer.author.id: score.reviewer.author for score in current}
        titles |= {criterion["key"]: criterion["title"] for criterion in version.criteria}
        values = [(score.reviewer.author.id, score.criterion, score.value) for score in current]
        sessions.append((version.criteria, values))
    compared = compare_reviewers(sessions)
    for statistics in compared.values():
        statistics["criteria"] = [row | {"title": titles[row["key"]]} for row in statistics["criteria"]]
    rows = [{"reviewer": authors[author_id]} | statistics for author_id, statistics in compared.items()]
    return sorted(rows, key=lambda row: (row["reviewer"].name.casefold(), row["reviewer"].id))
