from tests.support.memory import memory_path  # noqa: F401
