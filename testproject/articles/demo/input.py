"""The articles that the demonstration stores."""

from __future__ import annotations

from typing import NamedTuple

from testproject.articles.models import Article

Status = Article.Status


class Draft(NamedTuple):
    """An article to be created."""

    author: str
    category: str
    title: str
    body: str
    status: Status
    views: int


ADA, GRACE, KATHERINE = "Ada Lovelace", "Grace Hopper", "Katherine Johnson"

DRAFTS = (
    Draft(ADA, "databases", "Rows as objects", "A row is a file that people can read.", Status.PUBLISHED, 120),
    Draft(ADA, "databases", "What an index may forget", "A narrower may fail; it may not lie.", Status.PUBLISHED, 310),
    Draft(
        ADA, "engines", "Notes on a calculating engine", "It does whatever we know how to order it.", Status.DRAFT, 7
    ),
    Draft(GRACE, "compilers", "The first compiler", "Nobody believed that it could be done.", Status.PUBLISHED, 250),
    Draft(GRACE, "databases", "A nanosecond of wire", "30 cm: as far as light goes in one.", Status.PUBLISHED, 95),
    Draft(GRACE, "compilers", "Words in place of codes", "Dates and café menus: “naïve” text 🚢.", Status.ARCHIVED, 12),
    Draft(GRACE, "compilers", "Ask forgiveness", "It is easier than to get permission.", Status.DRAFT, 1),
    Draft(KATHERINE, "orbits", "The way home", "Go/no-go: check the machine's numbers.", Status.PUBLISHED, 480),
    Draft(KATHERINE, "orbits", "Launch windows", "Where it should come down says when it starts.", Status.DRAFT, 33),
    Draft(KATHERINE, "databases", "Counting by hand", "The slow way that is always right.", Status.PUBLISHED, 310),
)

WRITTEN_IN_THE_OUTAGE = Draft(ADA, "databases", "Written while Redis was down", "Not lost.", Status.PUBLISHED, 0)
