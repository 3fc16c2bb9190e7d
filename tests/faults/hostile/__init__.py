"""Hostile input: a committed corpus of keys, values and damaged objects, each with a known outcome.

``python -m tests.faults.hostile.generate`` writes ``corpus/*.json`` anew; ``test_corpus.py`` holds that it is what is
committed. Keys and values are compared with Django on stock SQLite, damaged objects with what the documents say.
"""
