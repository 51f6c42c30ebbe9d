"""Short proofs on the machine at hand, before a long job. They read at most a run's files, and leave none behind."""
