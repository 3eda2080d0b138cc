"""Made logs of servers that work: traffic, restarts and adaptive drafts as they are, for what must not be accused."""
