"""Codex: its tools, the texts of its conversations, its hooks and its telemetry."""
