"""An app of tests: tables whose keys and columns are of every kind."""
