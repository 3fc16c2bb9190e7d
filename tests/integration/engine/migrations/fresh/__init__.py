"""An app whose models are used before it is migrated."""
