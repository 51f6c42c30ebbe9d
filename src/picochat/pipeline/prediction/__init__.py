"""A ladder of small trainings, and the loss of a larger one predicted from it before it is paid for. Torch-free."""
