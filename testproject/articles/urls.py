"""The addresses of the articles app."""

from django.urls import path

from testproject.articles import views

app_name = "articles"
urlpatterns = [
    path("", views.home, name="home"),
    path("articles/<uuid:pk>/", views.detail, name="detail"),
]
