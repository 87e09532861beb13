"""How a team reviews sessions: revealed scores, assignments and notes."""
