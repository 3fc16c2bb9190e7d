"""Checks of the options and of the settings that concern all databases."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from django_smarterbase.checks.databases import raw_name, raw_options, setting
from django_smarterbase.conf import Options, unknown_option
from django_smarterbase.profiling.prices import prices
from django_smarterbase.profiling.slowness import slow_ms
from django_smarterbase.routers import smarterbase_alias, smarterbase_aliases
from django_smarterbase.storage.keys import Keyspace


def check_option_names(**kwargs: Any) -> list[CheckMessage]:
    """E001: an option that does not exist."""
    known = {field.name for field in fields(Options)}
    return [
        Error(
            unknown_option(name),
            hint=f"Correct or remove it in {setting(alias)}['OPTIONS'].",
            obj=setting(alias),
            id="smarterbase.E001",
        )
        for alias in smarterbase_aliases()
        for name in raw_options(alias)
        if name not in known
    ]


def check_option_values(**kwargs: Any) -> list[CheckMessage]:
    """E002: an option out of its range."""
    known = {field.name for field in fields(Options)}
    messages: list[CheckMessage] = []
    for alias in smarterbase_aliases():
        try:
            Options.parse({name: value for name, value in raw_options(alias).items() if name in known})
        except ImproperlyConfigured as error:
            hint = f"Correct it in {setting(alias)}['OPTIONS']."
            messages.append(Error(str(error), hint=hint, obj=setting(alias), id="smarterbase.E002"))
    return messages


def check_chosen_database(**kwargs: Any) -> list[CheckMessage]:
    """E006: SMARTERBASE_DATABASE names another database."""
    try:
        smarterbase_alias()
    except ImproperlyConfigured as error:
        hint = "Name one of them, or remove the setting to use the first."
        return [Error(str(error), hint=hint, id="smarterbase.E006")]
    return []


def check_prices(**kwargs: Any) -> list[CheckMessage]:
    """E007: prices that cannot be used."""
    try:
        prices()
    except ImproperlyConfigured as error:
        hint = "Correct SMARTERBASE_PRICES, or remove it to use the list prices of S3."
        return [Error(str(error), hint=hint, id="smarterbase.E007")]
    return []


def check_slow_ms(**kwargs: Any) -> list[CheckMessage]:
    """E009: a threshold for slow queries that is none."""
    try:
        slow_ms()
    except ImproperlyConfigured as error:
        hint = "Correct SMARTERBASE_SLOW_MS, or remove it for 100 ms."
        return [Error(str(error), hint=hint, id="smarterbase.E009")]
    return []


def check_name(**kwargs: Any) -> list[CheckMessage]:
    """E008: a NAME that makes no object keys."""
    messages: list[CheckMessage] = []
    for alias in smarterbase_aliases():
        try:
            Keyspace(raw_name(alias))
        except ImproperlyConfigured as error:
            hint = f"Correct {setting(alias)}['NAME']."
            messages.append(Error(str(error), hint=hint, obj=setting(alias), id="smarterbase.E008"))
    return messages
