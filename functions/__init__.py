"""Floor 3: what each trigger does. Knows ports only; decides nothing."""
