"""Tests of the project itself, for ``manage.py test``."""

from crm.models import Customer
from django.contrib.auth.models import User
from django.core.exceptions import FieldError
from django.db import DatabaseError, IntegrityError, ProgrammingError, connections, transaction
from django.test import TestCase, TransactionTestCase
from django.test.testcases import DatabaseOperationForbidden

from library.models import Book, Loan

BOTH = frozenset(("default", "objects"))


class RelationTests(TestCase):
    """Within and across the databases."""

    databases = BOTH

    @classmethod
    def setUpTestData(cls) -> None:
        """A loan of a book to a customer."""
        cls.customer = Customer.objects.create(name="ann")
        cls.book = Book.objects.create(title="Ulysses")
        cls.loan = Loan.objects.create(book=cls.book, borrower_id=cls.customer.pk)

    def test_each_model_is_in_its_database(self) -> None:
        self.assertEqual(
            (self.customer._state.db, self.book._state.db, self.loan._state.db), ("default", *["objects"] * 2)
        )
        self.assertEqual(Customer.objects.using("default").count(), 1)
        self.assertEqual(Book.objects.using("objects").count(), 1)

    def test_relation_within_a_database_is_joined(self) -> None:
        self.assertEqual(Loan.objects.select_related("book").get(book__title="Ulysses").book, self.book)

    def test_object_of_the_other_database_is_read_on_access(self) -> None:
        self.assertEqual(Loan.objects.get().borrower, self.customer)
        self.assertEqual([loan.borrower.name for loan in Loan.objects.prefetch_related("borrower")], ["ann"])
        self.assertEqual(Loan.objects.filter(borrower=self.customer.pk).count(), 1)

    def test_object_of_the_other_database_is_not_assigned(self) -> None:
        with self.assertRaisesMessage(ValueError, "the current database router prevents this relation"):
            Loan(book=self.book, borrower=self.customer)
        self.assertEqual(self.customer.loan_set.count(), 1)
        with self.assertRaisesMessage(ValueError, "the current database router prevents this relation"):
            list(self.customer.loan_set.all())

    def test_join_across_the_databases_says_what_is_wrong(self) -> None:
        across = [
            Loan.objects.select_related("borrower"),
            Loan.objects.filter(borrower__name="ann"),
            Loan.objects.order_by("borrower__name"),
            Loan.objects.filter(borrower__in=Customer.objects.filter(name="ann")),
            Loan.objects.values("borrower__name"),
        ]
        for loans in across:
            with self.subTest(str(loans.query)), self.assertRaises(ProgrammingError) as raised:
                list(loans)
            self.assertIn("crm.Customer is in the database 'default'", str(raised.exception))
        with self.assertRaises(DatabaseError), transaction.atomic():
            list(Customer.objects.filter(loan__book__title="Ulysses"))
        self.assertEqual(Loan.objects.filter(borrower__in=list(Customer.objects.filter(name="ann"))).count(), 1)

    def test_reference_to_the_other_database_is_not_verified_and_others_are(self) -> None:
        Loan.objects.create(book=self.book, borrower_id=999)
        connections["objects"].check_constraints()
        connections["objects"].check_constraints(["library_loan"])
        with self.assertRaises(IntegrityError), transaction.atomic(using="objects"):
            Loan.objects.create(book_id="00000000-0000-7000-8000-000000000000")
            connections["objects"].check_constraints()

    def test_deleting_in_one_database_does_not_look_in_the_other(self) -> None:
        self.customer.delete()
        self.assertEqual(Loan.objects.count(), 1)
        with self.assertRaises(Customer.DoesNotExist):
            _ = Loan.objects.get().borrower

    def test_admin_has_models_of_both(self) -> None:
        self.client.force_login(User.objects.create_superuser("admin"))
        for page, text in (("crm/customer", "ann"), ("library/book", "Ulysses"), ("library/loan", "ann")):
            self.assertContains(self.client.get(f"/admin/{page}/"), text)
        self.client.post("/admin/library/book/add/", {"title": "Dubliners"})
        self.client.post("/admin/crm/customer/add/", {"name": "bob"})
        self.client.post("/admin/library/loan/add/", {"book": str(Book.objects.get(title="Dubliners").pk)})
        self.assertEqual((Book.objects.count(), Customer.objects.count(), Loan.objects.count()), (2, 2, 2))
        self.client.post(f"/admin/library/book/{self.book.pk}/delete/", {"post": "yes"})
        self.assertEqual(list(Loan.objects.values_list("book__title", flat=True)), ["Dubliners"])
        self.client.post(f"/admin/crm/customer/{self.customer.pk}/delete/", {"post": "yes"})
        self.assertEqual(Customer.objects.get().name, "bob")


class RolledBackTests(TestCase):
    """What other tests have made is gone in both."""

    databases = BOTH

    def test_nothing_is_left(self) -> None:
        self.assertEqual((Customer.objects.count(), Book.objects.count(), Loan.objects.count()), (0, 0, 0))


class OneDatabaseTests(TestCase):
    """``databases`` is the default one here."""

    def test_other_database_is_refused(self) -> None:
        Customer.objects.create(name="ann")
        with self.assertRaises(DatabaseOperationForbidden):
            Book.objects.count()


class CommittedTests(TransactionTestCase):
    """With transactions that are really committed."""

    databases = BOTH

    def test_each_database_has_transactions_of_its_own(self) -> None:
        with self.assertRaises(FieldError), transaction.atomic(using="objects"):
            Book.objects.create(title="Ulysses")
            Customer.objects.create(name="ann")
            Book.objects.filter(nothing=1)
        self.assertEqual((Customer.objects.count(), Book.objects.count()), (1, 0))
