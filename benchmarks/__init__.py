"""Programs that measure Longreel beside what a user would pick instead; each prints what it did and what it found."""
