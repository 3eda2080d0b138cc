"""Bytes of an input: files, folders, packed files, objects of a cloud, lines."""
