"""Products, their categories and suppliers, orders and notes."""
