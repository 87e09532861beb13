"""Claude Code: tools, user messages, hooks and telemetry."""
