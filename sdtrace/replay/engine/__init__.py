"""The engine itself as verifier: recorded ids are scored by a running server, over HTTP, or by vLLM in this process."""
