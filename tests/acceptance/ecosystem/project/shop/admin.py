"""The shop's pages in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.contenttypes.admin import GenericTabularInline
from import_export.admin import ImportExportModelAdmin

from tests.acceptance.ecosystem.project.shop.models import Category, Line, Note, Order, Product, Supplier
from tests.acceptance.ecosystem.project.shop.transfer import ProductResource


class NoteInline(GenericTabularInline):
    """The notes about a thing."""

    model = Note
    extra = 1


class LineInline(admin.TabularInline):
    """The products of an order."""

    model = Line
    autocomplete_fields = ["product"]
    extra = 1


@admin.register(Product)
class ProductAdmin(ImportExportModelAdmin):
    """Products, which can be imported and exported."""

    resource_classes = [ProductResource]
    list_display = ["sku", "name", "category", "price", "stock"]
    list_editable = ["stock"]
    list_filter = ["category", ("released", admin.EmptyFieldListFilter), "suppliers"]
    search_fields = ["name", "sku"]
    filter_horizontal = ["suppliers"]
    inlines = [NoteInline]


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """Orders with their lines."""

    list_display = ["customer", "placed", "paid"]
    list_filter = ["paid", "placed"]
    date_hierarchy = "placed"
    inlines = [LineInline]


admin.site.register([Category, Supplier])
