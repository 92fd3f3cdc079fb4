"""The real handlers and tables through thousands of seeded histories on a virtual clock; see docs/testing.md."""
