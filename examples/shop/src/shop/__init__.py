"""The back room of a small web shop."""
