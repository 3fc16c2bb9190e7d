"""Pages of the shop."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, JsonResponse

from tests.acceptance.ecosystem.project.shop.filters import ProductFilter
from tests.acceptance.ecosystem.project.shop.models import Product


def count_visit(request: HttpRequest) -> JsonResponse:
    """How often this visitor was here, with the messages of the visit before."""
    waiting = [str(message) for message in messages.get_messages(request)]
    visits = request.session["visits"] = request.session.get("visits", 0) + 1
    messages.info(request, f"That was visit {visits}.")
    return JsonResponse({"visits": visits, "messages": waiting, "site": request.site.domain})


def product_list(request: HttpRequest) -> JsonResponse:
    """The products that the filter leaves, and what is wrong with its form."""
    found = ProductFilter(request.GET, queryset=Product.objects.all())
    return JsonResponse({"products": [product.sku for product in found.qs], "errors": found.errors})
