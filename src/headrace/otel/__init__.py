"""OpenTelemetry: a span for each run, by the conventions for generative AI.

    with instrument():                       # the global providers, or tracer_provider=…
        chain.invoke("x")

`pip install "headrace[otel]"` brings `opentelemetry-api`; the SDK and exporters are your program's.
For a single call, put an `OpenTelemetryHandler()` into `config["callbacks"]`.

Names are those of OpenTelemetry's semantic conventions 1.44.0, the last release with `gen_ai.*`
(they are in development, and have moved to a repository of their own, without a release so far).

| run | span | kind |
|---|---|---|
| chat model | `chat {model}` | CLIENT; INTERNAL for the embedded model |
| text model | `text_completion {model}` | the same |
| tool | `execute_tool {name}` | INTERNAL |
| retriever | `retrieval {name}` | CLIENT |
| agent | `invoke_agent {name}` | INTERNAL |
| anything else | the run's name | INTERNAL |

A span's parent is the span of the run above; of an outermost run, the caller's current span. What
the conventions have no name for stands under `headrace.`:

- on every span `headrace.run.id`, `.path`, `.type`, `headrace.tags`, and `headrace.metadata.{key}`
  for metadata that is a text, a number or a bool;
- span events `headrace.first_chunk` (of models and of outermost runs, with the attribute
  `gen_ai.response.time_to_first_chunk`, which a model's span has itself, too), `headrace.retry`
  (`headrace.retry.attempt`, `.delay` in seconds, `error.type`), `headrace.custom`
  (`headrace.custom.name`) and `headrace.progress` (of tools: `gen_ai.tool.call.id`, if any);
- a race and a hedge have `headrace.winner`, the last part of the winner's path;
- a run that was cancelled or left has `headrace.cancelled` = true and no status: nothing failed.

A run that failed has the status ERROR and `error.type`. **What was said stays out** unless
`content=True`: messages (`gen_ai.input.messages`, `gen_ai.output.messages`, as JSON), arguments and
results of tools, queries and documents, inputs and outputs of other runs (`headrace.input`,
`headrace.output`), data of custom events and of progress, and the texts of errors, which often
quote them.

Metrics, of models: `gen_ai.client.operation.duration`, `gen_ai.client.token.usage`,
`gen_ai.client.operation.time_to_first_chunk`.

**Your own spans.** A span that you start in a step (a function, a tool, a model's body) belongs to
the step's span if the program runs with `OTEL_PYTHON_CONTEXT=headrace` (OpenTelemetry's own setting
for where its current context is kept; see `StepContext`). Without it, it belongs to the span that
was current where the chain was called, beside the chain's span.
"""

from __future__ import annotations

try:
    import opentelemetry.metrics
    import opentelemetry.trace  # noqa: F401
except ImportError as error:
    from ..errors import MissingExtraError

    raise MissingExtraError("opentelemetry-api", extra="otel", purpose="headrace.otel") from error

from .._otel_context import StepContext
from .handler import OpenTelemetryHandler, instrument

__all__ = ["OpenTelemetryHandler", "StepContext", "instrument"]
