"""Statistics without a word of speculation in them."""
