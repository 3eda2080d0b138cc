"""Finished values to text: HTML, JSON, terminal. Nothing is computed here and no file is opened for writing."""
