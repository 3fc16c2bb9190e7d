"""Models as a common Django project has them: automatic keys, constraints, validators and generic relations."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models


class Category(models.Model):
    """What a product is. Fixtures may name it by its slug."""

    class ByName(models.Manager["Category"]):
        """Finds categories by their natural key."""

        def get_by_natural_key(self, slug: str) -> Category:
            """The category of a slug."""
            return self.get(slug=slug)

    name = models.CharField(max_length=40)
    slug = models.SlugField(unique=True)

    objects = ByName()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        """What fixtures say in place of the primary key."""
        return (self.slug,)


class Supplier(models.Model):
    """Who delivers."""

    name = models.CharField(max_length=40, unique=True)

    def __str__(self) -> str:
        return self.name


class Note(models.Model):
    """A remark about anything."""

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    about = GenericForeignKey()
    text = models.CharField(max_length=80)

    class Meta:
        indexes = [models.Index(fields=["content_type", "object_id"], name="shop-notes-about")]

    def __str__(self) -> str:
        return self.text


class Product(models.Model):
    """What is sold."""

    name = models.CharField(max_length=40, db_index=True)
    sku = models.CharField(max_length=8, unique=True, validators=[RegexValidator("^[A-Z]{2}-[0-9]+$")])
    category = models.ForeignKey(Category, on_delete=models.CASCADE, related_name="products")
    suppliers = models.ManyToManyField(Supplier, blank=True, related_name="products")
    price = models.DecimalField(max_digits=8, decimal_places=2, validators=[MinValueValidator(0)])
    stock = models.IntegerField(default=0)
    released = models.DateField(null=True, blank=True, db_index=True)
    manual = models.FileField(upload_to="manuals", blank=True)
    notes = GenericRelation(Note)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["category", "name"],
                name="shop-one-name-a-category",
                violation_error_message="This category has a product of that name.",
            ),
            models.UniqueConstraint(fields=["released"], condition=models.Q(stock=0), name="shop-one-sold-out-a-day"),
            models.CheckConstraint(
                condition=models.Q(stock__gte=0),
                name="shop-stock-is-not-negative",
                violation_error_message="There cannot be fewer than none.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """What somebody has bought."""

    customer = models.CharField(max_length=40)
    placed = models.DateTimeField(db_index=True)
    paid = models.BooleanField(default=False, db_index=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.customer}'s order"


class Line(models.Model):
    """A product in an order."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="lines")
    quantity = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product}"
