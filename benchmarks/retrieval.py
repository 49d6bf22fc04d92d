"""What indexing and a search take: Headrace beside langchain-core, and beside the library that
does the work (faiss, bm25s) called by hand.

    python -m benchmarks.retrieval                  three rounds, about three minutes
    python -m benchmarks.retrieval --rounds 1 --chunks 500 --vectors 2000

Indexing is `index(...)` of so many chunks of text into an empty store, then of the same again, when
nothing is left to do. The embeddings are looked up, so no model is in the times. A search is the
retriever's `invoke` for the four nearest, or the bare library's search for as many and nothing
more: no documents, no events, no checks. Times are those of the wall, because faiss works in many
threads; the best round of each contender, contenders in turn. What cannot be compared has no
figure: langchain-core has one store, in memory, and keeps records in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

SIZE = 256  # dimensions
NEAREST = 4
SEARCHES = 40  # in one measurement
SETTINGS: dict[str, dict[str, Any]] = {
    "flat": {},
    "hnsw": {"M": 16, "ef_construction": 40},  # made in half a minute, not in three
}
CORES = {"headrace": "headrace", "langchain": "langchain_core"}


class Sizes(NamedTuple):
    """How many chunks are indexed, how many vectors searched, how many searches measured."""

    chunks: int
    vectors: int
    searches: int


# ---- what is given -------------------------------------------------------------------------------


def texts_of(number: int) -> list[str]:
    """Chunks of about fifty words, each with words that few others have."""
    about = [f"Chunk {n} is about subject{n % 997} and place{n % 1009}. " for n in range(number)]
    return [head + f"It says word{n % 89}. " * 15 for n, head in enumerate(about)]


def vectors_of(number: int, seed: int = 7) -> Any:
    """Vectors 1 long, around a thousand centres, as texts about the same things have."""
    import numpy

    random = numpy.random.default_rng(seed)
    centres = random.standard_normal((1000, SIZE))
    made = centres[random.integers(0, 1000, number)] + random.standard_normal((number, SIZE))
    return (made / numpy.linalg.norm(made, axis=1, keepdims=True)).astype("float32")


def embeddings_of(core: str, known: dict[str, list[float]]) -> Any:
    """A model that knows the vector of each text."""
    base: Any = import_module(f"{core}.embeddings").Embeddings

    class Known(base):  # type: ignore[misc]
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [known[text] for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return known[text]

        async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
            return self.embed_documents(texts)

        async def aembed_query(self, text: str) -> list[float]:
            return self.embed_query(text)

    return Known()


def known_of(texts: Sequence[str], vectors: Any) -> dict[str, list[float]]:
    return dict(zip(texts, vectors.tolist(), strict=True))


def documents_of(core: str, texts: Sequence[str]) -> list[Any]:
    document = import_module(f"{core}.documents").Document
    return [document(page_content=t, metadata={"row": n}) for n, t in enumerate(texts)]


# ---- what is measured ----------------------------------------------------------------------------

Work: TypeAlias = Callable[[], Any]


class Job(NamedTuple):
    """One measurement. `make` gives the work, which is timed, and gives how much was done: as much
    as `does`, or it is no measurement."""

    name: str
    contender: str
    make: Callable[[], Work]
    does: int
    unit: str  # that one thing's time is told in


def indexing(sizes: Sizes, folder: Path) -> Iterator[Job]:
    """`index` into each store with each records, twice; async as well."""
    texts = texts_of(sizes.chunks)
    known = known_of(texts, vectors_of(sizes.chunks))
    files = (folder / f"{n}.db" for n in count())
    for contender, core in CORES.items():
        model, documents = embeddings_of(core, known), documents_of(core, texts)
        part, stores = import_module(f"{core}.indexing"), import_module(f"{core}.vectorstores")
        records: dict[str, Any] = {"memory": lambda part=part: part.InMemoryRecordManager("bench")}
        made: dict[str, Any] = {
            "memory": lambda stores=stores, model=model: stores.InMemoryVectorStore(model)
        }
        if contender == "headrace":
            records["SQLite"] = lambda part=part: part.SQLiteRecordManager("b", path=next(files))
            made["FAISS"] = lambda stores=stores, model=model: stores.FAISS(model)
            made["SQLiteVec"] = lambda s=stores, model=model: s.SQLiteVec(model, next(files))
        for into, store in made.items():
            for kept, manager in records.items():
                name = f"index, {into}, records in {kept}"
                for again, end in ((False, ""), (True, ", again")):
                    make = _index_work(part, documents, store, manager, again)
                    yield Job(name + end, contender, make, len(texts), "µs")
        make = _index_work(part, documents, made["memory"], records["memory"], False, alone=True)
        yield Job("aindex, memory, records in memory", contender, make, len(texts), "µs")


def _index_work(
    part: Any, documents: list[Any], store: Any, records: Any, again: bool, alone: bool = False
) -> Callable[[], Work]:
    """Documents into an empty store, or into one that has them all."""

    def make() -> Work:
        manager, into = records(), store()
        manager.create_schema()
        work: Work = lambda: part.index(documents, manager, into, key_encoder="sha256")  # noqa: E731
        if again:
            work()
        if alone:
            work = lambda: part.aindex(documents, manager, into, key_encoder="sha256")  # noqa: E731
        counted = "num_skipped" if again else "num_added"
        return _then(work, lambda found: found[counted])

    return make


def _then(work: Work, read: Callable[[Any], int]) -> Work:
    """The work, and how much of it that was."""

    def go() -> Any:
        given = work()
        return _later(given, read) if isinstance(given, Coroutine) else read(given)

    return go


async def _later(given: Any, read: Callable[[Any], int]) -> int:
    return read(await given)


def searching(sizes: Sizes, folder: Path) -> Iterator[Job]:
    """Searches of stores and retrievers, and the same by hand."""
    few, many = min(sizes.chunks, sizes.vectors), sizes.vectors
    vectors, questions = vectors_of(many), texts_of(sizes.searches)
    texts = texts_of(many)
    known = known_of(texts[: max(few, sizes.searches)], vectors[: max(few, sizes.searches)])
    for contender, core in CORES.items():
        store = import_module(f"{core}.vectorstores").InMemoryVectorStore(
            embeddings_of(core, known)
        )
        store.add_documents(documents_of(core, texts[:few]))
        yield from _asked(f"in memory, {few:,}", contender, store, questions)
        if contender == "headrace":
            yield from _of_ours(texts[:few], known, folder, questions)
    for kind in ("flat", "hnsw"):
        yield from _of_faiss(kind, texts, vectors, known, questions)


def _asked(name: str, contender: str, store: Any, questions: list[str]) -> Iterator[Job]:
    retriever = store.as_retriever(search_kwargs={"k": NEAREST}) if hasattr(
        store, "as_retriever") else store  # fmt: skip

    def sync() -> int:
        return sum(len(retriever.invoke(question)) for question in questions)

    async def alone() -> int:
        return sum([len(await retriever.ainvoke(question)) for question in questions])

    expected = NEAREST * len(questions)
    yield Job(name, contender, lambda: sync, expected, "search")
    yield Job(f"{name}, async", contender, lambda: alone, expected, "search")


def _of_ours(
    texts: list[str], known: dict[str, list[float]], folder: Path, questions: list[str]
) -> Iterator[Job]:
    """SQLite, BM25 (with bm25s by hand) and an ensemble, of the same texts."""
    from headrace.retrievers import BM25Retriever, EnsembleRetriever
    from headrace.retrievers.bm25 import default_preprocessing_func
    from headrace.vectorstores import FAISS, SQLiteVec

    model, documents = embeddings_of("headrace", known), documents_of("headrace", texts)
    store = SQLiteVec(model, folder / "searched.db")
    store.add_documents(documents)
    yield from _asked(f"SQLiteVec, {len(texts):,}", "headrace", store, questions)
    words = BM25Retriever.from_documents(documents, k=NEAREST)
    name = f"BM25, {len(texts):,}"
    yield from _asked(name, "headrace", words, questions)
    asked = [[default_preprocessing_func(question)] for question in questions]
    bare: Any = words.vectorizer

    def by_hand() -> int:
        found = [bare.retrieve(a, k=NEAREST, show_progress=False)[0] for a in asked]
        return sum(rows.size for rows in found)

    yield Job(name, "bare", lambda: by_hand, NEAREST * len(questions), "search")
    near = FAISS.from_documents(documents, model).as_retriever(search_kwargs={"k": NEAREST})
    both = EnsembleRetriever(retrievers=[words, near], k=NEAREST)
    yield from _asked(f"BM25 and FAISS, {len(texts):,}", "headrace", both, questions)


def _of_faiss(
    kind: str, texts: list[str], vectors: Any, known: dict[str, list[float]], questions: list[str]
) -> Iterator[Job]:
    from headrace.vectorstores import FAISS

    model = embeddings_of("headrace", known)
    pairs = zip(texts, vectors, strict=True)
    store = FAISS.from_embeddings(pairs, model, index=kind, **SETTINGS[kind])
    name = f"FAISS {kind}, {len(texts):,}"
    yield from _asked(name, "headrace", store, questions)
    index, asked = store.index, vectors[: len(questions)]

    def by_hand() -> int:
        return sum(index.search(asked[n : n + 1], NEAREST)[1].size for n in range(len(asked)))

    yield Job(name, "bare", lambda: by_hand, NEAREST * len(questions), "search")


# ---- the clock -----------------------------------------------------------------------------------


def jobs(sizes: Sizes, folder: Path) -> Iterator[Job]:
    """All that is measured; a store is made when its jobs are asked for."""
    yield from indexing(sizes, folder)
    yield from searching(sizes, folder)


Found: TypeAlias = dict[str, dict[str, float]]


def measure(sizes: Sizes, rounds: int) -> Found:
    """Microseconds a chunk or a search, by what it is and by contender."""
    best: Found = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        runner = stack.enter_context(asyncio.Runner())
        made = list(jobs(sizes, folder))
        for _ in range(rounds):
            for job in made:
                each = sizes.searches if job.unit == "search" else job.does
                taken = _timed(job, runner) / each * 1e6
                times = best.setdefault(job.name, {})
                times[job.contender] = min(taken, times.get(job.contender, taken))
    return best


def _timed(job: Job, runner: asyncio.Runner) -> float:
    work = job.make()
    gc.collect()
    began = perf_counter()
    given = work()
    done = runner.run(given) if isinstance(given, Coroutine) else given
    spent = perf_counter() - began
    assert done == job.does, f"{job.name} by {job.contender} did {done} of {job.does}"
    return spent


def report(found: Found) -> str:
    """A table: microseconds a chunk or a search, and what they are of the others' times."""
    lines = [f"{'µs':<44}{'headrace':>10}{'langchain':>18}{'bare':>18}"]
    for name, times in found.items():
        line = f"{name:<44}{times['headrace']:>10.1f}"
        for other in ("langchain", "bare"):
            shown = ""
            if other in times:
                shown = f"{times[other]:.1f} ({times['headrace'] / times[other]:.2f})"
            line += f"{shown:>18}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=SEARCHES)
    options = parser.parse_args()
    sizes = Sizes(options.chunks, options.vectors, options.searches)
    print(report(measure(sizes, options.rounds)))


if __name__ == "__main__":
    main()
