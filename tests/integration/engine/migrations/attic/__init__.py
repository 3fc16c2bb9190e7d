"""An app whose migrations bring SQL about models that its code has no more."""
