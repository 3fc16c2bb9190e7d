"""An app whose migrations are refused by some documents, and were squashed later."""
