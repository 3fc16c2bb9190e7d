"""``manage.py demo``: see the main job done, with an outage of Redis in the middle."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from django_smarterbase.history import history_of
from testproject.articles.demo import launch
from testproject.articles.demo.story import Story
from testproject.environment import Environment
from testproject.services import ServiceError, end_orderly


class Command(BaseCommand):
    """Tells the story and compares every answer; exit status 1 names what differed."""

    help = (
        "Stores articles, asks for them, stops Redis, asks again, and rebuilds the index, with a Redis and a folder of "
        "its own. S3=1 in the environment, or --s3, does it on an S3 server."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """``--s3``."""
        parser.add_argument(
            "--s3", action="store_true", default=os.environ.get("S3") == "1", help="store the objects in S3"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Tell the story; the first process only prepares it."""
        if not launch.is_launched():
            launch.launch(s3=options["s3"])
        end_orderly()
        environment = Environment.read()
        try:
            with launch.services(environment) as redis:
                self._place(environment)
                story = Story(self, redis)
                story.tell()
                # What waits to be sent would meet a Redis that has ended, and the last thing said would be a warning.
                history_of(DEFAULT_DB_ALIAS).flush()
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self._conclude(story)

    def heading(self, text: str) -> None:
        """Begin a step."""
        self._say(f"\n{self.style.MIGRATE_HEADING(text)}")

    def line(self, text: str) -> None:
        """Say something."""
        self._say(f"   {self.style.WARNING(text) if '[FALLBACK]' in text else text}")

    def right(self, text: str) -> None:
        """An answer was as expected."""
        self._say(f"   {self.style.SUCCESS('ok')} {text}")

    def wrong(self, text: str) -> None:
        """An answer was not as expected."""
        self._say(f"   {self.style.ERROR('DIFFERENT')} {text}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()  # the log goes to standard error, and both shall stay in order

    def _place(self, environment: Environment) -> None:
        bucket = environment.s3_bucket
        place = f"s3://{bucket} at {environment.s3_endpoint_url}" if bucket else environment.objects
        self._say(f"Objects: {place}\nRedis:   {environment.redis_url}")

    def _conclude(self, story: Story) -> None:
        if story.differences:
            raise CommandError(
                f"{len(story.differences)} of {story.compared} answers differ:\n - " + "\n - ".join(story.differences)
            )
        self._say(self.style.SUCCESS(f"\nAll {story.compared} answers were as expected."))
