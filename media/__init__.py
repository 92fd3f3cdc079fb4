"""Bytes in, bytes out: containers, conformance, the splice, the sound at its seams. Runs nothing, fetches nothing."""
