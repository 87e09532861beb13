"""The reviewers' console: static pages that use the public API. This package can be deleted (docs/console.md)."""
