"""What stands in the tables of a page."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

from django.test import Client


class _Rows(HTMLParser):
    """Collects the texts of cells, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
            self._in_cell = True
        elif self._in_cell:
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def get(client: Client, path: str, **query: str) -> str:
    """A page that must be there. Nothing in it is missing from its context."""
    answer = client.get(path, query)
    assert answer.status_code == 200, (path, answer.status_code)
    page = answer.content.decode()
    assert "INVALID" not in page
    return page


def rows_of(page: str) -> list[list[str]]:
    """The rows of all tables, heads included, each cell as one line of text."""
    parser = _Rows()
    parser.feed(page)
    return [[" ".join(cell.split()) for cell in row] for row in parser.rows]


def row_of(page: str, start: str) -> list[str]:
    """The only row whose first cell begins so."""
    (row,) = [row for row in rows_of(page) if row[0].startswith(start)]
    return row


def text_of(page: str) -> str:
    """All text of the content of a page, as one line."""
    content = page.partition('id="content-start"')[2] or page
    without_tags = re.sub(r"<[^>]+>", " ", re.sub(r"<title>.*?</title>", "", content, flags=re.DOTALL))
    return " ".join(unescape(without_tags).split())
