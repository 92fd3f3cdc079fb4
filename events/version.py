"""Which Longreel this is."""

#: As in `pyproject.toml`; a test holds both together. Written into every film, so it must not be looked up at run time.
VERSION = "0.1.0"
