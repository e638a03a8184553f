"""The shop: customers, products, orders, items, inventory and payments, from raw files to tables for analysts."""
