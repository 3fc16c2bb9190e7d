"""An app with a model of every kind, for the commands that go through all of them."""
