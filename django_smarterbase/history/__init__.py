"""The history: the latest profiles of all processes, in Redis, for the admin, ``sb_profile`` and whoever asks.

``install()`` makes it a listener of the profile recorder. A statement hands its profile over and goes on; a thread of
the process sends what has gathered to a capped stream, once a second. While Redis cannot be reached the profiles stay
in a ring of the process, from which the oldest are dropped, and counted, when it is full.

::

    page = history_of("default").read(since=an_hour_ago, limit=500)
    page.profiles, page.weights     # newest first; what each stands for when profiles are sampled
    page.summary().by_method        # {method: GroupSummary}
    page.source                     # "redis", or "local": of this process alone, since page.unavailable_since
"""

from django_smarterbase.history.history import ProfileHistory
from django_smarterbase.history.page import HistoryPage, News
from django_smarterbase.history.registry import forget_tenant, histories, history_of, install

__all__ = ["HistoryPage", "News", "ProfileHistory", "forget_tenant", "histories", "history_of", "install"]
