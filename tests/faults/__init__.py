"""The fault matrix: each test causes one fault for real; its docstring is its row in the docs."""
