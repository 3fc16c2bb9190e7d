"""The admin: that of the example site's articles, and that of the shop."""

from __future__ import annotations

import datetime

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client

from testproject.articles.models import Article, Author
from tests.acceptance.ecosystem.project.shop.models import Category, Line, Note, Order, Product, Supplier

ARTICLES = "/admin/articles/article/"
AUTHORS = "/admin/articles/author/"


@pytest.fixture
def articles() -> dict[str, Article]:
    """Articles of two authors and three months, by title."""
    ada, grace = (Author.objects.create(name=name) for name in ("Ada", "Grace"))
    rows = [
        ("Engines", ada, "machines", "draft", datetime.datetime(2024, 1, 31, 9, tzinfo=datetime.UTC)),
        ("Notes", ada, "letters", "published", datetime.datetime(2024, 2, 1, 9, tzinfo=datetime.UTC)),
        ("Compilers", grace, "machines", "published", datetime.datetime(2025, 2, 1, 9, tzinfo=datetime.UTC)),
    ]
    for title, author, category, status, created in rows:
        article = Article.objects.create(title=title, author=author, category=category, status=status)
        Article.objects.filter(pk=article.pk).update(created_at=created)
    return {article.title: article for article in Article.objects.all()}


def shown(page: HttpResponse) -> list[str]:
    """What a list of the admin shows."""
    assert page.status_code == 200, page.status_code
    return [str(each) for each in page.context["cl"].result_list]


def saved(page: HttpResponse) -> bool:
    """Whether a form was saved, so that the browser is sent on. What is wrong with it is told otherwise."""
    if page.status_code != 302:
        context = page.context
        pytest.fail(
            f"{context['adminform'].form.errors} {[each.formset.errors for each in context['inline_admin_formsets']]}"
        )
    return True


def inline(prefix: str, *rows: dict[str, object], initial: int = 0) -> dict[str, object]:
    """The fields of an inline formset; the first ``initial`` rows exist already."""
    fields: dict[str, object] = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": initial}
    return fields | {f"{prefix}-{n}-{name}": value for n, row in enumerate(rows) for name, value in row.items()}


def test_login_opens_the_admin_and_logout_closes_it(client: Client, midway) -> None:
    User.objects.create_superuser("root", password="secret")
    refused = client.post("/admin/login/", {"username": "root", "password": "wrong"})
    assert "Please enter the correct username and password" in refused.content.decode()
    midway()
    done = client.post("/admin/login/?next=/admin/", {"username": "root", "password": "secret"})
    assert (done.status_code, done.url) == (302, "/admin/")
    assert client.get("/admin/").context["user"].username == "root"
    assert User.objects.get().last_login is not None
    client.post("/admin/logout/")
    assert client.get("/admin/").url == "/admin/login/?next=/admin/"
    assert Session.objects.count() == 0


def test_objects_are_added_changed_and_deleted(admin_client: Client, midway) -> None:
    article = {"title": "Engines", "category": "machines", "status": "draft"}
    assert saved(admin_client.post(f"{AUTHORS}add/", {"name": "Ada", **inline("articles", article)}))
    author = Author.objects.get(name="Ada")
    engines = author.articles.get()
    refused = admin_client.post(f"{AUTHORS}add/", {"name": "Ada", **inline("articles")})
    assert refused.context["adminform"].form.errors == {"name": ["Author with this Name already exists."]}
    midway()
    change = {"author": author.pk, "category": "machines", "title": "Engine", "body": "…", "status": "published"}
    assert saved(admin_client.post(f"{ARTICLES}{engines.pk}/change/", change))
    engines.refresh_from_db()
    assert (engines.title, engines.body, engines.status) == ("Engine", "…", "published")
    asked = admin_client.get(f"{AUTHORS}{author.pk}/delete/")
    assert asked.context["model_count"] == {"authors": 1, "articles": 1}.items()
    assert admin_client.post(f"{AUTHORS}{author.pk}/delete/", {"post": "yes"}).url == AUTHORS
    assert (Author.objects.count(), Article.objects.count()) == (0, 0)


def test_list_is_searched_filtered_sorted_and_followed_by_date(admin_client: Client, articles, midway) -> None:
    ada = articles["Engines"].author
    for _ in midway.turns():
        assert shown(admin_client.get(ARTICLES)) == ["Compilers", "Notes", "Engines"]
        assert shown(admin_client.get(ARTICLES, {"q": "ENGINES"})) == ["Engines"]
        assert shown(admin_client.get(ARTICLES, {"status__exact": "published"})) == ["Compilers", "Notes"]
        assert shown(admin_client.get(ARTICLES, {"author__id__exact": ada.pk, "category": "letters"})) == ["Notes"]
        assert shown(admin_client.get(ARTICLES, {"o": "1"})) == ["Compilers", "Engines", "Notes"]
        assert shown(admin_client.get(ARTICLES, {"created_at__year": 2024})) == ["Notes", "Engines"]
        january = {"created_at__year": 2024, "created_at__month": 1}
        assert shown(admin_client.get(ARTICLES, january)) == ["Engines"]
        years = admin_client.get(ARTICLES).content.decode()
        assert "?created_at__year=2024" in years
        assert "?created_at__year=2025" in years


def test_actions_change_and_delete_what_is_selected(admin_client: Client, articles, midway) -> None:
    drafts = [articles["Engines"].pk, articles["Notes"].pk]
    done = admin_client.post(ARTICLES, {"action": "publish", "_selected_action": drafts}, follow=True)
    assert [str(message) for message in done.context["messages"]] == ["2 articles were published."]
    assert Article.objects.filter(status="published").count() == 3
    midway()
    chosen = {"action": "delete_selected", "_selected_action": drafts}
    assert "Are you sure" in admin_client.post(ARTICLES, chosen).content.decode()
    assert Article.objects.count() == 3
    done = admin_client.post(ARTICLES, {**chosen, "post": "yes"}, follow=True)
    assert [str(message) for message in done.context["messages"]] == ["Successfully deleted 2 articles."]
    assert shown(done) == ["Compilers"]


def test_history_tells_who_did_what(admin_client: Client, midway) -> None:
    admin_client.post(f"{AUTHORS}add/", {"name": "Ada", **inline("articles")})
    author = Author.objects.get()
    admin_client.post(f"{AUTHORS}{author.pk}/change/", {"name": "Ada L.", **inline("articles")})
    midway()
    history = admin_client.get(f"{AUTHORS}{author.pk}/history/")
    told = [(entry.user.username, entry.get_change_message()) for entry in history.context["action_list"]]
    assert told == [("admin", "Added."), ("admin", "Changed Name.")]
    admin_client.post(f"{AUTHORS}{author.pk}/delete/", {"post": "yes"})
    entries = LogEntry.objects.order_by("action_time").values_list("action_flag", "object_repr", "object_id")
    key = str(author.pk)
    assert list(entries) == [(ADDITION, "Ada", key), (CHANGE, "Ada L.", key), (DELETION, "Ada L.", key)]
    recent = admin_client.get("/admin/").content.decode()
    assert "Ada L." in recent


def test_inline_formset_adds_changes_and_removes_rows(admin_client: Client, shop, midway) -> None:
    anvil, candle = (Product.objects.get(sku=sku) for sku in ("AB-1", "CD-1"))
    order = {"customer": "Ada", "placed_0": "2025-03-01", "placed_1": "12:00:00"}
    rows = [{"product": anvil.pk, "quantity": 1}, {"product": candle.pk, "quantity": 10}]
    assert saved(admin_client.post("/admin/shop/order/add/", {**order, **inline("lines", *rows)}))
    first, second = Order.objects.get().lines.all()
    midway()
    rows = [
        {"id": first.pk, "order": first.order_id, "product": anvil.pk, "quantity": 2},
        {"id": second.pk, "order": first.order_id, "product": candle.pk, "quantity": 10, "DELETE": "on"},
        {"order": first.order_id, "product": candle.pk, "quantity": 3},
    ]
    page = admin_client.post(
        f"/admin/shop/order/{first.order_id}/change/", {**order, **inline("lines", *rows, initial=2)}
    )
    assert saved(page)
    assert [str(line) for line in Line.objects.all()] == ["2 x Anvil", "3 x Candle"]
    assert Line.objects.get(quantity=2).pk == first.pk


def test_generic_inline_and_many_to_many_are_saved(admin_client: Client, shop, midway) -> None:
    product = {"name": "Egg timer", "sku": "EF-1", "category": Category.objects.get(slug="tools").pk}
    product |= {"price": "9.90", "stock": 4, "suppliers": [supplier.pk for supplier in Supplier.objects.all()]}
    notes = inline("shop-note-content_type-object_id", {"text": "rings"}, {"text": ""})
    assert saved(admin_client.post("/admin/shop/product/add/", {**product, **notes}))
    timer = Product.objects.get(sku="EF-1")
    midway()
    assert [str(note) for note in timer.notes.all()] == ["rings"]
    assert Note.objects.get().about == timer
    assert sorted(str(supplier) for supplier in timer.suppliers.all()) == ["Acme", "Best"]
    page = admin_client.get(f"/admin/shop/product/{timer.pk}/change/")
    assert "rings" in page.content.decode()


def test_list_is_edited_in_place_and_completes_names(admin_client: Client, shop, midway) -> None:
    keys = list(Product.objects.values_list("pk", flat=True))
    rows = [{"id": key, "stock": number} for number, key in enumerate(keys, start=10)]
    done = admin_client.post("/admin/shop/product/", {**inline("form", *rows, initial=4), "_save": "Save"}, follow=True)
    assert [str(message) for message in done.context["messages"]] == ["4 products were changed successfully."]
    assert list(Product.objects.values_list("stock", flat=True)) == [10, 11, 12, 13]
    midway()
    asked = {"term": "an", "app_label": "shop", "model_name": "line", "field_name": "product"}
    answer = admin_client.get("/admin/autocomplete/", asked).json()
    assert [each["text"] for each in answer["results"]] == ["Anvil", "Candle", "Dark lantern"]
    page = admin_client.get("/admin/shop/product/", {"released__isempty": "1"})
    assert shown(page) == ["Dark lantern"]


def test_constraints_and_protection_are_told_in_the_form(admin_client: Client, shop, midway) -> None:
    anvil = Product.objects.get(sku="AB-1")
    order = Order.objects.create(customer="Ada", placed=datetime.datetime(2025, 3, 1, tzinfo=datetime.UTC))
    order.lines.create(product=anvil)
    product = {"name": "Anvil", "sku": "AB-9", "category": anvil.category_id, "price": "1", "stock": 1}
    empty = inline("shop-note-content_type-object_id")
    refused = admin_client.post("/admin/shop/product/add/", {**product, **empty})
    assert refused.context["adminform"].form.errors == {"__all__": ["This category has a product of that name."]}
    midway()
    change = {**product, "name": "Anvil 2", "stock": -1}
    refused = admin_client.post("/admin/shop/product/add/", {**change, **empty})
    assert refused.context["adminform"].form.errors == {"__all__": ["There cannot be fewer than none."]}
    page = admin_client.get(f"/admin/shop/product/{anvil.pk}/delete/").content.decode()
    assert "would require deleting the following protected related objects" in page
    assert Product.objects.filter(pk=anvil.pk).exists()


def test_permissions_decide_what_the_staff_may_do(client: Client, articles, midway) -> None:
    reader = User.objects.create_user("reader", password="secret", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_article"))
    client.force_login(reader)
    assert len(shown(client.get(ARTICLES))) == 3
    midway()
    engines = articles["Engines"]
    page = client.get(f"{ARTICLES}{engines.pk}/change/")
    assert page.context["has_change_permission"] is False
    assert client.post(f"{ARTICLES}{engines.pk}/change/", {"title": "Mine"}).status_code == 403
    assert client.post(f"{ARTICLES}{engines.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(AUTHORS).status_code == 403
    assert Article.objects.filter(title="Engines").exists()
