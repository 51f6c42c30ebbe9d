"""Who may come in: the token, sessions, and what every request must pass."""
