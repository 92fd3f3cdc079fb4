"""Floor 3: one outside system per file, behind the ports; `local.py` assembles the embedded mode."""
