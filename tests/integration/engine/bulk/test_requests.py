from __future__ import annotations
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site
from uuid import uuid4

def make(n): 
    return [Article(pk=uuid4(), author_id=uuid4(), category="c", title=f"t{i}", body="b", status="draft") for i in range(n)]

def show(name, q):
    for p in q.profiles: print(name, p.operation, p.storage_ops, p.redis_ops)

def test_x(patient: Site):
    Article.objects.bulk_create(make(3))
    objs=make(2000)
    with profile_queries() as q: Article.objects.bulk_create(objs)
    show("bc",q)
    for o in objs: o.view_count=4
    with profile_queries() as q: Article.objects.bulk_update(objs,["view_count"])
    show("bu",q)
    with profile_queries() as q: Article.objects.filter(category="c").update(view_count=7)
    show("up",q)
    with profile_queries() as q: Article.objects.filter(category="c").delete()
    show("de",q)
    with profile_queries() as q: Author.objects.bulk_create([Author(name=f"a{i}") for i in range(500)])
    show("un",q)
    with profile_queries() as q: Author.objects.all().delete()
    show("un",q)
    assert 0
