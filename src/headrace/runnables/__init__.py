"""The Runnable and its combinators; `import headrace.runnables` loads no pydantic.

`RunnableSerializable` is a pydantic model and therefore loaded when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from ..config import ConfigurableFieldSpec
from .addable import AddableDict, aadd, add
from .base import Runnable
from .binding import RunnableBinding
from .branch import RunnableBranch
from .coerce import coerce_to_runnable
from .configs import (
    RunnableConfig,
    ensure_config,
    get_config_list,
    merge_configs,
    patch_config,
    run_in_executor,
)
from .each import RunnableEach
from .explain import Explanation, Step, explain
from .fallbacks import RunnableWithFallbacks
from .function import RunnableChunkwise, RunnableGenerator, RunnableLambda, chain, each
from .history import RunnableWithMessageHistory
from .parallel import RunnableMap, RunnableParallel
from .passthrough import RunnableAssign, RunnablePassthrough, RunnablePick
from .retry import RunnableRetry
from .sequence import RunnableSequence

if TYPE_CHECKING:
    from .serializable import RunnableSerializable

__all__ = [
    "AddableDict",
    "ConfigurableFieldSpec",
    "Explanation",
    "Runnable",
    "RunnableAssign",
    "RunnableBinding",
    "RunnableBranch",
    "RunnableChunkwise",
    "RunnableConfig",
    "RunnableEach",
    "RunnableGenerator",
    "RunnableLambda",
    "RunnableMap",
    "RunnableParallel",
    "RunnablePassthrough",
    "RunnablePick",
    "RunnableRetry",
    "RunnableSequence",
    "RunnableSerializable",
    "RunnableWithFallbacks",
    "RunnableWithMessageHistory",
    "Step",
    "aadd",
    "add",
    "chain",
    "coerce_to_runnable",
    "each",
    "ensure_config",
    "explain",
    "get_config_list",
    "merge_configs",
    "patch_config",
    "run_in_executor",
]


def __getattr__(name: str) -> Any:
    if name == "RunnableSerializable":
        from .serializable import RunnableSerializable

        return RunnableSerializable
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
