"""The table of token vectors as an artifact stores it: one module for each dtype, with a codec."""
