"""Check whether a candidate may call a provider's models now."""

from datetime import timedelta

from errors import SessionClosed
from models import Session, clock
from proxy import budget
from proxy.errors import AccessExpired, AgentRejected, NoProviderKey
from proxy.forwarding import ModelProxy

# After the redeem, in sessions without a time limit.
MODEL_ACCESS_PERIOD = timedelta(hours=24)
# The agent in `allowedTools` for each provider.
AGENTS = {"anthropic": "claude", "openai": "codex"}


def admit(session: Session, proxy: ModelProxy, provider: str) -> None:
    """Raise SessionClosed, AccessExpired, AgentRejected, NoProviderKey or BudgetSpent."""
    now, allowed = clock.now(), session.assessment.allowed_agents
    if session.closed_as_of(now):
        raise SessionClosed()
    if session.closes_at is None and now >= session.redeemed_at + MODEL_ACCESS_PERIOD:
        raise AccessExpired()
    if allowed is not None and AGENTS[provider] not in allowed:
        raise AgentRejected(provider)
    if not proxy.has_key(provider):
        raise NoProviderKey(provider)
    budget.require_left(session)
