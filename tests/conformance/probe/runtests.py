"""Stands in for Django's ``runtests.py``: the same command line, one small app."""

import argparse
import os
import sys

parser = argparse.ArgumentParser()
parser.add_argument("labels", nargs="*")
parser.add_argument("--settings")
parser.add_argument("--parallel", type=int)
parser.add_argument("--noinput", action="store_true")


def main() -> int:
    """Run the probe as Django's runner would."""
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = options.settings

    import django
    from django.conf import settings
    from django.test.utils import get_runner

    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "probe"]
    django.setup()
    return 1 if get_runner(settings)(interactive=False).run_tests(options.labels or ["probe"]) else 0


if __name__ == "__main__":
    sys.exit(main())
