"""How a team reviews sessions."""
