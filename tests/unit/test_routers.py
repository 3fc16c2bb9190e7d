"""Which database the router names, for models of today and of a migration's state."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, models
from django.db.migrations.state import ModelState, ProjectState
from django.db.utils import ConnectionRouter
from django.test.utils import isolate_apps

from django_smarterbase import routers
from django_smarterbase.managers import SmarterBaseManager
from django_smarterbase.models import SmarterBaseModel
from django_smarterbase.routers import SmarterBaseRouter, smarterbase_alias, smarterbase_aliases


class KeptManager(SmarterBaseManager):
    use_in_migrations = True


with isolate_apps("django.contrib.messages") as registry:

    class Tag(models.Model):
        class Meta:
            app_label = "messages"

    class Article(SmarterBaseModel):
        tags = models.ManyToManyField(Tag)

        class Meta:
            app_label = "messages"

    class ArticleProxy(Article):
        objects = models.Manager()

        class Meta:
            app_label = "messages"
            proxy = True

    class Remembered(models.Model):
        objects = KeptManager()

        class Meta:
            app_label = "messages"


router = SmarterBaseRouter()
through = Article.tags.through


@pytest.fixture(autouse=True)
def databases(monkeypatch, settings):
    """A plain default and two smarterbase databases; the models above are those of the project."""
    engines = {"default": "django.db.backends.sqlite3", "objects": routers.ENGINE, "archive": routers.ENGINE}
    config = {alias: {"ENGINE": engine} for alias, engine in engines.items()}
    monkeypatch.setattr(connections, "settings", connections.configure_settings(config))
    monkeypatch.setattr(routers, "apps", registry)
    settings.SMARTERBASE_DATABASE = None
    return connections.settings


def test_aliases_are_those_with_the_engine_in_their_order():
    assert smarterbase_aliases() == ["objects", "archive"]
    assert smarterbase_alias() == "objects"


def test_alias_is_the_one_that_the_setting_names(settings):
    settings.SMARTERBASE_DATABASE = "archive"

    assert smarterbase_alias() == "archive"
    assert router.db_for_write(Article) == "archive"


def test_alias_refuses_a_setting_that_names_another_database(settings):
    settings.SMARTERBASE_DATABASE = "default"

    with pytest.raises(ImproperlyConfigured, match=r"SMARTERBASE_DATABASE is 'default'.*objects, archive"):
        smarterbase_alias()


def test_alias_is_none_without_a_smarterbase_database(databases):
    del databases["objects"], databases["archive"]

    assert smarterbase_alias() is None
    assert router.db_for_read(Article) is None


@pytest.mark.parametrize("model", [Article, ArticleProxy, through, Remembered])
def test_reads_and_writes_of_a_smarterbase_model_go_to_its_database(model):
    assert router.db_for_read(model) == "objects"
    assert router.db_for_write(model) == "objects"


def test_reads_and_writes_of_another_model_are_nobodys_business():
    assert router.db_for_read(Tag) is None
    assert router.db_for_write(Tag) is None


@pytest.mark.parametrize(("home", "expected"), [("archive", "archive"), ("default", "objects"), (None, "objects")])
def test_instance_keeps_its_smarterbase_database(home, expected):
    article = Article()
    article._state.db = home

    assert router.db_for_write(Article, instance=article) == expected


def test_relations_are_allowed_among_smarterbase_models_only():
    assert router.allow_relation(Article(), Article()) is True
    assert router.allow_relation(Article(), Tag()) is None
    assert router.allow_relation(Tag(), Tag()) is None


@pytest.mark.parametrize("model", [Article, ArticleProxy, through])
def test_migrate_makes_a_smarterbase_model_in_its_database_only(model):
    name = model._meta.model_name

    verdicts = [router.allow_migrate(alias, "messages", name, model=model) for alias in connections.settings]
    assert verdicts == [False, True, False]


def test_migrate_keeps_other_models_out_of_a_smarterbase_database_that_is_not_the_default():
    assert router.allow_migrate("default", "messages", "tag", model=Tag) is None
    assert router.allow_migrate("objects", "messages", "tag", model=Tag) is False


def test_migrate_has_no_opinion_on_other_models_when_smarterbase_is_the_default(databases):
    databases["default"]["ENGINE"] = routers.ENGINE

    assert router.allow_migrate("default", "messages", "tag", model=Tag) is None
    assert router.allow_migrate("default", "messages", "article", model=Article) is True


def test_migrate_finds_the_model_by_its_name_when_an_operation_gives_no_more():
    assert router.allow_migrate("default", "messages", "Article") is False
    assert router.allow_migrate("objects", "messages", "Article") is True


@pytest.mark.parametrize("name", [None, "gone"])
def test_migrate_has_no_opinion_when_an_operation_names_no_model(name):
    assert router.allow_migrate("objects", "messages", name) is None


@pytest.fixture
def historical():
    """The models above as a migration has them: without managers, unless they are kept on purpose."""
    state = ProjectState()
    for model in (Tag, Article, Remembered):
        state.add_model(ModelState.from_model(model))
    return state.apps


def test_historical_model_goes_where_the_present_one_lives(historical):
    article = historical.get_model("messages", "Article")

    assert not isinstance(article._default_manager, SmarterBaseManager)
    assert router.allow_migrate("objects", "messages", "article", model=article) is True
    assert router.allow_migrate("default", "messages", "article", model=article) is False
    assert router.db_for_read(article) == "objects"


def test_historical_many_to_many_table_goes_with_its_owner(historical):
    table = historical.get_model("messages", "Article").tags.through

    assert router.allow_migrate("objects", "messages", "article_tags", model=table) is True
    assert router.db_for_write(table) == "objects"


def test_historical_model_that_is_gone_is_known_by_a_manager_kept_in_migrations(historical, monkeypatch):
    with isolate_apps("django.contrib.messages") as empty:
        monkeypatch.setattr(routers, "apps", empty)
    remembered, article = (historical.get_model("messages", name) for name in ("Remembered", "Article"))

    assert router.allow_migrate("objects", "messages", "remembered", model=remembered) is True
    assert router.allow_migrate("default", "messages", "remembered", model=remembered) is False
    assert router.allow_migrate("default", "messages", "article", model=article) is None


def test_router_works_as_django_calls_it():
    chain = ConnectionRouter(["django_smarterbase.routers.SmarterBaseRouter"])

    assert chain.db_for_read(Article) == "objects"
    assert chain.db_for_read(Tag) == "default"
    assert chain.allow_migrate_model("default", Article) is False
    assert chain.allow_migrate_model("default", Tag) is True


@pytest.mark.parametrize("method", ["db_for_read", "db_for_write"])
def test_relation_that_leads_out_of_the_objects_is_followed_to_the_database_of_its_model(method):
    decide, article = getattr(router, method), Article()
    for database, found in (("objects", "default"), ("archive", "default"), ("default", None), (None, None)):
        article._state.db = database
        assert decide(Tag, instance=article) == found
    article._state.db = "archive"
    assert decide(Article, instance=article) == "archive"
