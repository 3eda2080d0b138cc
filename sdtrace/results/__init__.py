"""What a report is made of: checks, causes with their words, sections. Plain values that travel upward."""
