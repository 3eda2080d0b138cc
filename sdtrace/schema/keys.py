"""Keys of requests: one number for run and request."""
