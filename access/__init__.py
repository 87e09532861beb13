"""Who may call, how often, and on record."""
