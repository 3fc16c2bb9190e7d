"""The shop's tests as ``manage.py test`` runs them: each kind of test case that Django has."""

from __future__ import annotations

import json
import os
import signal
from urllib.request import urlopen

from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import LiveServerTestCase, SimpleTestCase, TestCase, TransactionTestCase, tag

from tests.acceptance.ecosystem.project.shop import assortment
from tests.acceptance.ecosystem.project.shop.models import Product, Supplier


def end_redis() -> None:
    """Kill the Redis whose process ``ECOSYSTEM_REDIS_PID`` names, if that is set: the middle of the run."""
    if pid := os.environ.get("ECOSYSTEM_REDIS_PID"):
        os.kill(int(pid), signal.SIGKILL)


class ProductTests(TestCase):
    """Rolled back after each test; the data of the class is made once."""

    @classmethod
    def setUpTestData(cls) -> None:
        """The assortment, and one product to look at."""
        assortment.fill()
        cls.anvil = Product.objects.get(sku="AB-1")

    def test_changes_are_seen_by_the_test_alone(self) -> None:
        self.anvil.name = "Anvil 2"
        self.anvil.save()
        Product.objects.filter(sku="CD-1").delete()
        self.assertQuerySetEqual(Product.objects.values_list("name", flat=True), ["Anvil 2", "Bellows", "Dark lantern"])

    def test_data_of_the_class_is_as_it_was(self) -> None:
        self.assertEqual(self.anvil.name, "Anvil")
        with self.assertNumQueries(1):
            self.assertEqual(Product.objects.count(), 4)

    def test_callbacks_of_the_commit_are_caught(self) -> None:
        told = []
        with self.captureOnCommitCallbacks(execute=True):
            transaction.on_commit(lambda: told.append(Supplier.objects.count()))
        self.assertEqual(told, [2])


class FixtureTests(TestCase):
    """Data from a file."""

    fixtures = ["suppliers.json"]

    def test_fixture_is_there(self) -> None:
        self.assertQuerySetEqual(Supplier.objects.order_by("pk").values_list("pk", "name"), [(7, "Cheap"), (8, "Dear")])
        self.assertEqual(Supplier.objects.create(name="Next").pk, 9)


class CommitTests(TransactionTestCase):
    """Committed, and flushed after each test."""

    reset_sequences = True
    serialized_rollback = True

    def test_what_is_committed_is_seen_by_others(self) -> None:
        with transaction.atomic():
            Supplier.objects.create(name="Acme")
        connection.close()
        self.assertEqual(Supplier.objects.get().pk, 1)
        self.assertTrue(Supplier.objects.filter(name="Acme").exists())

    def test_what_other_tests_have_committed_is_gone(self) -> None:
        self.assertEqual(Supplier.objects.count(), 0)
        self.assertEqual(Supplier.objects.create(name="Best").pk, 1)
        end_redis()
        self.assertTrue(Supplier.objects.filter(name="Best").exists())


@tag("migrated")
class MigratedDataTests(TransactionTestCase):
    """What a migration has put there is there again for each test. Django can do that where each test case that commits
    asks for it; otherwise the content types that a flush makes anew are in the way.
    """

    serialized_rollback = True

    def test_data_of_the_migration_is_there(self) -> None:
        Group.objects.get(name="clerks").delete()

    def test_data_of_the_migration_is_there_again(self) -> None:
        self.assertEqual(Group.objects.get().name, "clerks")


class ServedTests(LiveServerTestCase):
    """A server in another thread, which has its own connection."""

    serialized_rollback = True

    def test_server_shows_what_the_test_has_committed(self) -> None:
        assortment.fill()
        with urlopen(f"{self.live_server_url}/api/products/?category__slug=light") as answer:
            self.assertEqual([each["sku"] for each in json.load(answer)["results"]], ["CD-1", "CD-2"])


class PlainTests(SimpleTestCase):
    """No database at all."""

    def test_database_is_out_of_bounds(self) -> None:
        with self.assertRaisesMessage(Exception, "Database queries to 'default' are not allowed"):
            Supplier.objects.count()
