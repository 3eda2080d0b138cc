"""The path of tokens that a trace holds, and what another draft length would have made of it."""
