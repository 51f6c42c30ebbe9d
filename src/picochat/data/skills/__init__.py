"""The skills curriculum: rows made from a seed, with sides that share nothing."""
