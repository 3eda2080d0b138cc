"""Which requests belong to a sample: the same ones in every process, on every machine, in every run."""

import hashlib


def ticket(request_id: str) -> float:
    """A number in [0, 1) that depends on the request id alone; a sample of share s keeps tickets below s.

    Chosen by id, a sample holds whole requests and does not look at their outcome, so that statistics over it stay
    unbiased (a sample of slow or of finished requests would not).
    """
    digest = hashlib.blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64
