"""Who is told of a profile, and who is said to have made the query."""

import logging
import sys
import types

import pytest
from django.core.management.base import BaseCommand, no_translations

from django_smarterbase.profiling import profile_queries, recorder
from django_smarterbase.profiling.fields import flat_fields


@pytest.fixture(autouse=True)
def quiet_logger():
    """The logger at WARNING, whatever the settings of the run."""
    before = recorder.logger.level
    recorder.logger.setLevel(logging.WARNING)
    yield
    recorder.logger.setLevel(before)


@pytest.fixture
def sink():
    told = []
    recorder.add_sink(told.append)
    yield told
    recorder.remove_sink(told.append)


def call_from(module: str, source: str, **names):
    """Run ``source``, which defines ``run``, as if it were code of ``module``."""
    code = types.ModuleType(module)
    code.__dict__.update(names)
    exec(compile(source, f"<{module}>", "exec"), code.__dict__)
    return code.run


def through_django(function):
    return call_from("django.db.models.query", "def run(): return function()", function=function)


def test_listening_is_false_when_nobody_wants_profiles():
    assert recorder.listening() is False


def test_listening_is_true_inside_a_block_and_false_after_it():
    with profile_queries():
        assert recorder.listening() is True
    assert recorder.listening() is False


def test_listening_is_true_while_a_sink_is_registered():
    def ignore(profile):
        pass

    recorder.add_sink(ignore)
    try:
        assert recorder.listening() is True
    finally:
        recorder.remove_sink(ignore)
    assert recorder.listening() is False


def test_listening_is_true_when_the_logger_writes_debug_lines():
    recorder.logger.setLevel(logging.DEBUG)

    assert recorder.listening() is True


def test_record_tells_a_sink_once_though_it_was_added_twice(make_profile, sink):
    recorder.add_sink(sink.append)
    profile = make_profile()

    recorder.record(profile)

    assert sink == [profile]


def test_record_survives_a_sink_that_fails_and_tells_the_next_one(make_profile, caplog, told):
    signalled, told = told, []

    def faulty(profile):
        raise ValueError("no room")

    recorder.add_sink(faulty)
    recorder.add_sink(told.append)
    try:
        recorder.record(make_profile())
    finally:
        recorder.remove_sink(faulty)
        recorder.remove_sink(told.append)

    assert len(told) == 1
    assert [(name, arguments["number"]) for name, arguments in signalled] == [("profiles_dropped", 1)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "faulty" in caplog.text


def test_record_made_records_what_is_made(make_profile, sink):
    profile = make_profile()

    recorder.record_made(lambda: profile)

    assert sink == [profile]


def test_record_made_survives_a_profile_that_cannot_be_made(sink, caplog):
    def fail():
        raise ValueError("no name")

    recorder.record_made(fail)

    assert sink == []
    assert [(record.levelname, "could not be made" in record.message) for record in caplog.records] == [("ERROR", True)]


def test_record_logs_one_debug_line_with_the_profile_when_enabled(make_profile, caplog):
    profile = make_profile(fallback=True, fallback_reason="Redis unreachable", error="CorruptDocument", result_count=2)

    with caplog.at_level(logging.DEBUG, "django_smarterbase.query"):
        recorder.record(profile)

    (line,) = caplog.records
    assert line.levelname == "DEBUG"
    assert line.getMessage() == (
        "(1.2 ms) ListAuthorArticles: select articles.Article on 'default', O(1) by redis:articles-by-author "
        "(fallback: Redis unreachable), storage ops: 0, Redis round trips: 0, results: 2, failed with CorruptDocument"
    )
    assert fields_of(line) == {"event": "query", **flat_fields(profile)}


def test_record_logs_a_slow_statement_at_info(make_profile, caplog):
    profile = make_profile(duration=100.0)

    with caplog.at_level(logging.INFO, "django_smarterbase.query"):
        recorder.record(profile)

    (line,) = caplog.records
    assert line.levelname == "INFO"
    assert fields_of(line) == {"event": "slow_query", **flat_fields(profile)}


def test_record_logs_no_fast_statement_at_info(make_profile, caplog):
    with caplog.at_level(logging.INFO, "django_smarterbase.query"):
        recorder.record(make_profile(duration=99.9))

    assert caplog.records == []


def test_record_logs_nothing_above_info(make_profile, caplog):
    recorder.record(make_profile(duration=1000.0))

    assert caplog.records == []


def test_wanted_is_true_for_slow_statements_only_when_the_logger_is_at_info():
    recorder.logger.setLevel(logging.INFO)
    assert [recorder.wanted(duration) for duration in (99.9, 100.0)] == [False, True]
    assert [recorder.wanted(duration, 20) for duration in (19.9, 20.0)] == [False, True]


def test_wanted_is_true_for_every_statement_when_somebody_listens_to_all(settings):
    assert recorder.wanted(5000.0) is False
    with profile_queries():
        assert recorder.wanted(0.0) is True
    recorder.logger.setLevel(logging.DEBUG)
    assert recorder.wanted(0.0) is True


def fields_of(line):
    """What the record has beyond what every record has."""
    usual = vars(logging.makeLogRecord({}))
    return {name: value for name, value in vars(line).items() if name not in {*usual, "message"}}


def list_author_articles():
    return through_django(recorder.caller_method)()


class Store:
    def top_of_category(self):
        return next(through_django(recorder.caller_method)() for _ in "x")


def test_caller_is_the_function_outside_django():
    assert list_author_articles() == "list_author_articles"


def test_caller_is_the_method_with_its_class_though_it_stands_in_a_generator():
    assert Store().top_of_category() == "Store.top_of_category"


def test_caller_is_the_enclosing_function_of_a_lambda():
    def make():
        return (lambda: through_django(recorder.caller_method)())()

    assert make().endswith("<locals>.make")


def test_caller_is_the_module_for_code_at_its_top():
    names = {"__name__": "articles.seed", "ask": through_django(recorder.caller_method)}
    exec(compile("found = ask()", "seed.py", "exec"), names)

    assert names["found"] == "articles.seed"


def test_caller_is_not_sought_beyond_the_request_handler():
    view = through_django(recorder.caller_method)
    handler = call_from("django.core.handlers.base", "def run(): return view()", view=view)

    def middleware():
        return handler()

    assert middleware() == "unknown"


def test_caller_is_a_function_of_djangos_own_application_when_nobody_else_asked():
    query = through_django(recorder.caller_method)
    admin = call_from("django.contrib.admin.views.main", "def run(): return query()", query=query)
    handler = call_from("django.core.handlers.base", "def run(): return view()", view=admin)

    assert handler() == "run"


def test_caller_outside_wins_over_djangos_own_application():
    query = through_django(recorder.caller_method)
    admin = call_from("django.contrib.admin.views.main", "def run(): return query()", query=query)

    def changelist():
        return admin()

    assert changelist().endswith("<locals>.changelist")


COMMAND = """
class Command(BaseCommand):
    @no_translations
    def handle(self, **options):
        found.append(query())

def run():
    Command().execute(force_color=False, no_color=True, skip_checks=True)
"""


def command_of(module, found, query):
    """A management command of ``module`` that appends to ``found`` what ``query`` answers."""
    names = {"BaseCommand": BaseCommand, "no_translations": no_translations}
    return call_from(module, COMMAND, found=found, query=query, **names)


def test_caller_is_the_command_that_asked_and_not_who_called_it():
    found = []
    query = through_django(recorder.caller_method)
    command = command_of("django.core.management.commands.loaddata", found, query)

    def main():
        command()

    main()
    assert found == ["loaddata"]


def test_caller_is_djangos_own_application_when_a_command_runs_it():
    found = []
    application = call_from(
        "django.contrib.auth.management", "def run(): return query()", query=through_django(recorder.caller_method)
    )
    command_of("django.core.management.commands.migrate", found, application)()

    assert found == ["run"]


def test_caller_is_a_project_whose_name_begins_like_django():
    shop = call_from("djangoshop.store", "def run(): return ask()", ask=through_django(recorder.caller_method))

    assert shop() == "run"


def test_profile_is_neither_made_nor_the_stack_walked_when_nobody_listens(monkeypatch):
    walks = []
    real = sys._getframe
    monkeypatch.setattr(recorder.sys, "_getframe", lambda depth=0: (walks.append(depth), real(depth + 1))[1])

    if recorder.listening():
        recorder.caller_method()
    assert walks == []

    with profile_queries():
        if recorder.listening():
            recorder.caller_method()
    assert walks == [1]


def test_statements_of_an_unrecorded_block_are_told_to_blocks_and_to_no_sink(make_profile, sink):
    with profile_queries() as outside, recorder.unrecorded():
        recorder.record(make_profile())
    assert (len(outside.profiles), sink) == (1, [])
    recorder.record(make_profile())
    assert len(sink) == 1


def test_nobody_listens_in_an_unrecorded_block_but_blocks_and_the_logger(sink):
    with recorder.unrecorded():
        assert recorder.listening() is False
        with profile_queries():
            assert recorder.listening() is True
        recorder.logger.setLevel(logging.DEBUG)
        assert recorder.listening() is True
    assert recorder.listening() is True
