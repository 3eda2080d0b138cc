"""One pass over all inputs: batches are read, recomputed and added up, in this process, its workers or a cluster."""
