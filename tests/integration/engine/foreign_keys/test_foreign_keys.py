"""``check_foreign_keys``: what is refused, what is not, and what it costs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test import TestCase

from django_smarterbase.profiling import QueryProfile, profile_queries
from tests.integration.commands.site import Site

from .shelf.models import Atlas, Country, Note, Volume, Writer

MISSING = 999
BROKEN = "FOREIGN KEY constraint failed"


@contextmanager
def refused() -> Iterator[None]:
    """A transaction that is refused at its COMMIT, by no earlier statement."""
    block = transaction.atomic()
    block.__enter__()
    yield
    with pytest.raises(IntegrityError, match=BROKEN):
        block.__exit__(None, None, None)


@pytest.fixture
def ann(site: Site) -> Writer:
    """A writer."""
    return Writer.objects.create(name="ann")


def spent(act: Callable[[], Any]) -> list[tuple[str, int, int, int]]:
    """The statements of ``act``: (operation, reads, listings, round trips to Redis)."""
    with profile_queries() as queries:
        act()
    return [_figures(profile) for profile in queries.profiles]


def _figures(profile: QueryProfile) -> tuple[str, int, int, int]:
    storage = profile.storage_ops
    return profile.operation, storage.reads, storage.lists, profile.redis_ops.round_trips


class TestReferences:
    """To rows that are not there."""

    def test_row_that_refers_to_nobody_is_refused_with_what_is_wrong(self, site: Site) -> None:
        with pytest.raises(IntegrityError) as raised:
            Volume.objects.create(writer_id=MISSING)
        assert str(raised.value) == (
            "FOREIGN KEY constraint failed: shelf.Volume.writer of '1' is 999, but no shelf.Writer has that value in "
            "id. Save the shelf.Writer before or in the same transaction, or correct the value."
        )
        assert not Volume.objects.exists()

    def test_row_that_refers_to_somebody_or_to_nobody_at_all_is_written(self, ann: Writer) -> None:
        Volume.objects.create(writer=ann)
        Volume.objects.create(writer=None)
        assert Volume.objects.count() == 2

    def test_reference_to_a_unique_field_is_verified_by_its_value(self, site: Site) -> None:
        Country.objects.create(code="at")
        Volume.objects.create(country_id="at")
        with pytest.raises(
            IntegrityError, match=r"shelf\.Volume\.country .* is 'de', but no shelf\.Country .* in code"
        ):
            Volume.objects.create(country_id="de")

    def test_reference_without_db_constraint_is_not_verified(self, site: Site) -> None:
        Volume.objects.create(unchecked_id=MISSING)
        assert Volume.objects.get().unchecked_id == MISSING

    def test_reference_to_the_row_itself_or_to_its_neighbour_counts(self, site: Site) -> None:
        Volume.objects.create(pk=5, sequel_of_id=5)
        Volume.objects.bulk_create([Volume(pk=6, sequel_of_id=7), Volume(pk=7, sequel_of_id=6)])
        with pytest.raises(IntegrityError, match=BROKEN):
            Volume.objects.create(pk=8, sequel_of_id=9)

    def test_reference_to_a_proxy_is_one_to_its_table(self, ann: Writer) -> None:
        volume = Volume.objects.create(ghost_id=ann.pk)
        with pytest.raises(IntegrityError, match=r"Volume\.ghost"):
            Volume.objects.create(ghost_id=MISSING)
        with pytest.raises(IntegrityError, match=rf"Volume\.ghost of '{volume.pk}' refers to it"):
            Writer.objects.filter(pk=ann.pk).delete()

    def test_many_to_many_table_is_verified(self, ann: Writer) -> None:
        volume = Volume.objects.create()
        volume.readers.add(ann)
        with pytest.raises(IntegrityError, match=r"Volume_readers\.writer of '2' is 999"):
            volume.readers.add(MISSING)
        assert list(volume.readers.all()) == [ann]

    def test_child_is_written_with_its_parent(self, site: Site) -> None:
        atlas = Atlas.objects.create(scale=1000)
        with pytest.raises(IntegrityError, match=r"Atlas\.volume_ptr"):
            Atlas(volume_ptr_id=MISSING, scale=1).save_base(raw=True)
        assert Atlas.objects.get() == atlas

    def test_update_to_a_row_that_is_not_there_is_refused(self, ann: Writer) -> None:
        Volume.objects.create(writer=ann)
        with pytest.raises(IntegrityError, match=BROKEN):
            Volume.objects.update(writer_id=MISSING)
        assert Volume.objects.get().writer_id == ann.pk

    def test_reference_that_a_write_leaves_as_it_was_is_not_verified_again(self, site: Site) -> None:
        site.restart()
        Volume.objects.create(writer_id=MISSING)
        site.restart(check_foreign_keys=True)
        Volume.objects.update(unchecked_id=1)
        with pytest.raises(IntegrityError, match=BROKEN):
            Volume.objects.update(writer_id=F("writer_id") + 1)
        assert Volume.objects.get().unchecked_id == 1

    def test_raw_sql_is_verified_too(self, site: Site) -> None:
        Volume.objects.create()
        with connection.cursor() as cursor, pytest.raises(IntegrityError, match=BROKEN):
            cursor.execute("UPDATE shelf_volume SET writer_id = 999")

    def test_value_that_equals_the_key_in_another_type_refers_to_it(self, ann: Writer) -> None:
        volume = Volume.objects.create()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE shelf_volume SET writer_id = %s", [f"{ann.pk}.0"])
        volume.refresh_from_db()
        assert volume.writer == ann


class TestDeletes:
    """Of rows that others refer to."""

    def test_row_that_is_referred_to_is_not_deleted(self, ann: Writer) -> None:
        volume = Volume.objects.create(writer=ann)
        with pytest.raises(IntegrityError) as raised:
            ann.delete()
        assert str(raised.value) == (
            f"FOREIGN KEY constraint failed: the shelf.Writer with {ann.pk} in id would be deleted or changed, but "
            f"shelf.Volume.writer of '{volume.pk}' refers to it. Delete or change that first, in the same transaction "
            "or before."
        )
        assert Writer.objects.count() == 1

    def test_row_that_nobody_refers_to_any_more_is_deleted(self, ann: Writer) -> None:
        volume = Volume.objects.create(writer=ann)
        volume.writer = None
        volume.save()
        ann_pk = ann.pk
        ann.delete()
        assert not Writer.objects.filter(pk=ann_pk).exists()

    @pytest.mark.parametrize("field", ["writer", "unindexed"])
    def test_referrer_is_found_with_and_without_an_index(self, ann: Writer, field: str) -> None:
        Volume.objects.create(**{field: ann})
        with pytest.raises(IntegrityError, match=BROKEN):
            Writer.objects.filter(pk=ann.pk).delete()
        assert Writer.objects.count() == 1

    @pytest.mark.parametrize("cache", ["own", None])
    def test_referrer_is_found_while_the_index_is_not_trusted(self, site: Site, cache: str | None) -> None:
        ann = Writer.objects.create(name="ann")
        Volume.objects.create(writer=ann)
        with site.redis() as client:
            client.flushall()
        site.restart(check_foreign_keys=True, cache=cache)
        with pytest.raises(IntegrityError, match=BROKEN):
            Writer.objects.filter(pk=ann.pk).delete()
        assert Writer.objects.count() == 1

    def test_key_that_is_referred_to_is_not_changed(self, ann: Writer) -> None:
        Volume.objects.create(writer=ann)
        with pytest.raises(IntegrityError, match=BROKEN):
            Writer.objects.update(id=50)
        assert Writer.objects.get().pk == ann.pk

    def test_unique_value_that_is_referred_to_is_not_changed(self, site: Site) -> None:
        country = Country.objects.create(code="at")
        Volume.objects.create(country=country)
        with pytest.raises(IntegrityError, match=r"shelf\.Country with 'at' in code would be deleted or changed"):
            Country.objects.update(code="xx")
        with transaction.atomic():
            Country.objects.create(pk=country.pk + 1, code="zz")
            Country.objects.filter(code="at").update(code="yy")
            Country.objects.filter(code="zz").update(code="at")
        assert set(Country.objects.values_list("code", flat=True)) == {"at", "yy"}

    def test_on_delete_goes_before(self, site: Site) -> None:
        volume = Volume.objects.create()
        Note.objects.create(volume=volume)
        volume.delete()
        assert not Volume.objects.exists()
        assert not Note.objects.exists()

    def test_reference_without_db_constraint_keeps_nothing(self, ann: Writer) -> None:
        Volume.objects.create(unchecked=ann)
        ann.delete()
        assert not Writer.objects.exists()


class TestTransactions:
    """What counts is how things stand at COMMIT."""

    def test_rows_of_the_transaction_count_in_any_order(self, site: Site) -> None:
        with transaction.atomic():
            Volume.objects.create(writer_id=7)
            Writer.objects.create(pk=7)
        assert Volume.objects.get().writer_id == 7

    def test_reference_that_leads_nowhere_at_commit_takes_everything_back(self, ann: Writer) -> None:
        with refused():
            Writer.objects.create(name="bob")
            Volume.objects.create(writer_id=MISSING)
        assert not Volume.objects.exists()
        assert Writer.objects.count() == 1

    def test_reference_that_was_mended_before_commit_is_none_to_refuse(self, ann: Writer) -> None:
        with transaction.atomic():
            volume = Volume.objects.create(writer_id=MISSING)
            volume.writer = ann
            volume.save()
        assert Volume.objects.get().writer == ann

    def test_row_that_goes_with_all_that_refer_to_it_is_deleted(self, ann: Writer) -> None:
        Volume.objects.create(writer=ann)
        with transaction.atomic():
            Writer.objects.all().delete()
            Volume.objects.all().delete()
        assert not Writer.objects.exists()

    def test_row_to_which_the_transaction_itself_refers_is_not_deleted(self, ann: Writer) -> None:
        volume = Volume.objects.create(writer=ann)
        with refused():
            Volume.objects.filter(pk=volume.pk).update(unchecked_id=1)
            Writer.objects.filter(pk=ann.pk).delete()
        with refused():
            Volume.objects.create(writer_id=ann.pk)
            Volume.objects.filter(pk=volume.pk).update(writer=None)
            Writer.objects.filter(pk=ann.pk).delete()
        assert Writer.objects.count() == 1

    def test_row_that_another_transaction_has_deleted_is_missed_at_commit(self, ann: Writer) -> None:
        with refused():
            assert Writer.objects.get() == ann
            Volume.objects.create(writer=ann)
            connection.resources.store.delete(connection.resources.keys.document("shelf_writer", str(ann.pk)))

    def test_get_or_create_reports_a_reference_that_leads_nowhere(self, site: Site) -> None:
        with pytest.raises(IntegrityError, match=BROKEN):
            Volume.objects.get_or_create(writer_id=MISSING)

    def test_constraints_are_verified_within_the_transaction_on_demand(self, site: Site) -> None:
        with transaction.atomic():
            Volume.objects.create(writer_id=MISSING)
            with pytest.raises(IntegrityError, match=BROKEN):
                connection.check_constraints()
            transaction.set_rollback(True)

    def test_migration_that_writes_a_reference_which_leads_nowhere_is_refused(self, site: Site) -> None:
        with pytest.raises(IntegrityError, match=BROKEN), connection.schema_editor(atomic=True):
            Volume.objects.create(writer_id=MISSING)
        assert not connection.in_atomic_block
        assert not Volume.objects.exists()
        with connection.schema_editor(atomic=True):
            Volume.objects.create(writer=Writer.objects.create(name="ann"))
        assert Volume.objects.get().writer.name == "ann"

    def test_constraint_checks_can_be_disabled(self, site: Site) -> None:
        with connection.constraint_checks_disabled():
            Volume.objects.create(writer_id=MISSING)
        with pytest.raises(IntegrityError, match=BROKEN):
            Volume.objects.create(writer_id=MISSING)


class TestWholeTables:
    """``check_constraints()``."""

    def test_every_reference_of_the_named_tables_is_verified(self, site: Site) -> None:
        with connection.constraint_checks_disabled():
            ann = Writer.objects.create(name="ann")
            volume = Volume.objects.create(writer=ann)
            connection.check_constraints(["shelf_volume", "shelf_writer"])
            volume.writer_id = MISSING
            volume.save()
        connection.check_constraints(["shelf_writer", "shelf_note"])
        for tables in (["shelf_volume"], None):
            with pytest.raises(IntegrityError) as raised:
                connection.check_constraints(tables)
            assert str(raised.value) == (
                f"FOREIGN KEY constraint failed: the row of shelf.Volume with the primary key {volume.pk} has 999 in "
                "writer, but no shelf.Writer has that value in id. Load or save the shelf.Writer too, or correct the "
                "value."
            )

    def test_what_needs_no_reference_is_passed_over(self, site: Site) -> None:
        Country.objects.create(code="at")
        Volume.objects.create(unchecked_id=MISSING, country_id="at")
        connection.check_constraints()

    def test_pending_rows_count(self, ann: Writer) -> None:
        with transaction.atomic():
            Writer.objects.create(pk=50)
            volume = Volume.objects.create(writer_id=50)
            connection.check_constraints(["shelf_volume"])
            Writer.objects.filter(pk=50).delete()
            with pytest.raises(IntegrityError, match=BROKEN):
                connection.check_constraints(["shelf_volume"])
            volume.delete()
            connection.check_constraints(["shelf_volume"])

    def test_loaddata_refuses_a_fixture_whose_references_lead_nowhere(self, site: Site, tmp_path: Path) -> None:
        rows = [
            {"model": "shelf.volume", "pk": 1, "fields": {"writer": 1, "readers": []}},
            {"model": "shelf.writer", "pk": 1, "fields": {"name": "ann"}},
        ]
        fixture = tmp_path / "volumes.json"
        fixture.write_text(json.dumps(rows[:1]))
        with pytest.raises(IntegrityError, match=BROKEN):
            call_command("loaddata", str(fixture), stdout=io.StringIO())
        assert not Volume.objects.exists()
        fixture.write_text(json.dumps(rows))
        call_command("loaddata", str(fixture), stdout=io.StringIO())
        assert Volume.objects.get().writer.name == "ann"


class TestCosts:
    """Requests, counted where they are made."""

    def test_rows_that_are_referred_to_are_read_once_each_in_one_round(self, site: Site) -> None:
        writers = Writer.objects.bulk_create([Writer(name=str(number)) for number in range(3)])
        Volume.objects.create()  # a process looks at each table once
        rows = [Volume(writer=writers[number % 3]) for number in range(9)]
        assert spent(lambda: Volume.objects.bulk_create(rows)) == [("insert", 0, 0, 0), ("commit", 3, 0, 2)]
        assert spent(lambda: Volume.objects.create(writer=writers[0])) == [("insert", 1, 0, 2)]
        assert spent(lambda: Volume.objects.filter(pk=1).update(unchecked_id=1)) == [("update", 1, 0, 2)]

    def test_delete_asks_the_index_of_each_foreign_key(self, site: Site) -> None:
        at, de = Country.objects.create(code="at"), Country.objects.create(code="de")
        Volume.objects.create(country=at)
        assert spent(lambda: Country.objects.filter(pk=de.pk).delete())[-1] == ("commit", 0, 0, 3)

    def test_commit_that_scans_says_so(self, site: Site) -> None:
        ann = Writer.objects.create(name="ann")
        Volume.objects.create()
        with profile_queries() as queries, transaction.atomic():
            Writer.objects.filter(pk=ann.pk).delete()
        commit = queries.profiles[-1]
        assert (commit.operation, commit.complexity, commit.index_used) == ("commit", "O(n)", "none:full-scan")
        assert commit.fallback is False

    def test_nothing_is_asked_when_it_is_off(self, site: Site) -> None:
        site.restart(trust_seconds=50, write_deadline=60)
        assert connection.features.supports_foreign_keys is False
        ann = Writer.objects.create(name="ann")
        Volume.objects.create()
        assert spent(lambda: Volume.objects.create(writer=ann)) == [("insert", 0, 0, 2)]
        assert spent(lambda: Writer.objects.filter(pk=ann.pk)._raw_delete("default")) == [("delete", 1, 0, 2)]
        assert spent(lambda: connection.check_constraints()) == []
        assert spent(lambda: connection.check_constraints(["shelf_volume"])) == []

    def test_feature_follows_the_option(self, site: Site) -> None:
        assert connection.features.supports_foreign_keys is True


def test_test_case_reports_what_its_test_has_broken(site: Site) -> None:
    class Broken(TestCase):
        databases = frozenset(("default",))

        def test_it(self) -> None:
            Volume.objects.create(writer_id=MISSING)

    result = Broken("test_it").run()
    assert result is not None
    ((_test, text),) = result.errors
    assert BROKEN in text
