"""UUID7Field: its values, and what migrations write of it."""

import itertools
import threading
import time
import uuid

import pytest
from django.db import models
from django.db.migrations.writer import MigrationWriter
from django.test.utils import isolate_apps

from django_smarterbase.fields import UUID7Field, uuid7
from django_smarterbase.models import SmarterBaseModel

PATH = "django_smarterbase.fields.UUID7Field"


def test_default_is_a_fresh_uuid_of_version_7_and_the_present_time():
    before = time.time_ns() // 1_000_000
    first, second = UUID7Field().get_default(), UUID7Field().get_default()
    after = time.time_ns() // 1_000_000

    assert type(first) is uuid.UUID
    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert before <= first.int >> 80 <= after
    assert first != second


def test_values_rise_in_the_order_of_their_making_across_threads():
    made, making = [], threading.Lock()

    def make():
        for _ in range(2000):
            with making:
                made.append(uuid7())

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(made) == 8000
    assert all(earlier < later for earlier, later in itertools.pairwise(made))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (UUID7Field(), {}),
        (UUID7Field(primary_key=True), {"primary_key": True}),
        (UUID7Field(editable=True), {"editable": True}),
        (UUID7Field(default=uuid.uuid4), {"default": uuid.uuid4}),
        (UUID7Field("key"), {"verbose_name": "key"}),
    ],
    ids=["plain", "primary key", "editable", "other default", "verbose name"],
)
def test_deconstruct_names_only_what_differs_and_makes_the_same_field_again(field, expected):
    _, path, args, kwargs = field.deconstruct()
    again = UUID7Field(*args, **kwargs)

    assert (path, args, kwargs) == (PATH, [], expected)
    assert (again.default, again.editable, again.primary_key) == (field.default, field.editable, field.primary_key)
    assert again.deconstruct() == field.deconstruct()


def test_migration_writes_the_field_without_its_default():
    source, imports = MigrationWriter.serialize(UUID7Field(primary_key=True, serialize=False))

    assert source == f"{PATH}(primary_key=True, serialize=False)"
    assert imports == {"import django_smarterbase.fields"}


@isolate_apps("django.contrib.messages")
def test_base_model_has_its_key_before_it_is_saved():
    class Article(SmarterBaseModel):
        class Meta:
            app_label = "messages"

    class Comment(models.Model):
        article = models.ForeignKey(Article, models.CASCADE)

        class Meta:
            app_label = "messages"

    article = Article()

    assert article.pk.version == 7
    assert Comment(article=article).article_id == article.pk
