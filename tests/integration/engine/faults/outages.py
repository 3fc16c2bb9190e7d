"""The ways in which a site loses its indexes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from django.db.models import Index

from django_smarterbase.backend import modeltables
from django_smarterbase.indexes.service import FallbackReason
from testproject.articles.models import Article, Author
from tests.integration.commands.site import ALIAS, Site

from .questions import CATEGORY


class Outage(ABC):
    """``reasons`` are those that queries may give while it lasts; ``warnings`` are logged by one query."""

    reasons: frozenset[FallbackReason]
    warnings = 1
    logged = "is not trusted"
    only_articles = False  # whether the authors' index is none the worse

    @abstractmethod
    def begin(self, site: Site) -> None:
        """Lose the index."""

    def end(self, site: Site) -> None:
        """Bring Redis back, as far as it is gone."""
        site.server.start()


class NoCache(Outage):
    """The option ``cache`` is None: the site was never meant to have indexes."""

    reasons = frozenset((FallbackReason.NO_CACHE,))
    warnings = 0

    def begin(self, site: Site) -> None:
        site.restart(cache=None)

    def end(self, site: Site) -> None:
        site.restart(cache=ALIAS)


class Unreachable(Outage):
    """Nobody listens on the port."""

    reasons = frozenset((FallbackReason.UNREACHABLE, FallbackReason.BREAKER_OPEN))
    logged = "cannot be used"

    def begin(self, site: Site) -> None:
        site.server.stop()


class Killed(Outage):
    """Redis died and came back empty."""

    reasons = frozenset((FallbackReason.FLUSHED, FallbackReason.SUSPECT))

    def begin(self, site: Site) -> None:
        site.server.kill()
        site.server.start()


class OldDump(Outage):
    """Redis died and came back with what it had saved earlier."""

    reasons = frozenset((FallbackReason.RESTARTED, FallbackReason.SUSPECT))

    def begin(self, site: Site) -> None:
        with site.redis() as client:
            client.save()
            saved = client.dbsize()
        Article.objects.filter(category=CATEGORY).first().save()  # the dump does not know of it
        site.server.kill()
        site.server.start()
        site.server.dump_file.unlink()
        with site.redis() as client:
            assert client.dbsize() == saved > 0


class Flushed(Outage):
    """FLUSHALL."""

    reasons = frozenset((FallbackReason.FLUSHED, FallbackReason.SUSPECT))

    def begin(self, site: Site) -> None:
        with site.redis() as client:
            client.flushall()


class LostSet(Outage):
    """A stray DEL of one set."""

    reasons = frozenset((FallbackReason.DRIFT, FallbackReason.FLUSHED, FallbackReason.SUSPECT))
    only_articles = True

    def begin(self, site: Site) -> None:
        (key,) = _category_sets(site)
        with site.redis() as client:
            assert client.delete(key) == 1


class OtherType(Outage):
    """Somebody else has written a key of another type under the name of a set."""

    reasons = frozenset((FallbackReason.DRIFT, FallbackReason.FLUSHED, FallbackReason.SUSPECT))
    only_articles = True

    def begin(self, site: Site) -> None:
        (key,) = _category_sets(site)
        with site.redis() as client:
            client.set(key, "not a set")


class OtherDefinitions(Outage):
    """The new release of the code has one more index on articles."""

    reasons = frozenset((FallbackReason.DEFINITIONS_CHANGED, FallbackReason.SUSPECT))
    only_articles = True

    def begin(self, site: Site) -> None:
        self._added = Index(fields=["title"], name="articles-by-title")
        Article._meta.indexes.append(self._added)
        self._forget()

    def forget(self) -> None:
        """The model is again what it was."""
        Article._meta.indexes.remove(self._added)
        self._forget()

    @staticmethod
    def _forget() -> None:
        for model in (Article, Author):
            modeltables._schemas.pop(model, None)


def _category_sets(site: Site) -> list[str]:
    return site.redis_keys(f"set:*category*{CATEGORY}")


OUTAGES = (NoCache, Unreachable, Killed, OldDump, Flushed, LostSet, OtherType, OtherDefinitions)
