"""Copies of documents that spare requests: packs beside them in the store, and single bodies in a cache of Django's.

A copy is used only after the store has said that its ETag is the current one, so none is ever stale. Whatever is wrong
with one, the document itself is read.
"""
