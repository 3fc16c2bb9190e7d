"""Members, who log in by their e-mail address: a user model of the project's own."""
