"""Loopback servers that speak Google's REST protocols, for Google's own clients."""
