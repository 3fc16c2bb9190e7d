"""What users do with Django and its neighbours. ``test_parts`` runs each module in a process of its own."""
