"""The tokenizer of a GGUF file: text to the model's own token ids, without loading its weights.

    load_vocabulary(path) -> Vocabulary          once per process and path; 0.1 s for the default
    vocabulary.tokens("Hello")                   [19556]
    vocabulary.conversation([("user", "Hi")])    the ids of a prompt, as the model's template has it

`xllamacpp` offers no tokenizer, but its library has llama.cpp's C functions, which are called here
through ctypes. What is passed by value (the loading parameters) is taken as llama.cpp gives it, in
a block larger than any version's; only where its bytes are those of a version that is known is the
flag set that leaves the weights out. Another version loads the weights as well, which is slower.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from headrace.errors import ModelError, WeightsError

from .server import library

__all__ = ["Vocabulary", "load_vocabulary"]

_ROOM = 512  # bytes; the parameters of today's llama.cpp take 80
_KNOWN = bytes.fromhex(  # two pointers; four ints; five pointers; flags
    "00" * 16 + "ffffffff01000000" * 2 + "00" * 40 + "0000010000"
)
_VOCABULARY_ONLY = 72  # the flag's place there


class _Parameters(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_ubyte * _ROOM),)


class _Message(ctypes.Structure):
    _fields_ = (("role", ctypes.c_char_p), ("content", ctypes.c_char_p))


_int, _pointer, _text, _flag = ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_bool
_Ints = ctypes.POINTER(_int)
_ignored = ctypes.CFUNCTYPE(None, ctypes.c_int, _text, _pointer)(lambda level, line, data: None)
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_model_default_params": (_Parameters, ()),
    "llama_model_load_from_file": (_pointer, (_text, _Parameters)),
    "llama_model_get_vocab": (_pointer, (_pointer,)),
    "llama_model_chat_template": (_text, (_pointer, _text)),
    "llama_log_get": (None, (ctypes.POINTER(_pointer), ctypes.POINTER(_pointer))),
    "llama_log_set": (None, (_pointer, _pointer)),
    "llama_tokenize": (_int, (_pointer, _text, _int, _Ints, _int, _flag, _flag)),
    "llama_chat_apply_template": (
        _int,
        (_text, ctypes.POINTER(_Message), ctypes.c_size_t, _flag, _text, _int),
    ),
}


class Vocabulary:
    """The tokens of one model. Made by `load_vocabulary`; safe to use from any thread."""

    def __init__(self, path: str) -> None:
        self._functions = _functions()
        model = self._loaded(path)
        self._vocabulary = self._functions["llama_model_get_vocab"](model)
        template = self._functions["llama_model_chat_template"](model, None)
        self._template: bytes = template or b""
        self._system = _usual_system(self._template.decode("utf-8", "replace"))

    def _loaded(self, path: str) -> Any:
        parameters = self._functions["llama_model_default_params"]()
        if bytes(parameters.bytes[: len(_KNOWN)]) == _KNOWN:
            parameters.bytes[_VOCABULARY_ONLY] = 1
        with self._silence():
            model = self._functions["llama_model_load_from_file"](os.fsencode(path), parameters)
        if not model:
            raise WeightsError(
                f"llama.cpp cannot read the vocabulary of {path!r}: the file is damaged or of a "
                "kind that this version does not know. `headrace pull` fetches the default model."
            )
        return model

    @contextmanager
    def _silence(self) -> Iterator[None]:
        """llama.cpp tells of all that it loads, on stderr."""
        logger, data = _pointer(), _pointer()
        self._functions["llama_log_get"](ctypes.byref(logger), ctypes.byref(data))
        self._functions["llama_log_set"](ctypes.cast(_ignored, _pointer), None)
        try:
            yield
        finally:
            self._functions["llama_log_set"](logger, data)

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """The ids of a text; `special`: `<|im_start|>` and its like are one token each."""
        data = text.encode("utf-8", "replace")
        ids = (_int * (len(data) + 8))()  # a token has one byte at least; some put one in front
        tokenize = self._functions["llama_tokenize"]
        count = tokenize(self._vocabulary, data, len(data), ids, len(ids), False, special)
        if count < 0:
            raise ModelError(f"llama.cpp cannot tokenize a text of {len(data)} bytes ({count}).")
        return ids[:count]

    def conversation(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """The ids of the prompt that `(role, text)` messages make, up to where the answer begins.

        llama.cpp knows the usual templates by their marks; for another one ChatML's is taken.
        """
        given = list(messages)
        if self._system and (not given or given[0][0] != "system"):
            given.insert(0, ("system", self._system))
        array = (_Message * len(given))(*[_Message(*map(_encoded, one)) for one in given])
        for template in (self._template, b"chatml"):
            prompt = self._applied(template, array)
            if prompt is not None:
                return self.tokens(prompt, special=True)
        raise ModelError("llama.cpp has no ChatML template, which every version has.")

    def _applied(self, template: bytes, array: Any) -> str | None:
        apply = self._functions["llama_chat_apply_template"]
        room = 0
        while True:
            buffer = ctypes.create_string_buffer(room)
            needed = apply(template, array, len(array), True, buffer, room)
            if needed < 0:
                return None
            if needed <= room:
                return buffer.raw[:needed].decode()
            room = needed


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace").replace(b"\0", b" ")


def _usual_system(template: str) -> str:
    """The system message that a template in ChatML's words adds where a conversation has none."""
    words = re.search(r"<\|im_start\|>system(?:\\n|\n)(.+?)<\|im_end\|>", template)
    return words[1] if words and re.search(r"!=\s*['\"]system['\"]", template) else ""


def _functions() -> dict[str, Any]:
    found = ctypes.CDLL(library().xllamacpp.__file__)
    functions = {}
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(found, name, None)
        if function is None:
            raise ModelError(
                f"The installed xllamacpp has no {name}, so that tokens cannot be counted: give "
                "the model a tokenizer as custom_get_token_ids=…"
            )
        function.restype, function.argtypes = result, arguments
        functions[name] = function
    return functions


_loaded: dict[str, Vocabulary] = {}
_loading = threading.Lock()


def load_vocabulary(path: str | os.PathLike[str]) -> Vocabulary:
    """The vocabulary of a GGUF file, loaded at the first call.

    Raises:
        MissingExtraError: xllamacpp is not installed.
        WeightsError: there is no such file, or llama.cpp cannot read it.
    """
    key = os.path.abspath(path)
    with _loading:
        if key not in _loaded:
            _loaded[key] = Vocabulary(key)
        return _loaded[key]
