"""A session's metrics and analysis, derived from its events (docs/metrics.md)."""
