"""The operator's surface: a reader of run files that starts `picochat` commands, and writes nothing else."""
