"""System checks: what is wrong with, or risky in, the settings of the smarterbase databases.

=====  =========================================================================================
E001   an option of the database does not exist
E002   an option has a value out of its range
E003   the storage alias is missing or cannot be opened
E004   the cache alias is missing
E005   the cache alias is not django-redis
E006   SMARTERBASE_DATABASE names no smarterbase database
E007   SMARTERBASE_PRICES cannot be read
E008   the NAME of the database cannot stand in object keys
E009   the debug toolbar has the panel without this application (run by the toolbar)
E010   the alias of the document cache is missing
E011   the storage takes no object (connects; runs with ``check --database``)
W001   the cache alias is also the default or the session cache
W002   another cache alias empties the same Redis database
W003   the cache alias has no socket timeouts
W004   the objects lie where the web server serves files to everybody
W005   the storage has no conditional writes
W006   models with a SmarterBaseManager and no SmarterBaseRouter
W007   Redis may evict index sets (connects; runs with ``check --database``)
W008   the server behind the storage ignores conditions (connects; runs with ``check --database``)
W009   the debug toolbar that has the panel is too old (run by the toolbar)
W010   with check_foreign_keys, deletes scan
W011   the uploads of a file field lie among the objects
W012   the document cache is the cache of the indexes
W013   packs or a document cache, of a storage that cannot tell what has changed
W014   the document cache is a table of the database itself
W015   Redis does not answer, or refuses (connects; runs with ``check --database``)
=====  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable

from django.core.checks import CheckMessage, Tags, register

from django_smarterbase.checks import caches, options, references, routing, storage, uploads

#: Checks that look at settings only.
STATIC: tuple[Callable[..., list[CheckMessage]], ...] = (
    options.check_option_names,
    options.check_option_values,
    storage.check_storage_alias,
    caches.check_cache_alias,
    caches.check_cache_backend,
    options.check_chosen_database,
    options.check_prices,
    options.check_name,
    caches.check_document_cache_alias,
    caches.check_document_cache_is_apart,
    caches.check_document_cache_is_elsewhere,
    caches.check_cache_is_own,
    caches.check_redis_database_is_own,
    caches.check_socket_timeouts,
    storage.check_storage_is_private,
    storage.check_conditional_writes,
    storage.check_copies_are_of_use,
    uploads.check_uploads_are_apart,
    routing.check_router,
    references.check_foreign_key_indexes,
)
#: Checks that connect, and so find nothing unless databases are named.
CONNECTING: tuple[Callable[..., list[CheckMessage]], ...] = (
    caches.check_redis_answers,
    caches.check_eviction,
    storage.check_storage_answers,
    storage.check_conditions_hold,
)


def register_all() -> None:
    """Register every check under the tag "smarterbase"."""
    for check in STATIC:
        register(check, "smarterbase")
    for check in CONNECTING:
        register(check, "smarterbase", Tags.database)
