"""The shop's REST interface."""

from __future__ import annotations

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import filters, pagination, serializers, viewsets

from tests.acceptance.ecosystem.project.shop.filters import ProductFilter
from tests.acceptance.ecosystem.project.shop.models import Category, Product


class CategorySerializer(serializers.ModelSerializer):
    """A category."""

    class Meta:
        model = Category
        fields = ["id", "name", "slug"]


class ProductSerializer(serializers.ModelSerializer):
    """A product, its category by slug."""

    category = serializers.SlugRelatedField(slug_field="slug", queryset=Category.objects.all())

    class Meta:
        model = Product
        fields = ["id", "name", "sku", "category", "suppliers", "price", "stock", "released"]


class ByCursor(pagination.CursorPagination):
    """Pages that stay what they are while products are added."""

    page_size = 2
    ordering = "sku"


class CategoryViewSet(viewsets.ModelViewSet):
    """Categories, page by page with a cursor."""

    queryset = Category.objects.all()
    serializer_class = CategorySerializer
    pagination_class = type("ByName", (ByCursor,), {"ordering": "name"})


class ByNumber(pagination.PageNumberPagination):
    """Pages of two, or of as many as are asked for."""

    page_size = 2
    page_size_query_param = "size"


class ProductViewSet(viewsets.ModelViewSet):
    """Products, to be filtered, searched, sorted and paged."""

    queryset = Product.objects.select_related("category").prefetch_related("suppliers")
    serializer_class = ProductSerializer
    pagination_class = ByNumber
    filter_backends = [DjangoFilterBackend, filters.SearchFilter, filters.OrderingFilter]
    filterset_class = ProductFilter
    search_fields = ["name", "category__name"]
    ordering_fields = ["price", "name"]
