"""Chrome and torch-profiler traces: spans of draft, verification and sampling by name, as windows of time."""
