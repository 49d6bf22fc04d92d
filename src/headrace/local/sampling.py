"""How an answer is drawn and when it ends: set on the model, or given for one call.

One table of fields serves both, so that `ChatLocal(max_tokens=0)` and
`model.invoke(text, max_tokens=0)` are refused alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from headrace.errors import InputError

__all__ = ["Sampling"]

_FORMATS = ("text", "json_object", "json_schema")
_SEEDS = 2**32 - 1  # llama.cpp reads the largest 32-bit number as "any seed"


class Sampling(BaseModel):
    """The parameters of an answer.

    temperature: 0 takes the likeliest token each time, so equal calls have equal answers; from
        there to about 1.5 answers vary more.
    seed: makes answers at a temperature above 0 repeatable. None draws another each time.
    max_tokens: longest answer, in tokens. None: until the model ends, or its context does.
    stop: texts that end the answer; they are not part of it.
    response_format: `{"type": "json_schema", "json_schema": {"schema": {...}}}` lets only tokens
        through that keep the answer valid under the schema; `{"type": "json_object"}` any JSON.
        An answer that `max_tokens` cuts short (`finish_reason` "length") is valid up to there.
    """

    model_config = ConfigDict(extra="forbid")

    temperature: float = Field(default=0.0, ge=0.0, le=100.0, allow_inf_nan=False)
    seed: int | None = Field(default=None, ge=0, lt=_SEEDS)
    max_tokens: int | None = Field(default=256, ge=1, lt=2**31)
    stop: list[str] = Field(default_factory=list)
    response_format: dict[str, Any] | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if value is None:
            return []
        return [value] if isinstance(value, str) else value

    @field_validator("stop")
    @classmethod
    def _not_empty(cls, value: list[str]) -> list[str]:
        if "" in value:
            raise ValueError("an empty text stops every answer before it starts")
        return value

    @field_validator("response_format")
    @classmethod
    def _complete(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        # llama.cpp takes a format without its schema for no format at all.
        if value is None:
            return value
        if value.get("type") not in _FORMATS:
            raise ValueError(f"'type' is one of {_FORMATS}, not {value.get('type')!r}")
        if value["type"] == "json_schema":
            inner = value.get("json_schema")
            if not isinstance(inner, Mapping) or not isinstance(inner.get("schema"), Mapping):
                raise ValueError('the schema is missing: give {"json_schema": {"schema": {...}}}')
        return value

    def _for_call(self, stop: Sequence[str] | None, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of one call's request.

        Args:
            stop: more stop texts, beside those set on the model.
            given: parameters that replace those of the model for this call.

        Raises:
            TypeError: `given` names a parameter that there is not.
            InputError: a value out of range.
        """
        unknown = sorted(set(given) - set(Sampling.model_fields))
        if unknown:
            raise TypeError(
                f"ChatLocal takes no {', '.join(map(repr, unknown))}; for one call it takes "
                f"{', '.join(Sampling.model_fields)}."
            )
        mine = {name: getattr(self, name) for name in Sampling.model_fields}
        try:
            merged = Sampling(**{**mine, **given})
            more = Sampling(stop=list(stop)).stop if stop else []
        except ValidationError as error:
            raise InputError(_sentence(error)) from error
        request = merged.model_dump(exclude_none=True, exclude={"stop"})
        texts = list(dict.fromkeys([*merged.stop, *more]))
        return {**request, "stop": texts} if texts else request


def _sentence(error: ValidationError) -> str:
    faults = [
        f"{'.'.join(map(str, fault['loc']))}={fault['input']!r}: {fault['msg']}"
        for fault in error.errors(include_url=False)
    ]
    return f"ChatLocal cannot use {'; '.join(faults)}."
