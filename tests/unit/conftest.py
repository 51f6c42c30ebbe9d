from hypothesis import settings
from tests.support.memory import memory_path  # noqa: F401

# A deadline would measure the machine, and a database would leave files in the repository.
settings.register_profile("unit", deadline=None, database=None)
settings.load_profile("unit")
