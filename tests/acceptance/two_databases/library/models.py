"""What is objects."""

from django.db import models

from django_smarterbase.models import SmarterBaseModel


class Book(SmarterBaseModel):
    """A book."""

    title = models.CharField(max_length=50, db_index=True)

    def __str__(self) -> str:
        return self.title


class Loan(SmarterBaseModel):
    """A book that a customer has. The customer is in the other database, where nothing is done to loans."""

    book = models.ForeignKey(Book, models.CASCADE)
    borrower = models.ForeignKey("crm.Customer", models.DO_NOTHING, null=True)
