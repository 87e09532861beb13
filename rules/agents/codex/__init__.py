"""Codex: tools, conversation texts, hooks and telemetry."""
