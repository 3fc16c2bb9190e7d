"""An application with unique values of every kind."""
