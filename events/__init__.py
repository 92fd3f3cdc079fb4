"""Floor 1: the words that cross a process: messages, names, errors and what is known of a clip."""
