"""Coding agents' model calls, hooks and telemetry, read as events. Optional: can be deleted with its lines in app.py.

To add an agent, see CONTRIBUTING.md#adding-a-coding-agent.

- Agents: known_agents.py; their tables claude_code.py, codex.py (code_mode.py) and opencode.py; the texts that they add
  to conversations, *_text.py
- Rows of a table: dialect.py (Tool, Outcome), common_tools.py, table.py
- Dialects of the model APIs: dialects.py, dialect.py (the interface), anthropic_messages.py, openai_responses.py and
  chat_completions.py, which are translated to Messages (translated.py)
- Conversations: messages_conversation.py, messages_turns.py
- Hooks: hooks.py, *_calls.py. Telemetry: telemetry.py, log_events.py, *_telemetry.py, *_calls.py
- Changes of files: known_files.py, diffs.py, patches.py, patch_events.py
- Fields of events: event_data.py, values.py
"""
