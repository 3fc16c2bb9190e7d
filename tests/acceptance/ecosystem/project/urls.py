"""The shop's addresses."""

from django.contrib import admin
from django.urls import include, path
from rest_framework.routers import DefaultRouter

from tests.acceptance.ecosystem.project.shop import views
from tests.acceptance.ecosystem.project.shop.api import CategoryViewSet, ProductViewSet

router = DefaultRouter()
router.register("products", ProductViewSet)
router.register("categories", CategoryViewSet)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("django.contrib.auth.urls")),
    path("api/", include(router.urls)),
    path("visits/", views.count_visit),
    path("products/", views.product_list),
]
