"""Metrics: what profiles and signals come to, and who may read them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from django.contrib.auth.models import AnonymousUser, User
from django.test import RequestFactory
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from django_smarterbase import signals
from django_smarterbase.contrib.prometheus import collecting, metrics, views
from django_smarterbase.contrib.prometheus.exposition import exposition
from django_smarterbase.indexes.breaker import BreakerState, breaker_of
from django_smarterbase.ops import RedisOps, StorageOps
from django_smarterbase.profiling import recorder
from django_smarterbase.profiling.profile import FULL_SCAN
from django_smarterbase.signals import send
from tests.scrape import Scrape

ROOT = Path(__file__).resolve().parents[3]
METRICS = {name: value for name, value in vars(metrics).items() if isinstance(value, (Counter, Gauge, Histogram))}
TABLE = {"database": "default", "table": "books"}
_ROW = re.compile(r"^\| `(smarterbase_\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)


class Sender:
    """Stands for a class of the package."""


@pytest.fixture
def collected() -> Iterator[None]:
    """Metrics are collected during the test."""
    collecting.connect()
    yield
    collecting.disconnect()


@pytest.fixture
def before(collected: None) -> Scrape:
    """The metrics before the test."""
    return Scrape.now()


def exposed_name(metric: Counter | Gauge | Histogram) -> str:
    """The name that queries use."""
    name: str = metric._name
    return f"{name}_total" if isinstance(metric, Counter) else name


def series(name: str, value: float, **labels: str) -> dict[Any, float]:
    """One series of a scrape."""
    return {(name, frozenset(labels.items())): value}


def test_indexed_query_is_counted_with_its_requests(make_profile: Any, before: Scrape) -> None:
    recorder.record(
        make_profile(
            duration=7.0,
            storage_ops=StorageOps(reads=3, system=1, bytes_read=900),
            redis_ops=RedisOps(commands=1, round_trips=1),
        )
    )
    changes = Scrape.now().since(before)
    labels = {
        "database": "default",
        "model": "articles.Article",
        "operation": "select",
        "complexity": "O(1)",
        "fallback": "false",
    }
    name = "smarterbase_query_duration_seconds"
    assert changes.value(f"{name}_count", **labels) == 1
    assert changes.value(f"{name}_sum", **labels) == pytest.approx(0.007)
    assert changes.value(f"{name}_bucket", **labels, le="0.005") in (0, None)
    assert changes.value(f"{name}_bucket", **labels, le="0.01") == 1
    assert {series: value for series, value in changes.items() if not series[0].startswith(name)} == {
        **series("smarterbase_storage_operations_total", 3, database="default", kind="read"),
        **series("smarterbase_storage_operations_total", 1, database="default", kind="system"),
        **series("smarterbase_storage_read_bytes_total", 900, database="default"),
        **series("smarterbase_redis_commands_total", 1, database="default"),
        **series("smarterbase_redis_round_trips_total", 1, database="default"),
    }


def test_fallback_is_counted_by_reason_and_as_full_scan(make_profile: Any, before: Scrape) -> None:
    recorder.record(
        make_profile(
            complexity="O(n)",
            index_used=FULL_SCAN,
            fallback=True,
            fallback_reason="Redis unreachable",
            skipped_documents=2,
            error="CorruptDocument",
        )
    )
    changes = Scrape.now().since(before)
    model = {"database": "default", "model": "articles.Article"}
    assert changes.value("smarterbase_fallbacks_total", **model, reason="Redis unreachable") == 1
    assert changes.value("smarterbase_full_scans_total", **model) == 1
    assert changes.value("smarterbase_skipped_documents_total", **model) == 2
    assert changes.total("smarterbase_query_duration_seconds_count", complexity="O(n)", fallback="true") == 1
    assert (
        changes.value("smarterbase_query_errors_total", database="default", operation="select", error="CorruptDocument")
        == 1
    )


def test_writes_of_a_commit_are_counted_by_kind(make_profile: Any, before: Scrape) -> None:
    ops = StorageOps(writes=2, deletes=3, lists=4, bytes_written=50)
    recorder.record(make_profile(model=None, operation="commit", storage_ops=ops))
    changes = Scrape.now().since(before)
    kinds = {
        kind: changes.total("smarterbase_storage_operations_total", kind=kind) for kind in ("write", "delete", "list")
    }
    assert kinds == {"write": 2, "delete": 3, "list": 4}
    assert changes.total("smarterbase_storage_written_bytes_total") == 50
    assert changes.total("smarterbase_query_duration_seconds_count", model="", operation="commit") == 1


def test_packs_and_document_cache_are_counted(make_profile: Any, before: Scrape) -> None:
    ops = StorageOps(packed=40, pack_failures=1, cache_hits=5, cache_misses=4, cache_failures=3, bytes_saved=900)
    recorder.record(make_profile(storage_ops=ops))
    changes = {series: value for series, value in Scrape.now().since(before).items() if "query" not in series[0]}
    assert changes == {
        **series("smarterbase_packed_documents_total", 40, database="default"),
        **series("smarterbase_pack_failures_total", 1, database="default"),
        **series("smarterbase_document_cache_total", 5, database="default", outcome="hit"),
        **series("smarterbase_document_cache_total", 4, database="default", outcome="miss"),
        **series("smarterbase_document_cache_total", 3, database="default", outcome="failure"),
        **series("smarterbase_document_cache_saved_bytes_total", 900, database="default"),
    }


def test_statements_without_anything_to_count_make_no_series(make_profile: Any, before: Scrape) -> None:
    recorder.record(make_profile(database="quiet"))
    changes = Scrape.now().since(before)
    assert {name for name, labels in changes if ("database", "quiet") in labels} == {
        f"smarterbase_query_duration_seconds_{part}" for part in ("bucket", "count", "sum")
    }


@pytest.mark.parametrize(
    ("signal", "arguments", "expected"),
    [
        (
            signals.statement_retried,
            {"database": "default", "model": "a.B", "operation": "update", "attempt": 2},
            series("smarterbase_statement_retries_total", 1, database="default", model="a.B", operation="update"),
        ),
        (
            signals.conflict_raised,
            {"database": "default", "model": None, "operation": "commit", "error": ValueError()},
            series("smarterbase_conflicts_total", 1, database="default", model="", operation="commit"),
        ),
        (
            signals.claim_refused,
            {**TABLE, "rule": "unique_name"},
            series("smarterbase_claims_refused_total", 1, **TABLE),
        ),
        (
            signals.transaction_recovered,
            {"database": "default", "transaction": "1", "documents": 3, "completed": True},
            series("smarterbase_transactions_recovered_total", 1, database="default", outcome="completed"),
        ),
        (
            signals.transaction_recovered,
            {"database": "default", "transaction": "1", "documents": 3, "completed": False},
            series("smarterbase_transactions_recovered_total", 1, database="default", outcome="taken back"),
        ),
        (
            signals.storage_request_retried,
            {"storage": "s3", "operation": "put_object", "key": "k", "attempt": 1},
            series("smarterbase_storage_retries_total", 1, storage="s3", operation="put_object"),
        ),
        (
            signals.storage_request_failed,
            {"storage": "s3", "key": "k", "error": ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")},
            series("smarterbase_storage_errors_total", 1, storage="s3", error="SlowDown"),
        ),
        (
            signals.storage_request_failed,
            {"storage": "files", "key": "k", "error": OSError(28, "No space left on device")},
            series("smarterbase_storage_errors_total", 1, storage="files", error="ENOSPC"),
        ),
        (
            signals.storage_request_failed,
            {"storage": "files", "key": "k", "error": OSError("no number")},
            series("smarterbase_storage_errors_total", 1, storage="files", error="OSError"),
        ),
        (
            signals.storage_request_failed,
            {"storage": "other", "key": "k", "error": RuntimeError()},
            series("smarterbase_storage_errors_total", 1, storage="other", error="RuntimeError"),
        ),
        (
            signals.redis_request_failed,
            {"cache": "indexes", "error": TimeoutError()},
            series("smarterbase_redis_errors_total", 1, cache="indexes", error="TimeoutError"),
        ),
        (
            signals.profiles_dropped,
            {"number": 7, "error": None},
            series("smarterbase_profiles_dropped_total", 7),
        ),
    ],
)
def test_signal_is_counted(before: Scrape, signal: Any, arguments: dict[str, Any], expected: dict[Any, float]) -> None:
    send(signal, Sender, **arguments)
    assert Scrape.now().since(before) == expected


def gauges(name: str) -> list[float | None]:
    return [Scrape.now().value(name, **TABLE)]


def test_trust_is_1_while_the_index_answers_and_0_while_it_does_not(collected: None) -> None:
    name = "smarterbase_index_trusted"
    seen = []
    for signal, arguments in (
        (signals.index_trusted, {}),
        (signals.index_untrusted, {"reason": "Redis unreachable", "detail": ""}),
        (signals.index_rebuilt, {"documents": 3, "seconds": 16.0, "automatic": False}),
    ):
        send(signal, Sender, **TABLE, **arguments)
        seen += gauges(name)
    assert seen == [1, 0, 1]


def test_drift_is_what_the_last_check_found_or_all_when_a_query_found_damage(collected: None) -> None:
    name = "smarterbase_index_drift_ratio"
    checked = {"documents": 10}
    seen = []
    for signal, arguments in (
        (signals.index_checked, {**checked, "drift": 12.5, "reason": None}),
        (signals.index_checked, {**checked, "drift": 100.0, "reason": "Redis lost the index"}),
        (signals.index_untrusted, {"reason": "Redis restarted", "detail": ""}),
        (signals.index_untrusted, {"reason": "index damaged", "detail": ""}),
        (signals.index_rebuilt, {"documents": 3, "seconds": 16.0, "automatic": False}),
        (signals.index_checked, {**checked, "drift": 100.0, "reason": "index damaged"}),
        (signals.index_checked, {**checked, "drift": 0.0, "reason": None}),
    ):
        send(signal, Sender, **TABLE, **arguments)
        seen += gauges(name)
    assert seen == [0.125, 0.125, 0.125, 1, 0, 1, 0]


@pytest.mark.parametrize(("automatic", "trigger"), [(True, "automatic"), (False, "command")])
def test_rebuild_is_counted_with_its_duration_and_documents(before: Scrape, automatic: bool, trigger: str) -> None:
    send(signals.index_rebuilt, Sender, **TABLE, documents=40, seconds=16.5, automatic=automatic)
    changes = Scrape.now().since(before)
    name = "smarterbase_rebuild_duration_seconds"
    assert changes.value(f"{name}_sum", **TABLE, trigger=trigger) == 16.5
    assert changes.value(f"{name}_bucket", **TABLE, trigger=trigger, le="20.0") == 1
    assert changes.value("smarterbase_rebuilt_documents_total", **TABLE) == 40


def test_breaker_is_0_from_the_beginning_and_rises_as_it_opens() -> None:
    assert breaker_of("smarterbase").state is BreakerState.CLOSED
    collecting.connect()
    try:
        seen = [Scrape.now().value("smarterbase_breaker_state", cache="smarterbase")]
        for state in ("open", "half-open", "closed"):
            send(signals.breaker_changed, Sender, cache="smarterbase", state=state)
            seen.append(Scrape.now().value("smarterbase_breaker_state", cache="smarterbase"))
    finally:
        collecting.disconnect()
    assert seen == [0, 2, 1, 0]


def test_every_signal_is_counted() -> None:
    known = {value for value in vars(signals).values() if isinstance(value, signals.Signal)}
    assert set(collecting._RECEIVERS) == known


def test_connecting_twice_counts_once(make_profile: Any, before: Scrape) -> None:
    collecting.connect()
    recorder.record(make_profile())
    send(signals.profiles_dropped, Sender, number=1, error=None)
    changes = Scrape.now().since(before)
    assert changes.total("smarterbase_query_duration_seconds_count") == 1
    assert changes.total("smarterbase_profiles_dropped_total") == 1


def test_nothing_is_counted_after_disconnecting(make_profile: Any) -> None:
    collecting.connect()
    collecting.disconnect()
    before = Scrape.now()
    recorder.record(make_profile())
    send(signals.profiles_dropped, Sender, number=1, error=None)
    assert Scrape.now().since(before) == {}
    assert not recorder.listening()


def test_exposition_is_openmetrics_for_who_asks_for_it(make_profile: Any, collected: None) -> None:
    recorder.record(make_profile())
    body, content_type = exposition("application/openmetrics-text; version=1.0.0, text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text")
    assert "smarterbase_query_duration_seconds" in {family.name for family in openmetrics_families(body.decode())}


def test_metrics_page_lists_just_the_metrics_with_their_types_and_labels() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    documented = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in _ROW.findall(page)}
    assert documented == {exposed_name(each): (each._type, each._labelnames) for each in METRICS.values()}


def test_pages_name_no_metric_that_does_not_exist() -> None:
    suffixes = {Counter: ("",), Gauge: ("",), Histogram: ("", "_bucket", "_count", "_sum")}
    known = {exposed_name(each) + suffix for each in METRICS.values() for suffix in suffixes[type(each)]}
    pages = "".join(page.read_text() for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    named = set(re.findall(r"\bsmarterbase_[a-z_]+\b(?!:|\.)", pages))
    assert named - known == set()


def alerts() -> list[dict[str, Any]]:
    page = (ROOT / "docs" / "howto" / "monitoring.md").read_text()
    (block,) = (block for block in re.findall(r"```yaml\n(.+?)```", page, re.DOTALL) if block.startswith("groups:"))
    (group,) = yaml.safe_load(block)["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_alert_uses_labels_that_its_metrics_have(rule: dict[str, Any]) -> None:
    labels_of = {exposed_name(each): set(each._labelnames) for each in METRICS.values()}
    named = re.findall(r"smarterbase_[a-z_]+", rule["expr"])
    has = set.intersection(*(labels_of[re.sub(r"_(bucket|count)$", "", name)] for name in named)) | {"job", "le"}
    wanted = {label for by in re.findall(r"by \((.+?)\)", rule["expr"]) for label in re.split(r",\s*", by)}
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert (wanted - has, shown - wanted) == (set(), set())


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_metric_keeps_the_conventions(metric: Counter | Gauge | Histogram) -> None:
    name = exposed_name(metric)
    assert re.fullmatch(r"smarterbase_[a-z_]+", name)
    assert name.endswith("_total") is isinstance(metric, Counter)
    assert not isinstance(metric, Histogram) or name.endswith("_seconds")
    assert not isinstance(metric, Gauge) or metric._multiprocess_mode != "all", "a series for each process id"
    assert metric._documentation.endswith(".")
    assert "method" not in metric._labelnames


def request(user: object = None, **headers: str) -> Any:
    made = RequestFactory().get("/metrics", headers=headers)
    if user is not None:
        made.user = user
    return made


STAFF = User(username="s", is_staff=True)
REFUSED = [
    (None, {}),
    (AnonymousUser(), {}),
    (User(username="u"), {}),
    (User(username="gone", is_staff=True, is_active=False), {}),
    (None, {"Authorization": "Bearer wrong"}),
    (None, {"Authorization": "Bearer "}),
    (None, {"Authorization": "Basic secret"}),
    (None, {"Authorization": "secret"}),
]


@pytest.mark.parametrize(("user", "headers"), REFUSED)
@pytest.mark.parametrize("token", ["secret", "", None])
def test_view_refuses_who_is_neither_staff_nor_has_the_token(
    settings: Any, user: object, headers: dict[str, str], token: str | None
) -> None:
    settings.SMARTERBASE_METRICS_TOKEN = token
    answer = views.metrics(request(user, **headers))
    assert answer.status_code == 403
    assert b"SMARTERBASE_METRICS_TOKEN" in answer.content
    assert b"smarterbase_" not in answer.content


@pytest.mark.parametrize(("user", "headers"), [(STAFF, {}), (None, {"Authorization": "bearer secret"})])
def test_view_shows_metrics_to_staff_and_to_the_token(
    settings: Any, make_profile: Any, collected: None, user: object, headers: dict[str, str]
) -> None:
    settings.SMARTERBASE_METRICS_TOKEN = "secret"
    recorder.record(make_profile())
    answer = views.metrics(request(user, **headers))
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    assert "no-store" in answer.headers["Cache-Control"]
    assert Scrape.of(answer.content).total("smarterbase_query_duration_seconds_count") > 0


def test_view_answers_no_post(settings: Any) -> None:
    assert views.metrics(RequestFactory().post("/metrics")).status_code == 405


def test_view_needs_no_login_of_the_middleware_that_demands_one() -> None:
    assert views.metrics.login_required is False  # type: ignore[attr-defined]


WITHOUT = """
import sys
sys.modules["prometheus_client"] = None
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django_smarterbase", "django_smarterbase.contrib.prometheus"])
django.setup()
"""


def test_application_says_what_to_install_when_the_client_is_missing() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("django.core.exceptions.ImproperlyConfigured: ")
    assert "pip install 'django-smarterbase[prometheus]'" in last
