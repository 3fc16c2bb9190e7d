"""What django-filter lets a visitor ask for."""

from __future__ import annotations

import django_filters

from tests.acceptance.ecosystem.project.shop.models import Product, Supplier


class ProductFilter(django_filters.FilterSet):
    """Products by what they are, cost and have left."""

    price = django_filters.RangeFilter()
    text = django_filters.CharFilter(field_name="name", lookup_expr="icontains")
    supplier = django_filters.ModelMultipleChoiceFilter(field_name="suppliers", queryset=Supplier.objects.all())
    year = django_filters.NumberFilter(field_name="released", lookup_expr="year")
    sold_out = django_filters.BooleanFilter(field_name="stock", lookup_expr="exact", method="filter_sold_out")
    order = django_filters.OrderingFilter(fields=["price", "name"])

    class Meta:
        model = Product
        fields = {"category": ["exact"], "category__slug": ["exact", "in"], "stock": ["exact", "lt"]}

    def filter_sold_out(self, products, name, value):
        """Those of which there are none, or some."""
        return products.filter(stock=0) if value else products.exclude(stock=0)
