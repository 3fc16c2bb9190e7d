"""The modules of ``parts`` need the shop's settings: ``test_parts`` runs them, each in a process of its own."""

collect_ignore = ["parts", "project"]
