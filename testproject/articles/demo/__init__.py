"""The demonstration that ``manage.py demo`` gives: the main job, with an outage of Redis in the middle."""
