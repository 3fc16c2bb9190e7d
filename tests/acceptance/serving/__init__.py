"""The example site on real servers. What a served process imports stands apart from what the tests do with it."""

#: The category of the articles that a request writes which takes its time.
LINGERING = "lingering"
