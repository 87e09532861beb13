"""Coding agents' model calls, hooks and telemetry, read as events. Optional: delete it with its lines in app.py.

To add an agent, see README.md in this folder.

- Agents: known_agents.py, unknown_agent.py (the base class), claude_code/, codex/, opencode.py
- Tables of tools: tools.py
- Model APIs: dialects.py, model_apis/
- Hooks: hooks.py, */calls.py. Telemetry: telemetry.py, log_records.py, */telemetry.py, */calls.py, gemini_cli.py
- Changed files: files/
- Fields of events: event_data.py, values.py
"""
