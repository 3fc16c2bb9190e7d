"""An app whose tables have booleans in every place."""
