"""The ledger: tables with one row for each item, and the meaning of their columns."""
