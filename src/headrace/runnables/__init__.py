"""The Runnable and its combinators; `import headrace.runnables` loads no pydantic.

`RunnableSerializable` is a pydantic model and therefore loaded when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from ..config import ConfigurableFieldSpec
from .addable import AddableDict, aadd, add
from .base import Input, Output, Runnable
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
from .configurable import (
    ConfigurableField,
    ConfigurableFieldMultiOption,
    ConfigurableFieldSingleOption,
    RunnableConfigurableAlternatives,
    RunnableConfigurableFields,
)
from .each import RunnableEach
from .explain import Explanation, Step, explain
from .fallbacks import RunnableWithFallbacks
from .function import RunnableChunkwise, RunnableGenerator, RunnableLambda, chain, each
from .history import RunnableWithMessageHistory
from .parallel import RunnableMap, RunnableParallel
from .passthrough import RunnableAssign, RunnablePassthrough, RunnablePick
from .retry import RunnableRetry
from .router import RouterInput, RouterRunnable
from .sequence import RunnableSequence

if TYPE_CHECKING:
    from .like import RunnableLike
    from .serializable import RunnableSerializable

__all__ = [
    "AddableDict",
    "ConfigurableField",
    "ConfigurableFieldMultiOption",
    "ConfigurableFieldSingleOption",
    "ConfigurableFieldSpec",
    "Explanation",
    "Input",
    "Output",
    "RouterInput",
    "RouterRunnable",
    "Runnable",
    "RunnableAssign",
    "RunnableBinding",
    "RunnableBranch",
    "RunnableChunkwise",
    "RunnableConfig",
    "RunnableConfigurableAlternatives",
    "RunnableConfigurableFields",
    "RunnableEach",
    "RunnableGenerator",
    "RunnableLambda",
    "RunnableLike",
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


_LATER = {"RunnableLike": "like", "RunnableSerializable": "serializable"}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
