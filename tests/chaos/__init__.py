"""The real thing under kill -9, again and again; outside the default tests, by `make chaos`."""
