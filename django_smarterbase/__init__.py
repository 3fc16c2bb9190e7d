"""A Django database engine whose rows are objects in a Django storage and whose indexes are Redis sets."""

__version__ = "0.1.0"
