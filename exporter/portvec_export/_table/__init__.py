"""The table of token vectors as it is stored: one codec a dtype."""
