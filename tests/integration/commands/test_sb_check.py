"""``sb_check`` as it is called: what it finds, mends, says and returns."""

from __future__ import annotations

import io
import json
import re
import threading
import time
from typing import Any

import orjson
import pytest
import redis
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Model

from django_smarterbase.backend.intents import Intent
from django_smarterbase.backend.leftovers import OrphanClaims, Suspect
from django_smarterbase.indexes.audit import Audit
from django_smarterbase.indexes.service import Change, IndexService
from django_smarterbase.management import reindex
from django_smarterbase.management.canvases import EVERY
from django_smarterbase.management.commands.sb_check import Command
from django_smarterbase.management.reindex import Reindexer, Result
from django_smarterbase.management.ticker import Stage
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import WRITE_DEADLINE, Site

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
ARTICLES = 30
COLUMNS = ("documents", "missing", "extra", "pending", "overdue", "in doubt", "corrupt", "orphans", "drift", "state")
HEADS = ("table", *COLUMNS)


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Ran:
    """A run of the command: ``out`` and ``err`` without colours, ``status`` as the process would have."""

    def __init__(
        self, *labels: str, stdout: io.StringIO | None = None, stderr: io.StringIO | None = None, **options: Any
    ) -> None:
        out, err = stdout or io.StringIO(), stderr or io.StringIO()
        self.status, self.message = 0, ""
        try:
            call_command("sb_check", *labels, stdout=out, stderr=err, **options)
        except CommandError as error:
            self.status, self.message = error.returncode, str(error)
        self.out, self.err = out.getvalue(), ANSI.sub("", err.getvalue())

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)

    def table(self, model: type[Model] = Article) -> dict[str, Any]:
        return next(table for table in self.json["tables"] if table["model"] == model._meta.label)


@pytest.fixture
def filled(site: Site) -> Site:
    """The site with two authors and thirty articles."""
    authors = [Author.objects.create(name=name) for name in ("Ada", "Grace")]
    Article.objects.bulk_create(
        Article(author=authors[number % 2], title=str(number), category=f"c{number % 3}") for number in range(ARTICLES)
    )
    return site


def checked(model: type[Model] = Article, **options: Any) -> tuple[int, dict[str, Any]]:
    """The exit status, and what was found of one table."""
    ran = Ran(model._meta.label, json=True, **options)
    return ran.status, ran.table(model)


def by_name(findings: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """``{index: (entries, missing, extra)}`` of the indexes that drift."""
    return {
        index["name"]: (index["entries"], index["missing"], index["extra"])
        for index in findings["indexes"]
        if index["missing"] or index["extra"]
    }


def key_of(model: type[Model], instance: Model) -> str:
    """The object key of a document."""
    resources, schema = connection.resources, connection.schema_of_model(model)
    return resources.keys.document(schema.table, stem_of(instance))


def stem_of(instance: Model) -> str:
    """The stem of a document."""
    return str(instance.pk).replace("-", "") if len(str(instance.pk)) == 36 else str(instance.pk)


def set_of(site: Site, entry: str) -> str:
    """The Redis key of the set of articles whose entry ends so."""
    (key,) = [key for key in site.redis_keys(f"set:*:*{entry}") if ":articles}" in key]
    return key


def records_of(site: Site) -> str:
    """The Redis key of what the index remembers of each article."""
    (key,) = [key for key in site.redis_keys("docs:*") if ":articles}" in key]
    return key


def rewrite(model: type[Model], instance: Model, **changes: Any) -> None:
    """Change a document as somebody with an editor would."""
    store, key = connection.resources.store, key_of(model, instance)
    document = orjson.loads(store.get(key).body)
    store.put(key, orjson.dumps({**document, **changes}))


def assert_sound_by_index(category: str = "c1") -> None:
    """The index is trusted, and says what the documents say."""
    with profile_queries() as queries:
        by_index = set(Article.objects.filter(category=category).values_list("pk", flat=True))
        count = Article.objects.filter(category=category).count()
    assert not queries.full_scans()
    assert by_index == {each.pk for each in Article.objects.scan() if each.category == category}
    assert count == len(by_index)
    assert checked()[0] == 0


def test_nothing_is_wrong_with_what_was_written_in_the_ordinary_way(filled: Site) -> None:
    article = Article.objects.first()
    article.category = "moved"
    article.save()
    Article.objects.last().delete()
    ran = Ran(json=True)
    assert (ran.status, ran.err, ran.json["sound"]) == (0, "", True)
    found = ran.table()["found"]
    assert (found["documents"], found["missing"], found["extra"], found["in_doubt"]) == (ARTICLES - 1, 0, 0, 0)
    assert {index["entries"] for index in found["indexes"]} == {ARTICLES - 1}
    assert found == ran.table()["left"]


def test_a_check_changes_nothing(filled: Site) -> None:
    with filled.redis() as client:
        client.srem(set_of(filled, "tc1"), *client.smembers(set_of(filled, "tc1")))
    objects, dumped = objects_of(filled), redis_content(filled)
    assert Ran().status == 1
    assert (objects_of(filled), redis_content(filled)) == (objects, dumped)


def objects_of(site: Site) -> dict[str, bytes]:
    """All objects of the site, apart from what the check has found, which it keeps for the admin."""
    return {key: body for key, body in site.objects().items() if not key.endswith("/_sb/checks.json")}


def redis_content(site: Site) -> dict[str, bytes | None]:
    """All keys of the site, apart from what a check remembers for an hour."""
    with redis.Redis.from_url(site.server.url) as client:
        return {key: client.dump(key) for key in site.redis_keys("*") if ":seen:" not in key}


def test_a_member_that_was_removed_is_missing_and_comes_back(filled: Site) -> None:
    with filled.redis() as client:
        key = set_of(filled, "tc1")
        client.srem(key, client.srandmember(key))
    status, table = checked()
    assert status == 1
    assert by_name(table["found"]) == {"articles-by-category": (ARTICLES, 1, 0)}
    assert table["found"]["miscounted"] == 1
    status, table = checked(repair=True)
    assert status == 0
    assert table["repaired"]["rebuilt"]
    assert table["found"]["missing"] == 1
    assert table["left"]["missing"] == table["left"]["miscounted"] == 0
    assert_sound_by_index()


def test_a_member_that_was_added_is_extra_and_goes(filled: Site) -> None:
    stranger = Article.objects.filter(category="c2").first()
    with filled.redis() as client:
        client.sadd(set_of(filled, "tc1"), stem_of(stranger))
    status, table = checked()
    assert status == 1
    assert by_name(table["found"]) == {"articles-by-category": (ARTICLES, 0, 1)}
    assert table["found"]["examples"] == [stem_of(stranger)]
    assert checked(repair=True)[0] == 0
    assert_sound_by_index()


def test_a_set_that_was_made_by_hand_is_found_though_no_count_knows_it(filled: Site) -> None:
    stranger = Article.objects.first()
    with filled.redis() as client:
        client.sadd(set_of(filled, "tc1").replace("tc1", "tc9"), stem_of(stranger))
    status, table = checked()
    assert status == 1
    assert by_name(table["found"]) == {"articles-by-category": (ARTICLES, 0, 1)}
    assert table["found"]["miscounted"] == 1
    assert checked(repair=True)[0] == 0


def test_a_set_that_was_deleted_is_missing_as_a_whole(filled: Site) -> None:
    with filled.redis() as client:
        client.delete(set_of(filled, "tc1"))
    status, table = checked()
    assert status == 1
    assert by_name(table["found"]) == {"articles-by-category": (ARTICLES, 10, 0)}
    assert checked(repair=True)[0] == 0
    assert_sound_by_index()


@pytest.mark.parametrize("index", ["articles-by-category", "articles-pk"])
def test_a_member_of_an_order_that_is_gone_is_missing(filled: Site, index: str) -> None:
    with filled.redis() as client:
        client.zpopmin(order_of(filled, index))
    status, table = checked()
    assert status == 1
    assert by_name(table["found"]) == {f"{index} (order)": (ARTICLES, 1, 0)}
    assert table["found"]["miscounted"] == 1
    assert checked(repair=True)[0] == 0
    assert_sound_by_index()


@pytest.mark.parametrize("sample", [None, 10_000])
def test_a_member_of_an_order_that_no_document_has_is_extra(filled: Site, sample: int | None) -> None:
    with filled.redis() as client:
        member = client.zpopmin(order_of(filled, "articles-by-category"))[0][0]
        client.zadd(order_of(filled, "articles-by-category"), {member.replace("tc0!", "tc9!"): 0})
    status, table = checked(sample=sample) if sample else checked()
    assert status == 1
    assert by_name(table["found"]) == {"articles-by-category (order)": (ARTICLES, 1, 1)}
    assert checked(repair=True)[0] == 0
    assert_sound_by_index()


def order_of(site: Site, index: str) -> str:
    """The key of an ordered index of articles."""
    name = "" if index == "articles-pk" else index
    (key,) = (key for key in site.redis_keys("order:*") if "articles" in key and key.endswith(f":{name}"))
    return key


def test_records_that_were_deleted_are_found_and_come_back(filled: Site) -> None:
    with filled.redis() as client:
        client.hdel(records_of(filled), stem_of(Article.objects.first()))
    status, table = checked()
    assert status == 1
    assert by_name(table["found"])["records"] == (ARTICLES, 1, 0)
    status, table = checked(repair=True)
    assert (status, table["repaired"]["rebuilt"]) == (0, True)
    assert_sound_by_index()


def test_a_record_with_false_entries_is_not_believed_by_the_rebuild(filled: Site) -> None:
    article = Article.objects.filter(category="c1").first()
    with filled.redis() as client:
        records, stem = records_of(filled), stem_of(article)
        client.hset(records, stem, client.hget(records, stem).replace(":tc1", ":tc2"))
    status, table = checked()
    assert status == 1
    assert by_name(table["found"])["records"][1] == 1
    status, table = checked(repair=True)
    assert (status, table["left"]["drift_percent"]) == (0, 0)
    assert_sound_by_index()


def test_a_document_that_was_changed_by_hand_is_entered_anew_without_a_rebuild(filled: Site) -> None:
    article = Article.objects.filter(category="c1").first()
    rewrite(Article, article, category="c2")
    status, table = checked()
    assert status == 1
    assert by_name(table["found"]) == {
        "articles-by-category": (ARTICLES, 1, 1),
        "articles-by-category (order)": (ARTICLES, 1, 1),
        "records": (ARTICLES, 1, 0),
    }
    epoch = filled.state(Article).entry.epoch
    status, table = checked(repair=True)
    assert status == 0
    assert table["repaired"] == {"settled": 0, "amended": 1, "claims": 0, "rebuilt": False}
    assert filled.state(Article).entry.epoch == epoch
    assert_sound_by_index()
    assert article.pk in set(Article.objects.filter(category="c2").values_list("pk", flat=True))


def test_a_document_that_was_lost_leaves_entries_that_go(filled: Site) -> None:
    article = Article.objects.filter(category="c1").first()
    connection.resources.store.delete(key_of(Article, article))
    status, table = checked()
    assert status == 1
    found = by_name(table["found"])
    assert {(missing, extra) for _, missing, extra in found.values()} == {(0, 1)}
    assert {"all documents", "records", "articles-by-category"} <= set(found)
    status, table = checked(repair=True)
    assert (status, table["repaired"]["amended"], table["repaired"]["rebuilt"]) == (0, 1, False)
    assert_sound_by_index()
    Article(pk=article.pk, author=Author.objects.first(), title="again", category="c1").save(force_insert=True)
    assert_sound_by_index()


def test_documents_that_were_put_there_by_hand_are_missing_until_a_rebuild(filled: Site) -> None:
    article, store = Article.objects.filter(category="c1").first(), connection.resources.store
    key = key_of(Article, article)
    document = orjson.loads(store.get(key).body)
    article.pk = None
    other = Article(author=article.author, title="copy", category="c1")
    store.put(key_of(Article, other), orjson.dumps({**document, "id": str(other.pk)}))
    status, table = checked()
    assert (status, table["found"]["documents"]) == (1, ARTICLES + 1)
    assert by_name(table["found"])["all documents"] == (ARTICLES + 1, 1, 0)
    status, table = checked(repair=True)
    assert (status, table["repaired"]["rebuilt"]) == (0, True)
    assert_sound_by_index()


def test_a_document_that_cannot_be_read_is_named_and_stays_wrong(filled: Site) -> None:
    key = key_of(Article, Article.objects.first())
    connection.resources.store.put(key, b"not JSON")
    status, table = checked()
    assert (status, table["found"]["corrupt"], table["found"]["drift_percent"]) == (1, [key], 0)
    status, table = checked(repair=True)
    assert (status, table["left"]["corrupt"]) == (1, [key])


def test_an_index_that_was_lost_is_drift_of_a_hundred_per_cent_until_it_is_rebuilt(filled: Site) -> None:
    with filled.redis() as client:
        client.flushall()
    status, table = checked()
    assert status == 1
    assert (table["found"]["trusted"], table["found"]["drift_percent"]) == (False, 100)
    assert table["found"]["reason"] == "Redis lost the index"
    assert table["found"]["documents"] == ARTICLES
    assert checked(repair=True)[0] == 0
    assert_sound_by_index()


def test_a_key_of_another_type_is_drift_until_it_is_rebuilt(filled: Site) -> None:
    with filled.redis() as client:
        key = set_of(filled, "tc1")
        client.delete(key)
        client.set(key, "text")
    status, table = checked()
    assert (status, table["found"]["reason"]) == (1, "index damaged")
    assert checked(repair=True)[0] == 0
    assert_sound_by_index()


def test_a_redis_that_is_down_is_said_and_cannot_be_mended(filled: Site) -> None:
    filled.server.stop()
    status, table = checked(repair=True)
    assert (status, table["found"]["trusted"]) == (1, False)
    assert table["error"].startswith("Redis cannot be used: ")
    filled.server.start()


def test_without_a_cache_documents_are_read_all_the_same(filled: Site) -> None:
    filled.restart(cache=None)
    assert checked()[0] == 0
    key = key_of(Article, Article.objects.first())
    connection.resources.store.put(key, b"{")
    status, table = checked()
    assert (status, table["found"]["corrupt"], table["found"]["indexes"]) == (1, [key], [])


def abandoned_write(category: str) -> None:
    """A writer that died between its note and its document."""
    schema = connection.schema_of_model(Article)
    article = Article.objects.filter(category="c1").first()
    key = key_of(Article, article)
    body = connection.resources.store.get(key).body
    row = {**connection.resources.row_of(schema, key, body), "category": category}
    connection.resources.indexes.begin(schema, [Change(stem_of(article), row, existed=True)])


def test_a_write_under_way_is_no_drift(filled: Site) -> None:
    filled.restart(write_deadline=60.0)  # it is overdue at no moment of the test
    abandoned_write("c2")
    status, table = checked()
    assert (status, table["found"]["pending"], table["found"]["overdue"]) == (0, 1, 0)
    assert table["found"]["missing"] == table["found"]["extra"] == 0


def test_a_note_that_a_dead_writer_left_is_settled(filled: Site) -> None:
    abandoned_write("c2")
    time.sleep(WRITE_DEADLINE + 0.1)
    status, table = checked()
    assert (status, table["found"]["overdue"], table["found"]["extra"]) == (1, 1, 0)
    status, table = checked(repair=True)
    assert (status, table["repaired"]["settled"], table["left"]["pending"]) == (0, 1, 0)
    assert_sound_by_index()


def test_a_write_that_comes_between_the_two_looks_is_no_drift(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    article, verify, moved = Article.objects.filter(category="c1").first(), Audit._verify, []

    def with_a_writer(self: Audit, *args: Any) -> Any:
        if self._schema.label == "articles.Article" and len(moved) < 2:
            moved.append(f"c{len(moved)}")
            Article.objects.filter(pk=article.pk).update(category=moved[-1])
        return verify(self, *args)

    monkeypatch.setattr(Audit, "_verify", with_a_writer)
    status, table = checked()
    assert len(moved) == 2
    assert (status, table["found"]["missing"], table["found"]["extra"], table["found"]["in_doubt"]) == (0, 0, 0, 0)


def test_writers_at_work_are_never_drift(filled: Site) -> None:
    stop, written = threading.Event(), []

    def work(number: int) -> None:
        try:
            author = Author.objects.first()
            while not stop.is_set():
                article = Article.objects.create(author=author, title="t", category=f"w{number}")
                Article.objects.filter(pk=article.pk).update(category=f"x{number}")
                if len(written) % 2:
                    article.delete()
                written.append(article)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        rounds = []
        while len(rounds) < 8 or len(written) < 20:
            rounds.append(checked()[1]["found"])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {(found["missing"], found["extra"], found["miscounted"]) for found in rounds} == {(0, 0, 0)}
    assert checked()[1]["found"]["documents"] == Article.objects.scan().count()


def test_a_sample_reads_no_more_documents_than_asked(filled: Site) -> None:
    status, table = checked(sample=7)
    assert (status, table["found"]["documents"]) == (0, 7)
    with filled.redis() as client:
        client.flushall()
    assert checked(sample=7)[0] == 1


@pytest.mark.parametrize("damage", ["changed", "lost", "added"])
def test_a_sample_of_everything_finds_what_a_whole_check_finds(filled: Site, damage: str) -> None:
    article = Article.objects.filter(category="c1").first()
    if damage == "changed":
        rewrite(Article, article, category="c2")
    elif damage == "lost":
        connection.resources.store.delete(key_of(Article, article))
    else:
        with filled.redis() as client:
            client.sadd(set_of(filled, "tc2"), stem_of(article))
    status, table = checked(sample=1000)
    assert status == 1
    found = checked()[1]["found"]
    assert by_name(table["found"])["articles-by-category"] == by_name(found)["articles-by-category"]
    assert checked(sample=1000, repair=True)[0] == 0
    assert_sound_by_index()


def orphan(name: str) -> str:
    """A claim whose writer died before its document; its key."""
    resources, schema = connection.resources, connection.schema_of_model(Group)
    Group.objects.create(name=name)
    (key,) = (listed.key for listed in resources.store.list(resources.keys.unique_prefix(schema.table)))
    connection.resources.store.delete(key_of(Group, Group.objects.get(name=name)))
    return key


def test_a_claim_that_no_document_holds_is_found_after_the_deadline_and_removed(site: Site) -> None:
    key = orphan("writers")
    began = time.monotonic()
    status, table = checked(Group)
    assert (status, table["orphan_claims"]) == (1, [key])
    assert time.monotonic() - began > WRITE_DEADLINE
    assert connection.resources.store.get(key) is not None
    status, table = checked(Group, repair=True)
    assert (status, table["repaired"]["claims"], table["orphan_claims"]) == (0, 1, [])
    assert connection.resources.store.get(key) is None
    Group.objects.create(name="writers")
    assert checked(Group)[0] == 0


def test_a_claim_whose_document_is_written_meanwhile_is_no_orphan(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = connection.schema_of_model(Group)
    Group.objects.create(name="first")
    claim = next(iter(connection.resources.store.list(connection.resources.keys.unique_prefix(schema.table)))).key
    body, document = connection.resources.store.get(claim).body, key_of(Group, Group.objects.get(name="first"))
    held = connection.resources.store.get(document).body
    Group.objects.get(name="first").delete()
    connection.resources.store.put(claim, body)
    suspect, suspects = OrphanClaims.suspect, list[Suspect]()

    def suspect_and_write(self: OrphanClaims, *args: Any) -> None:
        suspect(self, *args)
        if self._suspects:
            suspects.extend(self._suspects)
            connection.resources.store.put(document, held)

    monkeypatch.setattr(OrphanClaims, "suspect", suspect_and_write)
    table = checked(Group)[1]
    assert ([each.key for each in suspects], table["orphan_claims"]) == ([claim], [])


def test_what_is_no_claim_is_named(site: Site) -> None:
    Group.objects.create(name="a")
    schema = connection.schema_of_model(Group)
    (claim,) = connection.resources.store.list(connection.resources.keys.unique_prefix(schema.table))
    connection.resources.store.put(claim.key, b"[]")
    status, table = checked(Group)
    assert (status, table["unreadable_claims"]) == (1, [claim.key])


def create_together(*names: str) -> None:
    """Create authors in one transaction."""
    with transaction.atomic():
        for name in names:
            Author.objects.create(name=name)


def unfinished_transaction() -> Intent:
    """The intent of a process that died before its first document."""
    written: list[Intent] = []

    class Died(BaseException):
        """The end of the process."""

    def die(self: Intent) -> None:
        write(self)
        written.append(self)
        raise Died

    write = Intent.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Intent, "write", die)
        with pytest.raises(Died):
            create_together("one", "two")
    connection.close()
    return written[0]


def test_a_transaction_of_a_dead_process_is_named_and_then_completed(filled: Site) -> None:
    intent = unfinished_transaction()
    ran = Ran("articles.Author", json=True)
    assert (ran.status, ran.json["databases"][0]["unfinished"]) == (1, [intent.key])
    ran = Ran("articles.Author", json=True, repair=True)
    assert ran.status == 0
    assert (ran.json["databases"][0]["decided"], ran.json["databases"][0]["unfinished"]) == (1, [])
    assert Author.objects.filter(name__in=["one", "two"]).count() == 2


def test_a_recovery_waits_for_no_transaction_that_begins_after_it(filled: Site) -> None:
    store, keys, stop = connection.resources.store, connection.resources.keys, threading.Event()

    def keep_committing() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            key = keys.intent(f"busy{number}")
            store.put(key, b"{}")
            store.put(keys.intent(f"busy{number + 1}"), b"{}")
            time.sleep(0.1)
            store.delete(key)

    thread = threading.Thread(target=keep_committing)
    thread.start()
    try:
        began = time.monotonic()
        Ran("articles.Author", repair=True)
        assert time.monotonic() - began < 60 * WRITE_DEADLINE  # otherwise it would wait for ever
    finally:
        stop.set()
        thread.join()


def test_the_text_names_tables_numbers_and_problems(filled: Site) -> None:
    article = Article.objects.filter(category="c1").first()
    rewrite(Article, article, category="c2")
    ran = Ran("articles")
    assert ran.status == 1
    lines = ran.out.splitlines()
    assert re.split("  +", lines[0]) == list(HEADS)
    assert lines[1].split() == ["articles.Author", "2", *["0"] * 7, "0.0", "%", "sound"]
    row = next(line for line in lines if line.startswith("articles.Article "))
    assert row.split()[-3:] == ["6.5", "%", "damaged"]
    assert "articles.Article: articles-by-category: 1 missing and 1 extra, of 30 entries (6.5 %)" in lines
    assert f"articles.Article: for example the documents {stem_of(article)}" in lines
    assert re.fullmatch(r"\d+ tables, something wrong with 1 \([\d.]+ s\)\.", lines[-1])
    ran = Ran("articles", repair=True)
    assert ran.status == 0
    assert (
        "articles.Article: 1 document was entered anew. Before, 3 entries were missing and 2 extra (drift 6.5 %)."
        in ran.out
    )


def test_a_check_that_is_interrupted_tells_of_the_tables_that_were_rebuilt_by_then(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled.redis() as client:
        client.flushall()
    run = Reindexer.run

    def interrupted(self: Reindexer, tell: Any, tick: Any) -> Any:
        def tell_of_one(result: Result) -> None:
            tell(result)
            raise KeyboardInterrupt

        return run(self, tell_of_one, tick)

    monkeypatch.setattr(Reindexer, "run", interrupted)
    monkeypatch.setattr(reindex, "WORKERS", 1)
    ran = Ran("articles", repair=True)
    monkeypatch.undo()
    assert (ran.status, "2 of 2 tables were looked at" in ran.message) == (130, True)
    lines = ran.out.splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == ["repaired", "trusted"]
    assert "articles.Author: the index was rebuilt. Before, it was not trusted (Redis lost the index)." in lines
    assert re.fullmatch(r"2 of 2 tables, 1 mended, something wrong with 1, interrupted \([\d.]+ s\)\.", lines[-1])


def test_a_check_that_is_interrupted_at_once_has_looked_at_nothing(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(IndexService, "audit", interrupted)
    ran = Ran("articles", json=True)
    assert (ran.status, ran.message.partition(".")[0]) == (130, "Interrupted: 0 of 2 tables were looked at")
    assert (ran.json["interrupted"], ran.json["sound"], ran.json["tables"]) == (True, False, [])


def test_progress_is_drawn_on_a_terminal_and_wiped(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COLUMNS": "80", "LINES": "24", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    assert Ran("articles", stderr=terminal).status == 0
    text = terminal.getvalue()
    assert re.match(r"\x1b\[\?25larticles\.Author +━", text)
    assert re.search(r"\d:\d\d so far: table 1 of 2", text)
    assert text.endswith("\x1b[2K")


def test_every_part_of_an_index_that_is_compared_is_told(filled: Site) -> None:
    told: list[tuple[str, int]] = []
    schema = connection.schema_of_model(Article)
    connection.resources.indexes.audit(schema, afterwards=lambda stage, number: told.append((stage, number)))
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["records", "index sets", "counts"]
    assert [stage.value for stage in Stage if stage.value in dict(told)] == ["records", "index sets", "counts"]


def test_lines_come_now_and_then_where_there_is_no_terminal(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EVERY, 1, 0.0)
    ran = Ran("articles")
    assert re.search(r"^\d:\d\d so far: table 2 of 2; articles\.Article: documents 30", ran.err, re.M)
    assert Ran("articles", json=True).err == ""
    assert Ran("articles", verbosity=0).err == ""


def test_a_narrow_terminal_sees_no_columns_of_zeros(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    article = Article.objects.filter(category="c1").first()
    rewrite(Article, article, category="c2")
    ran = Ran("articles", stdout=Terminal())
    assert [line.split()[:-3] for line in ran.out.splitlines()[:3]] == [
        ["table", "documents", "missing"],
        ["articles.Author", "2", "0", "0"],
        ["articles.Article", "30", "3", "2"],
    ]


def test_only_the_named_tables_are_checked(filled: Site) -> None:
    assert [table["model"] for table in Ran("articles.Author", json=True).json["tables"]] == ["articles.Author"]
    ran = Ran("articles.Writer")
    assert (ran.status, "Did you mean" in ran.message) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--sample", "0"], "not a number of documents above 0"),
        (["--watch", "-1"], "not a number of seconds above 0"),
        (["--watch", "soon"], "not a number"),
        (["--threshold", "101"], "not between 0 and 100 per cent"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(site: Site, arguments: list[str], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        call_command("sb_check", *arguments)


def test_help_teaches_by_description_and_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parser = Command().create_parser("manage.py", "sb_check")
    text = parser.format_help()
    for word in ("when to run it:", "examples:", "columns:", "exit status", "write_deadline", *COLUMNS):
        assert word in text, word
    assert max(map(len, text.splitlines())) <= 80
    assert text.index("--database") < text.index("--verbosity")
    examples = re.findall(r"^  manage\.py sb_check(.*?)(?:   *\S.*)?$", text, re.M)
    assert len(examples) == 5
    for example in examples:
        parser.parse_args(example.split())
