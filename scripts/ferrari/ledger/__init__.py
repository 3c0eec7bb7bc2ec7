"""The ledger: tables with one row for each thing considered, and what their cells mean."""
