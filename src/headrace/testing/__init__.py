"""For the tests of packages that build on Headrace.

    class TestMyModel(ChatModelConformance):
        def make_model(self, **settings):
            return MyModel(api_key="…", **settings)

needs pytest, and no plugin of it.
"""

from headrace.errors import MissingExtraError

try:
    from .chat_models import ChatModelConformance
    from .vector_stores import VectorStoreConformance
except ModuleNotFoundError as error:
    if error.name != "pytest":
        raise
    raise MissingExtraError("pytest", purpose="headrace.testing") from error

__all__ = ["ChatModelConformance", "VectorStoreConformance"]
