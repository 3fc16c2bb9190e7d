"""Without the extras everything works, and nothing of theirs is imported or paid for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import json, sys

class Missing:
    '''As if neither package were installed.'''

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("prometheus_client", "opentelemetry"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import django
import django_smarterbase
from django.conf import settings
OPTIONS = {"cache": None, "profile_history": 0}
MEMORY = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
settings.configure(
    USE_TZ=True,
    INSTALLED_APPS=["django_smarterbase", "testproject.articles"],
    DATABASES={"default": {"ENGINE": "django_smarterbase.backend", "NAME": "m", "OPTIONS": OPTIONS}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
    STORAGES={"default": MEMORY, "smarterbase": MEMORY},
)
django.setup()
from django.core.exceptions import ImproperlyConfigured
from django.dispatch import Signal
from django_smarterbase import signals
from django_smarterbase.backend import statements
from django_smarterbase.profiling import QueryProfile, recorder
from testproject.articles.models import Article, Author

made = []
statements.QueryProfile = lambda **facts: made.append(facts) or QueryProfile(**facts)
sent = []
Signal.send_robust = lambda *args, **kwargs: sent.append(args)

author = Author.objects.create(name="Ada")
Article.objects.create(author=author, category="c", title="t")
rows = list(Article.objects.filter(category="c").values_list("title", flat=True))
found = {
    "rows": rows,
    "contrib": [name for name in sys.modules if name.startswith("django_smarterbase.contrib")],
    "listening": recorder.listening(),
    "profiles": len(made),
    "signals": len(sent),
    "receivers": sum(bool(each.receivers) for each in vars(signals).values() if isinstance(each, Signal)),
}
from django_smarterbase.contrib.otel import instrument
try:
    instrument()
except ImproperlyConfigured as error:
    found["refusal"] = str(error)
print(json.dumps(found))
"""


def test_queries_run_and_cost_nothing_more_when_neither_package_is_installed() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert "pip install 'django-smarterbase[otel]'" in found.pop("refusal")
    assert found == {
        "rows": ["t"],
        "contrib": [],
        "listening": False,
        "profiles": 0,
        "signals": 0,
        "receivers": 0,
    }
