"""Django's own test suite, on this engine beside stock SQLite: see ``python -m tests.conformance --help``."""
