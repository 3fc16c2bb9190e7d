"""The products that tests find in the shop."""

from __future__ import annotations

import datetime
from decimal import Decimal

from tests.acceptance.ecosystem.project.shop.models import Category, Product, Supplier

#: Number, name, category, price, stock, day of release, suppliers.
PRODUCTS = [
    ("AB-1", "Anvil", "tools", "80.00", 3, datetime.date(2024, 1, 5), ["Acme"]),
    ("AB-2", "Bellows", "tools", "20.50", 0, datetime.date(2024, 6, 1), ["Acme", "Best"]),
    ("CD-1", "Candle", "light", "1.25", 100, datetime.date(2025, 2, 1), ["Best"]),
    ("CD-2", "Dark lantern", "light", "45.00", 7, None, []),
]


def fill() -> None:
    """Put them there."""
    categories = {slug: Category.objects.create(name=slug.title(), slug=slug) for slug in ("tools", "light")}
    suppliers = {name: Supplier.objects.create(name=name) for name in ("Acme", "Best")}
    for sku, name, slug, price, stock, released, names in PRODUCTS:
        product = Product.objects.create(
            sku=sku, name=name, category=categories[slug], price=Decimal(price), stock=stock, released=released
        )
        product.suppliers.set([suppliers[each] for each in names])
