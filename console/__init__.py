"""The reviewers' console: static files that call the public API. Optional (docs/console.md)."""
