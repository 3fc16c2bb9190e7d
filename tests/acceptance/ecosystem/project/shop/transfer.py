"""What django-import-export brings in and takes out."""

from __future__ import annotations

from import_export import fields, resources
from import_export.widgets import ForeignKeyWidget, ManyToManyWidget

from tests.acceptance.ecosystem.project.shop.models import Category, Product, Supplier


class ProductResource(resources.ModelResource):
    """Products by their number, categories by slug, suppliers by name."""

    category = fields.Field("category", "category", ForeignKeyWidget(Category, "slug"))
    suppliers = fields.Field("suppliers", "suppliers", ManyToManyWidget(Supplier, separator="|", field="name"))

    class Meta:
        model = Product
        import_id_fields = ["sku"]
        fields = ["sku", "name", "category", "suppliers", "price", "stock"]
        export_order = ["sku", "name", "category", "suppliers", "price", "stock"]
        skip_unchanged = True
        report_skipped = True
        clean_model_instances = True


class BulkProductResource(ProductResource):
    """The same, many rows a statement."""

    class Meta(ProductResource.Meta):
        use_bulk = True
        batch_size = 10
        skip_diff = True
        skip_unchanged = False
        clean_model_instances = False
        fields = ["sku", "name", "category", "price", "stock"]
