"""An application with foreign keys of every kind."""
