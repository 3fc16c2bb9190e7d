"""Django and its neighbours on the engine: each part of them in a project of its own, beside stock SQLite."""
