"""An app whose tables have indexed and unindexed columns of every affinity, and joins of every sort."""
