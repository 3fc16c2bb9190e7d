"""Profiles of statements: what each one did, and figures over many."""

from django_smarterbase.profiling.profile import QueryProfile
from django_smarterbase.profiling.profiler import profile_queries
from django_smarterbase.profiling.selection import Selection
from django_smarterbase.profiling.summary import GroupSummary, Summary

__all__ = ["GroupSummary", "QueryProfile", "Selection", "Summary", "profile_queries"]
