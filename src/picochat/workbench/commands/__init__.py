"""Children of the server: commands that outlive it, launches, models that answer."""
