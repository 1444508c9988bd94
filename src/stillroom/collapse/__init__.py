"""Model collapse: its laws, tests that see it, a laboratory that shows it and its cures."""
