"""What is in the SQL database."""

from django.db import models


class Customer(models.Model):
    """Somebody who borrows books."""

    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name
