"""System checks, compared as whole objects: message, hint, object and id are what a user reads."""

import io

import pytest
import redis
from django.apps import apps
from django.core import checks as django_checks
from django.core.checks import Error, Tags, Warning
from django.core.files.storage import Storage
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections, models
from django.test.utils import isolate_apps

import django_smarterbase
from django_smarterbase import checks
from django_smarterbase.apps import SmarterBaseConfig
from django_smarterbase.checks import caches, options, references, routing, storage, toolbar
from django_smarterbase.history import registry
from django_smarterbase.models import SmarterBaseModel
from django_smarterbase.routers import ENGINE
from django_smarterbase.storage.memory import MemoryStore

REDIS = "django_redis.cache.RedisCache"
MEMORY = "django.core.files.storage.InMemoryStorage"
FILES = "django.core.files.storage.FileSystemStorage"
S3 = "storages.backends.s3.S3Storage"
OBJ = "DATABASES['objects']"
TIMEOUTS = {"SOCKET_CONNECT_TIMEOUT": 0.25, "SOCKET_TIMEOUT": 0.25}


with isolate_apps("django.contrib.messages"):

    class Article(SmarterBaseModel):
        class Meta:
            app_label = "messages"

    class Tag(models.Model):
        class Meta:
            app_label = "messages"

    class Note(SmarterBaseModel):
        article = models.ForeignKey(Article, models.CASCADE)
        unindexed = models.ForeignKey(Article, models.CASCADE, db_index=False, related_name="+")
        unchecked = models.ForeignKey(Article, models.CASCADE, db_index=False, db_constraint=False, related_name="+")
        only = models.OneToOneField(Article, models.CASCADE, related_name="+")

        class Meta:
            app_label = "messages"


class PlainStorage(Storage):
    """A storage of an unknown kind."""


class CacheRouter:
    """Where the table of a database cache is."""

    alias = "default"

    def db_for_read(self, model, **hints):
        return self.alias


@pytest.fixture(autouse=True)
def project(monkeypatch, settings, tmp_path):
    """A project without fault: one smarterbase database beside a plain default. The fixture is its OPTIONS."""
    config = {
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
        "objects": {"ENGINE": ENGINE, "NAME": "shop", "OPTIONS": {}},
    }
    monkeypatch.setattr(connections, "settings", connections.configure_settings(config))
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "smarterbase": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1:1/0", "OPTIONS": TIMEOUTS},
    }
    settings.STORAGES = {"smarterbase": {"BACKEND": MEMORY}}
    settings.DATABASE_ROUTERS = ["django_smarterbase.routers.SmarterBaseRouter"]
    settings.MEDIA_ROOT, settings.MEDIA_URL, settings.STATIC_ROOT = str(tmp_path / "media"), "/media/", None
    settings.SMARTERBASE_DATABASE = settings.SMARTERBASE_PRICES = None
    return connections.settings["objects"]["OPTIONS"]


@pytest.fixture
def cache(settings):
    """Change the cache alias of the indexes."""

    def change(**facts):
        settings.CACHES = settings.CACHES | {"smarterbase": settings.CACHES["smarterbase"] | facts}

    return change


@pytest.fixture(autouse=True)
def history_of_no_other_test():
    """Some tests make the application ready, which begins to keep profiles."""
    yield
    registry.uninstall()


def use_storage(settings, backend, **facts):
    settings.STORAGES = {"smarterbase": {"BACKEND": backend, "OPTIONS": facts}}


@pytest.mark.parametrize("check", checks.STATIC, ids=lambda check: check.__name__)
def test_check_finds_nothing_in_a_project_without_fault(check):
    assert check(app_configs=None, databases=None) == []


def test_unknown_option_is_named_with_the_nearest_one(project):
    project["trust_second"] = 3

    assert options.check_option_names() == [
        Error(
            "Unknown smarterbase option 'trust_second'. Did you mean 'trust_seconds'? The options are: "
            "allow_eviction, auto_reindex, cache, check_foreign_keys, concurrency, document_cache, fsync, "
            "max_scan_objects, on_corrupt, on_index_outage, pack, profile_history, profile_sampling, show_values, "
            "slow_ms, storage, trust_seconds, write_deadline.",
            hint="Correct or remove it in DATABASES['objects']['OPTIONS'].",
            obj=OBJ,
            id="smarterbase.E001",
        )
    ]
    assert options.check_option_values() == []


def test_option_out_of_its_range_is_named_with_the_range(project):
    project["on_corrupt"] = "ignore"

    assert options.check_option_values() == [
        Error(
            "The smarterbase option on_corrupt is 'ignore'; it must be one of ('raise', 'skip').",
            hint="Correct it in DATABASES['objects']['OPTIONS'].",
            obj=OBJ,
            id="smarterbase.E002",
        )
    ]


@pytest.mark.parametrize(
    ("option", "value", "range"),
    [
        ("profile_history", -1, "a whole number, 0 or more"),
        ("profile_history", 10.5, "a whole number, 0 or more"),
        ("profile_history", True, "a whole number, 0 or more"),
        ("profile_sampling", 1.01, "a number from 0 to 1"),
        ("profile_sampling", -0.1, "a number from 0 to 1"),
        ("profile_sampling", "0.5", "a number from 0 to 1"),
        ("profile_sampling", float("nan"), "a number from 0 to 1"),
        ("slow_ms", 0, "a number above 0"),
        ("write_deadline", float("nan"), "a number above 0"),
        ("show_values", "False", "True or False"),
        ("fsync", "off", "True or False"),
        ("allow_eviction", 0, "True or False"),
        ("auto_reindex", None, "True or False"),
        ("concurrency", 1.5, "a whole number, 1 or more"),
        ("concurrency", 0, "a whole number, 1 or more"),
        ("max_scan_objects", 0, "a whole number, 1 or more"),
        ("max_scan_objects", 1e6, "a whole number, 1 or more"),
        ("pack", 1, "True or False"),
        ("document_cache", True, "None or the name of an alias in CACHES"),
        ("document_cache", "", "None or the name of an alias in CACHES"),
    ],
)
def test_option_is_named_with_what_it_must_be(project, option, value, range):
    project[option] = value

    (error,) = options.check_option_values()

    assert error.msg == f"The smarterbase option {option} is {value!r}; it must be {range}."


@pytest.mark.parametrize("write_deadline", [2, 1.5])
def test_deadline_that_a_lease_would_use_up_is_named_with_both(project, write_deadline):
    project.update(trust_seconds=2.0, write_deadline=write_deadline)

    (error,) = options.check_option_values()

    assert (error.id, error.hint) == ("smarterbase.E002", "Correct it in DATABASES['objects']['OPTIONS'].")
    assert error.msg == (
        f"The smarterbase option write_deadline ({write_deadline} s) must be above trust_seconds (2 s): a write during "
        "an outage waits for the one within the other."
    )


@pytest.mark.parametrize("facts", [{"profile_history": 0}, {"profile_sampling": 0}, {"profile_sampling": 1}])
def test_options_of_the_history_may_be_at_the_ends_of_their_ranges(project, facts):
    project.update(facts)

    assert options.check_option_values() == []


def test_other_checks_pass_over_a_database_whose_options_cannot_be_read(project):
    project["concurrency"] = -1
    project["storage"] = project["cache"] = "missing"

    found = [message.id for check in checks.STATIC for message in check()]
    assert found == ["smarterbase.E002"]


def test_name_that_makes_no_object_keys_is_an_error():
    connections.settings["objects"]["NAME"] = ""

    assert options.check_name() == [
        Error(
            "The database NAME '' has an empty part. It is the prefix of every object key: give it one or more names "
            "with single slashes between them, such as 'shop' or 'shop/eu'.",
            hint="Correct DATABASES['objects']['NAME'].",
            obj=OBJ,
            id="smarterbase.E008",
        )
    ]


def test_missing_storage_alias_is_an_error(project):
    project["storage"] = "objects"

    assert storage.check_storage_alias() == [
        Error(
            "The storage 'objects' cannot be opened: Could not find config for 'objects' in settings.STORAGES.",
            hint="Give STORAGES['objects'] a usable BACKEND and OPTIONS, or set the option storage to another alias.",
            obj=OBJ,
            id="smarterbase.E003",
        )
    ]
    assert storage.check_storage_is_private() == storage.check_conditional_writes() == []


@pytest.mark.parametrize(
    ("backend", "facts", "reason"),
    [
        ("no.such.Storage", {}, "Could not find backend 'no.such.Storage'"),
        (FILES, {"folder": "x"}, "unexpected keyword"),
    ],
)
def test_storage_that_cannot_be_made_is_an_error_with_its_reason(settings, backend, facts, reason):
    use_storage(settings, backend, **facts)

    (message,) = storage.check_storage_alias()
    assert message.id == "smarterbase.E003"
    assert reason in message.msg


def test_missing_cache_alias_is_an_error(project):
    project["cache"] = "indexes"

    assert caches.check_cache_alias() == [
        Error(
            "The cache 'indexes' is not in CACHES.",
            hint="Add it with the BACKEND django_redis.cache.RedisCache, or set the option cache to None to do without "
            "indexes.",
            obj=OBJ,
            id="smarterbase.E004",
        )
    ]


def test_no_cache_at_all_is_no_fault(project, cache):
    project["cache"] = None
    cache(BACKEND="no.such.Cache", OPTIONS={})

    assert [message for check in checks.STATIC for message in check()] == []


@pytest.mark.parametrize("backend", ["django.core.cache.backends.redis.RedisCache", "no.such.Cache"])
def test_cache_that_is_not_django_redis_is_an_error(cache, backend):
    cache(BACKEND=backend)

    assert caches.check_cache_backend() == [
        Error(
            f"The cache 'smarterbase' is '{backend}', not django-redis.",
            hint="Set CACHES['smarterbase']['BACKEND'] to 'django_redis.cache.RedisCache'.",
            obj=OBJ,
            id="smarterbase.E005",
        )
    ]


def test_subclass_of_the_django_redis_cache_is_accepted(cache):
    cache(BACKEND=f"{OwnRedisCache.__module__}.OwnRedisCache")

    assert caches.check_cache_backend() == []


class OwnRedisCache(caches.RedisCache):
    """A project's own."""


def test_chosen_database_of_another_engine_is_an_error(settings):
    settings.SMARTERBASE_DATABASE = "default"

    assert options.check_chosen_database() == [
        Error(
            "SMARTERBASE_DATABASE is 'default', which is no database with the engine django_smarterbase.backend; those "
            "are: objects.",
            hint="Name one of them, or remove the setting to use the first.",
            id="smarterbase.E006",
        )
    ]


def test_price_that_is_no_amount_is_an_error(settings):
    settings.SMARTERBASE_PRICES = {"read": "cheap"}

    assert options.check_prices() == [
        Error(
            "SMARTERBASE_PRICES['read'] is 'cheap'; it must be US dollars for 1,000 requests, 0 or more.",
            hint="Correct SMARTERBASE_PRICES, or remove it to use the list prices of S3.",
            id="smarterbase.E007",
        )
    ]


def shared_cache_warning(alias):
    return Warning(
        f"The indexes stand in the cache '{alias}', which other code uses too. Its clear() empties the Redis database, "
        "after which every query scans.",
        hint="Give the indexes an alias of their own, with a Redis database of its own.",
        obj=OBJ,
        id="smarterbase.W001",
    )


def test_default_cache_for_the_indexes_is_a_warning(project):
    project["cache"] = "default"

    assert caches.check_cache_is_own() == [shared_cache_warning("default")]


@pytest.mark.parametrize(("engine", "expected"), [("cached_db", 1), ("cache", 1), ("db", 0)])
def test_session_cache_for_the_indexes_is_a_warning(settings, engine, expected):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_CACHE_ALIAS = "smarterbase"

    assert caches.check_cache_is_own() == [shared_cache_warning("smarterbase")] * expected


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://localhost", "redis://127.0.0.1:6379/0"),
        ("redis://user:secret@redis:6379/1", "redis://redis/9?db=1"),
        (["redis://a/1", "redis://b/1"], "redis://b/1"),
        ("redis://a/1,redis://b/1", ["redis://b/1"]),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
        ("rediss://redis:6380/0", "redis://redis:6380"),
    ],
)
def test_another_alias_of_the_same_redis_database_is_a_warning(cache, settings, ours, theirs):
    cache(LOCATION=ours)
    settings.CACHES = settings.CACHES | {"pages": {"BACKEND": REDIS, "LOCATION": theirs}}

    assert caches.check_redis_database_is_own() == [
        Warning(
            "The caches 'smarterbase' and 'pages' lead to one Redis database; clear() of the second empties the "
            "indexes, after which every query scans.",
            hint="Give the indexes a Redis database of their own, such as redis://host:6379/1.",
            obj=OBJ,
            id="smarterbase.W002",
        )
    ]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("redis://127.0.0.1/0", "redis://127.0.0.1/1"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6380/0"),
        ("redis://a/0", "redis://b/0"),
        ("unix:///run/a.sock", "unix:///run/b.sock"),
        ("redis://127.0.0.1/0", "127.0.0.1:11211"),
    ],
)
def test_another_redis_database_is_no_fault(cache, settings, ours, theirs):
    cache(LOCATION=ours)
    settings.CACHES = settings.CACHES | {"pages": {"BACKEND": REDIS, "LOCATION": theirs}}

    assert caches.check_redis_database_is_own() == []


@pytest.mark.parametrize(
    ("facts", "missing"),
    [
        ({}, "no SOCKET_CONNECT_TIMEOUT and no SOCKET_TIMEOUT"),
        ({"SOCKET_CONNECT_TIMEOUT": 1}, "no SOCKET_TIMEOUT"),
        ({"SOCKET_TIMEOUT": 1, "SOCKET_CONNECT_TIMEOUT": None}, "no SOCKET_CONNECT_TIMEOUT"),
    ],
)
def test_missing_socket_timeouts_are_a_warning(cache, facts, missing):
    cache(OPTIONS=facts)

    assert caches.check_socket_timeouts() == [
        Warning(
            f"The cache 'smarterbase' has {missing}: while Redis hangs, a query waits for redis-py's own timeout (5 "
            "seconds, in older releases for ever) before it scans instead.",
            hint="Set both in CACHES['smarterbase']['OPTIONS'], to 0.25 for example (seconds).",
            obj=OBJ,
            id="smarterbase.W003",
        )
    ]


@pytest.mark.parametrize(
    "facts",
    [
        {"OPTIONS": {"CONNECTION_POOL_KWARGS": {"socket_timeout": 1, "socket_connect_timeout": 1}}},
        {"OPTIONS": {}, "LOCATION": "redis://redis/0?socket_timeout=1&socket_connect_timeout=1"},
    ],
    ids=["pool arguments", "address"],
)
def test_socket_timeouts_may_stand_elsewhere(cache, facts):
    cache(**facts)

    assert caches.check_socket_timeouts() == []


def exposure_warning(exposure):
    return Warning(
        f"The objects of this database can be fetched by anybody: {exposure}.",
        hint="Give STORAGES['smarterbase'] a private location that nothing else is served from.",
        obj=OBJ,
        id="smarterbase.W004",
    )


@pytest.mark.parametrize("place", ["media", "media/objects", ".", "media/../media"])
def test_objects_in_the_media_folder_are_a_warning(settings, tmp_path, place):
    use_storage(settings, FILES, location=str(tmp_path / place))

    location = (tmp_path / place).resolve()
    assert storage.check_storage_is_private() == [exposure_warning(f"its folder {location} and MEDIA_ROOT overlap")]


def test_objects_in_the_static_folder_are_a_warning(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path / "static"
    use_storage(settings, FILES, location=tmp_path / "static" / "objects")

    found = storage.check_storage_is_private()
    assert found == [exposure_warning(f"its folder {tmp_path.resolve()}/static/objects and STATIC_ROOT overlap")]


@pytest.mark.parametrize(("place", "url"), [("objects", "/media/"), ("media-objects", "/media/"), ("media", "")])
def test_objects_in_a_folder_that_is_not_served_are_no_fault(settings, tmp_path, place, url):
    settings.MEDIA_URL = url
    use_storage(settings, FILES, location=tmp_path / place)

    assert storage.check_storage_is_private() == []


@pytest.mark.parametrize(
    ("facts", "exposure"),
    [
        ({"default_acl": "public-read"}, "default_acl is 'public-read'"),
        ({"querystring_auth": False}, "querystring_auth is False, so its addresses need no signature"),
    ],
)
def test_public_bucket_is_a_warning(settings, facts, exposure):
    use_storage(settings, S3, bucket_name="shop", **facts)

    assert storage.check_storage_is_private() == [exposure_warning(exposure)]


def test_private_bucket_is_no_fault(settings):
    use_storage(settings, S3, bucket_name="shop", default_acl="private")

    assert storage.check_storage_is_private() == storage.check_conditional_writes() == []


def test_storage_of_an_unknown_kind_is_a_warning(settings):
    use_storage(settings, f"{PlainStorage.__module__}.PlainStorage")

    assert storage.check_conditional_writes() == [
        Warning(
            "The storage 'smarterbase' has no conditional writes: when two processes change one document at a time, "
            "the last one wins and nobody is told.",
            hint="Use storages.backends.s3.S3Storage or django.core.files.storage.FileSystemStorage, or let one "
            "process write at a time.",
            obj=OBJ,
            id="smarterbase.W005",
        )
    ]


def test_missing_document_cache_is_an_error(project):
    project["document_cache"] = "bodies"

    assert caches.check_document_cache_alias() == [
        Error(
            "The document cache 'bodies' is not in CACHES.",
            hint="Add it, with any backend, or set the option document_cache to None to do without.",
            obj=OBJ,
            id="smarterbase.E010",
        )
    ]
    assert caches.check_document_cache_is_apart() == []


def test_document_cache_among_the_indexes_is_a_warning(project):
    project["document_cache"] = "smarterbase"

    assert caches.check_document_cache_alias() == []
    assert caches.check_document_cache_is_apart() == [
        Warning(
            "The bodies of documents and the indexes stand in one cache, 'smarterbase': the bodies take the memory "
            "that the indexes need, and its clear() empties the indexes.",
            hint="Name another alias of CACHES in the option document_cache, with a Redis database of its own.",
            obj=OBJ,
            id="smarterbase.W012",
        )
    ]


@pytest.mark.parametrize(("table_in", "found"), [("objects", ["smarterbase.W014"]), ("default", [])])
def test_document_cache_that_is_a_table_of_the_database_is_a_warning(settings, project, monkeypatch, table_in, found):
    settings.CACHES = settings.CACHES | {
        "bodies": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "bodies"}
    }
    project["document_cache"] = "bodies"
    monkeypatch.setattr(f"{__name__}.CacheRouter.alias", table_in)
    settings.DATABASE_ROUTERS = [f"{__name__}.CacheRouter"]

    messages = caches.check_document_cache_is_elsewhere()

    assert [(message.id, message.obj) for message in messages] == [(id, OBJ) for id in found]


def test_document_cache_in_memory_is_no_fault(project):
    project["document_cache"] = "default"

    assert caches.check_document_cache_is_elsewhere() == []


@pytest.mark.parametrize(
    ("backend", "facts", "useless"),
    [
        (f"{__name__}.PlainStorage", {"pack": True, "document_cache": "default"}, "pack and the option document_cache"),
        (f"{__name__}.PlainStorage", {"pack": True}, "pack"),
        (MEMORY, {"pack": True, "document_cache": "default"}, "document_cache"),
    ],
)
def test_option_that_the_storage_makes_useless_is_a_warning(settings, project, backend, facts, useless):
    use_storage(settings, backend)
    project.update(facts)

    assert storage.check_copies_are_of_use() == [
        Warning(
            f"The option {useless} does nothing: the storage 'smarterbase' cannot tell, without reading it, that a "
            "document is unchanged.",
            hint="Use storages.backends.s3.S3Storage or django.core.files.storage.FileSystemStorage, or remove the "
            "option.",
            obj=OBJ,
            id="smarterbase.W013",
        )
    ]


def test_packs_and_document_cache_on_files_and_s3_are_no_fault(settings, project, tmp_path):
    project.update(pack=True, document_cache="default")
    for backend, facts in ((FILES, {"location": str(tmp_path)}), (S3, {"bucket_name": "b"})):
        use_storage(settings, backend, **facts)
        assert storage.check_copies_are_of_use() == []
        assert caches.check_document_cache_alias() == caches.check_document_cache_is_apart() == []


@pytest.fixture
def two_models(monkeypatch):
    """The project has one smarterbase model and one other."""
    monkeypatch.setattr(apps, "get_models", lambda: [Article, Tag])


STRAY = Warning(
    "Models with a SmarterBaseManager are not in a smarterbase database: messages.Article.",
    hint="Add 'django_smarterbase.routers.SmarterBaseRouter' to DATABASE_ROUTERS.",
    id="smarterbase.W006",
)


@pytest.mark.usefixtures("two_models")
def test_missing_router_is_a_warning_that_names_the_models(settings):
    settings.DATABASE_ROUTERS = []

    assert routing.check_router() == [STRAY]


@pytest.mark.usefixtures("two_models")
def test_router_in_place_is_no_fault():
    assert routing.check_router() == []


@pytest.mark.usefixtures("two_models")
def test_missing_router_is_no_fault_when_smarterbase_is_the_default(settings):
    settings.DATABASE_ROUTERS = []
    connections.settings["default"]["ENGINE"] = ENGINE

    assert routing.check_router() == []


@pytest.mark.usefixtures("two_models")
def test_missing_router_is_no_fault_without_a_smarterbase_database(settings):
    settings.DATABASE_ROUTERS = []
    del connections.settings["objects"]

    assert routing.check_router() == []


@pytest.fixture
def redis_with_policy(own_redis, cache):
    """Set the maxmemory-policy of the Redis that the cache alias leads to."""
    cache(LOCATION=own_redis.url)
    client = caches.get_redis_connection("smarterbase", write=True)
    yield lambda policy: client.config_set("maxmemory-policy", policy)
    client.close()
    client.connection_pool.disconnect()


@pytest.fixture
def redis_with_password(own_redis):
    """The URL of a Redis whose password is "right", with the password that is given."""
    client = redis.Redis(port=own_redis.port)
    client.config_set("requirepass", "right")
    yield lambda password: f"redis://:{password}@127.0.0.1:{own_redis.port}/0"
    client.auth("right")
    client.config_set("requirepass", "")
    client.close()


def test_evicting_redis_is_a_warning(redis_with_policy):
    redis_with_policy("allkeys-lru")

    assert caches.check_eviction(databases=["default", "objects"]) == [
        Warning(
            "The Redis of the cache 'smarterbase' has maxmemory-policy allkeys-lru: it may evict index sets, so the "
            "indexes are not trusted and every query scans.",
            hint="Set maxmemory-policy to noeviction (or a volatile-* policy) there, or give the indexes a Redis of "
            "their own. The option allow_eviction trusts it all the same.",
            obj=OBJ,
            id="smarterbase.W007",
        )
    ]


def test_redis_that_evicts_no_index_sets_is_no_fault(redis_with_policy):
    for policy in ("noeviction", "volatile-lru"):
        redis_with_policy(policy)
        assert caches.check_eviction(databases=["objects"]) == []


def test_evicting_redis_is_no_fault_when_it_is_allowed_or_not_asked_for(redis_with_policy, project):
    redis_with_policy("allkeys-lru")
    assert caches.check_eviction(databases=None) == caches.check_eviction(databases=["default"]) == []

    project["allow_eviction"] = True
    assert caches.check_eviction(databases=["objects"]) == []


def test_redis_that_is_down_is_a_warning_and_evicts_nothing():
    assert caches.check_redis_answers(databases=["objects"]) == [
        Warning(
            "The Redis of the cache 'smarterbase' cannot be used: ConnectionError: Error 111 connecting to "
            "127.0.0.1:1. Connection refused. Queries scan, and writes take the slow path.",
            hint="Start it, or correct CACHES['smarterbase']; then run sb_reindex, or leave it to the option "
            "auto_reindex.",
            obj=OBJ,
            id="smarterbase.W015",
        )
    ]
    assert caches.check_redis_answers(databases=None) == caches.check_eviction(databases=["objects"]) == []


def test_redis_that_refuses_the_password_is_a_warning(redis_with_password, cache):
    cache(LOCATION=redis_with_password("right"))
    assert caches.check_redis_answers(databases=["objects"]) == []

    cache(LOCATION=redis_with_password("wrong"))
    (found,) = caches.check_redis_answers(databases=["objects"])
    assert found.id == "smarterbase.W015"
    assert "AuthenticationError: invalid username-password pair" in found.msg
    assert "wrong" not in found.msg


def test_database_without_indexes_asks_no_redis(project):
    project["cache"] = None

    assert caches.check_redis_answers(databases=["objects"]) == []


def test_storage_that_takes_no_object_is_an_error(settings, tmp_path):
    place = tmp_path / "objects"
    place.write_text("a file where the folder should be")
    use_storage(settings, FILES, location=str(place))

    assert storage.check_storage_answers(databases=None) == []
    (found,) = storage.check_storage_answers(databases=["objects"])
    assert found.msg.startswith(f"The storage 'smarterbase' cannot be used: The file storage at '{place}' failed for ")
    assert (found.id, found.obj) == ("smarterbase.E011", OBJ)
    assert found.hint == "Correct STORAGES['smarterbase'], or mend what stands behind it."


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("http://127.0.0.1:1", "Could not connect to the endpoint URL"),
        ("nonsense", "Invalid endpoint: nonsense"),
    ],
)
def test_bucket_that_cannot_be_reached_is_one_error_and_no_traceback(settings, endpoint, reason):
    keys = {"access_key": "testing", "secret_key": "testing", "region_name": "us-east-1"}
    use_storage(settings, S3, bucket_name="shop", endpoint_url=endpoint, **keys)

    (found,) = storage.check_storage_answers(databases=["objects"])
    assert found.id == "smarterbase.E011"
    assert reason in found.msg
    assert storage.check_conditions_hold(databases=["objects"]) == []


def test_storage_is_left_as_it_was_when_it_has_taken_the_probe(settings, tmp_path):
    use_storage(settings, FILES, location=str(tmp_path / "objects"))

    assert storage.check_storage_answers(databases=["objects"]) == []
    assert [path.name for path in tmp_path.rglob("*.json")] == []


def test_server_that_ignores_conditions_is_a_warning(monkeypatch):
    monkeypatch.setattr(MemoryStore, "verify_conditions", lambda self: False)

    assert storage.check_conditions_hold(databases=None) == []
    assert storage.check_conditions_hold(databases=["objects"]) == [
        Warning(
            "The server behind the storage 'smarterbase' ignores If-Match and If-None-Match: when two processes change "
            "one document at a time, the last one can win and nobody be told.",
            hint="Use a server that keeps them: Amazon S3, or a recent MinIO or Ceph.",
            obj=OBJ,
            id="smarterbase.W008",
        )
    ]


def test_server_that_keeps_conditions_is_no_fault():
    assert storage.check_conditions_hold(databases=["objects"]) == []


def test_register_all_registers_each_check_once_with_its_tags(monkeypatch):
    found = django_checks.registry.CheckRegistry()
    monkeypatch.setattr(checks, "register", found.register)

    SmarterBaseConfig("django_smarterbase", django_smarterbase).ready()

    tagged = {check.__name__: set(check.tags) for check in found.get_checks()}
    assert tagged == {
        **{check.__name__: {"smarterbase"} for check in checks.STATIC},
        **{check.__name__: {"smarterbase", Tags.database} for check in checks.CONNECTING},
    }


def test_check_command_reports_them_when_the_application_is_installed(settings, project):
    settings.INSTALLED_APPS = ["django_smarterbase"]
    project["trust_second"] = 3
    output = io.StringIO()

    with pytest.raises(SystemCheckError, match=r"smarterbase\.E001"):
        call_command("check", "--tag", "smarterbase", stdout=output, stderr=output)


TOOLBAR = [toolbar.check_application_installed, toolbar.check_toolbar_version]


@pytest.mark.parametrize("check", [*checks.STATIC, *checks.CONNECTING, *TOOLBAR], ids=lambda check: check.__name__)
def test_table_of_the_module_names_the_id_of_each_check(check):
    id_of_check = check.__doc__.partition(":")[0]

    assert f"\n{id_of_check}   " in checks.__doc__


def test_panel_without_the_application_is_an_error(monkeypatch):
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "django_smarterbase")

    assert toolbar.check_toolbar("8.0.0") == [
        Error(
            "DEBUG_TOOLBAR_PANELS has the SmarterBasePanel, but 'django_smarterbase' is not in INSTALLED_APPS: the "
            "panel's template and stylesheet cannot be found.",
            hint="Add 'django_smarterbase' to INSTALLED_APPS.",
            obj="DEBUG_TOOLBAR_PANELS",
            id="smarterbase.E009",
        )
    ]


def test_panel_in_a_toolbar_that_is_too_old_is_a_warning():
    assert toolbar.check_toolbar("4.4.6") == [
        Warning(
            "DEBUG_TOOLBAR_PANELS has the SmarterBasePanel, which is made for django-debug-toolbar 5 or newer; 4.4.6 "
            "is installed.",
            hint="Upgrade it: pip install 'django-debug-toolbar>=5'.",
            obj="DEBUG_TOOLBAR_PANELS",
            id="smarterbase.W009",
        )
    ]
    assert toolbar.check_toolbar("5.0.0") == toolbar.check_toolbar("10.1.0") == []


def test_foreign_keys_without_index_are_named_when_they_are_verified(project, monkeypatch):
    monkeypatch.setattr(apps, "get_models", lambda **_: [Article, Tag, Note])
    assert references.check_foreign_key_indexes() == []
    project["check_foreign_keys"] = True
    assert references.check_foreign_key_indexes() == [
        Warning(
            "The option check_foreign_keys is on, and these foreign keys have no index, so each deletion of a row that "
            "they may refer to reads their whole table: messages.Note.unindexed.",
            hint="Leave db_index=False away, or give them db_constraint=False.",
            obj=OBJ,
            id="smarterbase.W010",
        )
    ]


def test_verified_foreign_keys_want_a_cache(project):
    project.update(check_foreign_keys=True, cache=None)
    assert references.check_foreign_key_indexes() == [
        Warning(
            "The option check_foreign_keys is on and there is no cache, so each deletion of a row reads every table "
            "that refers to its table.",
            hint="Name a cache for the indexes in the option cache, or turn check_foreign_keys off.",
            obj=OBJ,
            id="smarterbase.W010",
        )
    ]
