"""Model API modules by dialect."""

from types import ModuleType

from rules.agents.model_apis import anthropic_messages, chat_completions, openai_responses

DIALECTS: dict[str, ModuleType] = {
    "messages": anthropic_messages,
    "responses": openai_responses,
    "chat_completions": chat_completions,
}
