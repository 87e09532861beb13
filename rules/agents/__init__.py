"""Read coding agents' model calls, hooks and telemetry as events.

This package is optional: to remove it, also delete its lines in app.py.

To add an agent, see README.md in this folder.

- Agents: known_agents.py, unknown_agent.py (the base class), claude_code/, codex/, opencode.py
- Tool tables: tools.py
- Model APIs: dialects.py, model_apis/
- Hooks: hooks.py, */calls.py. Telemetry: telemetry.py, log_records.py, */telemetry.py, */calls.py, gemini_cli.py
- Changed files: files/
- Event fields: event_data.py, values.py
"""
