"""A scaling law from trainings of several sizes, and what it says of a larger one. Torch-free, a pure function."""
