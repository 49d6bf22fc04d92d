"""The Runnable and its combinators; `import headrace.runnables` loads no pydantic."""

from .addable import AddableDict, aadd, add
from .base import Runnable
from .binding import RunnableBinding
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
from .function import RunnableChunkwise, RunnableGenerator, RunnableLambda, chain, each
from .parallel import RunnableMap, RunnableParallel
from .passthrough import RunnableAssign, RunnablePassthrough, RunnablePick
from .retry import RunnableRetry
from .sequence import RunnableSequence

__all__ = [
    "AddableDict",
    "Explanation",
    "Runnable",
    "RunnableAssign",
    "RunnableBinding",
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
