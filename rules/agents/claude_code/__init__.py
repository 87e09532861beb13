"""Claude Code: tools, conversation texts, hooks and telemetry."""
