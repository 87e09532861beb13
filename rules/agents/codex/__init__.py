"""Codex: tools, user messages, hooks and telemetry."""
