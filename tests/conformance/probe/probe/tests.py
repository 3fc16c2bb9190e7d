"""Tests of every outcome, some meant to fail: ``test_runner.py`` runs them and judges what was recorded."""

# ruff: noqa: PT009  (these are unittest's tests, and their messages are looked at)
import os
import time
import unittest
from unittest import mock

from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import TestCase

from probe.models import Thing


class Unprintable:
    def __repr__(self):
        raise RuntimeError("a repr may run a query")


class A1Outcomes(unittest.TestCase):
    def test_passes(self):
        pass

    def test_fails(self):
        self.assertEqual([1, 2], [1, 3])

    def test_raises(self):
        raise LookupError("nothing there")

    def test_skips(self):
        self.skipTest("no reason")

    @unittest.expectedFailure
    def test_fails_as_expected(self):
        self.fail()

    @unittest.expectedFailure
    def test_passes_unexpectedly(self):
        pass

    def test_subtests_pass(self):
        for number in range(3):
            with self.subTest(number=number, value=Unprintable()):
                pass

    def test_subtest_fails(self):
        for number in range(3):
            with self.subTest("part", number=number, value=Unprintable()):
                self.assertNotEqual(number, 1)

    @mock.patch.dict(os.environ, clear=True)
    def test_subtests_pass_without_an_environment(self):
        with self.subTest(number=1):
            pass

    def test_subtest_skips(self):
        for number in range(3):
            with self.subTest(number=number):
                if number == 1:
                    self.skipTest("not this one")


class A2BrokenClass(TestCase):
    @classmethod
    def setUpTestData(cls):
        Thing.objects.create(name="rolled back")
        raise LookupError("no data")

    def test_is_never_reached(self):
        pass


class A3BrokenBelow(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        Thing.objects.create(name="committed, and to be flushed all the same")
        raise LookupError("no class")

    def test_is_never_reached(self):
        pass


class B1Committed(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.thing = Thing.objects.create(name="committed")

    def test_depth_of_transactions(self):
        self.assertEqual(len(connection.atomic_blocks), int(os.environ["PROBE_DEPTH"]))

    def test_adds_one(self):
        Thing.objects.create(name="rolled back")
        self.assertEqual(Thing.objects.count(), 2)

    def test_adds_another(self):
        Thing.objects.create(name="rolled back")
        self.assertEqual(Thing.objects.count(), 2)

    def test_changes_its_own_copy(self):
        self.thing.name = "changed"
        self.assertEqual(Thing.objects.get().name, "committed")


class B2CleanSlate(TestCase):
    def test_sees_nothing_of_the_classes_before(self):
        self.assertEqual(list(Thing.objects.values_list("name", flat=True)), [])

    def test_has_its_content_types(self):
        self.assertTrue(ContentType.objects.filter(app_label="probe", model="thing").exists())


class C1Endless(unittest.TestCase):
    def test_takes_forever(self):
        time.sleep(float(os.environ["PROBE_SLEEP"]))
