"""The claims that migrations take for documents as they are: at once, and not at COMMIT as those of pending documents.

Until COMMIT they may have to be given back, with the transaction or with a savepoint of it.
"""

from __future__ import annotations

from django_smarterbase.backend.claims import ClaimBook, DocumentClaim
from django_smarterbase.backend.workspace import Workspace


class MigrationClaims:
    """The claims of one connection's transaction, a book for each operation that took some.

    How many books stand is noted in the workspace, where ROLLBACK TO SAVEPOINT undoes the note with the rows.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._books: list[ClaimBook] = []

    def add(self, book: ClaimBook) -> None:
        """Keep what an operation has taken, until COMMIT or a rollback."""
        self._books.append(book)
        self._note()

    def have_taken(self, wanted: DocumentClaim) -> bool:
        """Whether an earlier operation took it for the same document. Who took it again would put another claim in the
        place of that one, which then could not be given back."""
        return any(book.has_taken(wanted) for book in self._books)

    def keep(self) -> None:
        """COMMIT: they are the documents' now."""
        if self._books:
            self._books.clear()
            self._note()

    def give_back(self) -> None:
        """Undo what was taken and stands no more, the last first. What the store does not let go stays behind, as
        orphans, and is logged. A request a claim, in parallel."""
        if not self._books:
            return
        (standing,) = self._workspace.sqlite.execute("SELECT claim_books FROM _sb_state").fetchone()
        while len(self._books) > standing:
            self._books.pop().abandon()

    def _note(self) -> None:
        self._workspace.sqlite.execute("UPDATE _sb_state SET claim_books = ?", (len(self._books),))
