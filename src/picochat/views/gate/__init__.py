"""Check results as people read them: verdicts, what mends them, budgets, waivers."""
