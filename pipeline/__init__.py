"""Floor 2, the pure core: what a job and its segments are, and what every event does to them."""
