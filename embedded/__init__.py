"""Floor 4: running the embedded mode: handlers wired to topics, workers, the terminal's view."""
