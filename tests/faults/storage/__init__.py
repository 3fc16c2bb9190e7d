"""Faults of the object store: an S3 that fails on command, and a disk that is full or read-only."""
