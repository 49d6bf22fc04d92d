"""What the command line looks like: typer reads it and gives back a job, which then runs.

The functions here only declare and pick; nothing of them is imported by what does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Annotated, Any, TypeAlias

import typer

from .interrupt import hearing_interrupts
from .outcome import carry_out, complain

__all__ = ["run"]

Job: TypeAlias = Callable[[], Any]

# The class of all of typer's complaints about a command line. typer exports its subclasses only.
_Complaint: Any = typer.BadParameter.__mro__[2]

_Target = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="`path/to/file.py:name` or `package.module:name`."),
]
_Debug = Annotated[bool, typer.Option("--debug", help="On an error, show the traceback.")]
_TargetOrModel = Annotated[
    str | None,
    typer.Argument(metavar="TARGET", help="What to run; by default the embedded chat model."),
]
_Input = Annotated[
    str | None, typer.Argument(metavar="INPUT", help="Text, JSON, or `-` for standard input.")
]
_AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON for each chunk.")]
_AsText = Annotated[bool, typer.Option("--text", help="Take INPUT as text even if it is JSON.")]
_InLoop = Annotated[bool, typer.Option("--async", help="Run it with `astream`, in an event loop.")]
_Words: TypeAlias = list[str] | None  # of an option that may be repeated
_Names = Annotated[_Words, typer.Option("--name", metavar="NAME", help="Only runs of this name.")]
_Types = Annotated[
    _Words,
    typer.Option(
        "--type", metavar="TYPE", help="Only runs of this type: `chat_model`, `parser`, …"
    ),
]
_Tags = Annotated[_Words, typer.Option("--tag", metavar="TAG", help="Only runs with this tag.")]
_NotNames = Annotated[
    _Words, typer.Option("--not-name", metavar="NAME", help="No runs of this name.")
]
_NotTypes = Annotated[
    _Words, typer.Option("--not-type", metavar="TYPE", help="No runs of this type.")
]
_NotTags = Annotated[
    _Words, typer.Option("--not-tag", metavar="TAG", help="No runs with this tag.")
]


class Format(Enum):
    """What `headrace graph` writes."""

    ASCII = "ascii"
    MERMAID = "mermaid"
    SVG = "svg"
    PNG = "png"
    JSON = "json"


class Clean(Enum):
    """Which passages `headrace index` deletes."""

    FULL = "full"
    INCREMENTAL = "incremental"
    NONE = "none"


app = typer.Typer(
    help="LLM applications in which everything streams.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)


def _version(wanted: bool) -> None:
    if wanted:
        from .version import show_version

        show_version()
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _headrace(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("stream", context_settings={"allow_extra_args": True})
def _stream(
    context: typer.Context,
    target: _TargetOrModel = None,
    input: _Input = None,
    json: _AsJson = False,
    text: _AsText = False,
    use_async: _InLoop = False,
    timing: Annotated[
        bool, typer.Option("--timing", help="At the end, say when the chunks came.")
    ] = False,
    debug: _Debug = False,
) -> Job:
    """Stream what a runnable makes of an input, chunk by chunk as it comes.

    TARGET is `path/to/file.py:name` or `package.module:name`, a Runnable or a function. A single
    argument is a TARGET if it looks like one (a `.py` file or an importable module, a colon, a
    name); else it is the INPUT.

    INPUT is text. Where it is a complete JSON object or array, such as `{"topic": "parrot"}`, that
    value is the input; numbers and the like stay text, and so does everything with `--text`.

    Standard output gets the chunks only: text as it is, anything else as a line of JSON (or its
    repr, where JSON does not know it). Times go to standard error.

        headrace stream "what color is the sky?"

        headrace stream my_app.py:chain '{"topic": "parrot"}'

        git log -5 | headrace stream my_app.py:summary -
    """
    from .streaming import stream

    words = [word for word in (target, input) if word is not None] + context.args
    return partial(stream, words, as_json=json, as_text=text, use_async=use_async, timing=timing)


@app.command("events", context_settings={"allow_extra_args": True})
def _events(
    context: typer.Context,
    target: _TargetOrModel = None,
    input: _Input = None,
    raw: Annotated[bool, typer.Option("--raw", help="One line of JSON for each event.")] = False,
    name: _Names = None,
    type: _Types = None,
    tag: _Tags = None,
    not_name: _NotNames = None,
    not_type: _NotTypes = None,
    not_tag: _NotTags = None,
    text: _AsText = False,
    use_async: Annotated[
        bool, typer.Option("--async", help="Run it with `astream_typed`, in an event loop.")
    ] = False,
    debug: _Debug = False,
) -> Job:
    """Show what happens inside a runnable while it works: a tree of its runs.

    Tokens grow in place; at the right stands how it is with a run (running, done, failed,
    cancelled, retried) and for how long it has worked. Into a pipe, each run is a line of text when
    it ends.

    The filters may be repeated. With `--name`, `--type` or `--tag` a run is shown if one of them
    names it; the `--not-` ones leave runs out. What is below a run that is left out moves up.

        headrace events my_app.py:chain '{"topic": "parrot"}'

        headrace events my_app.py:chain parrot --type chat_model --type parser

        headrace events my_app.py:chain parrot --raw | jq .kind
    """
    from .eventing import show_events

    words = [word for word in (target, input) if word is not None] + context.args
    filters = {
        "include_names": name, "include_types": type, "include_tags": tag,
        "exclude_names": not_name, "exclude_types": not_type, "exclude_tags": not_tag,
    }  # fmt: skip
    return partial(show_events, words, filters, raw=raw, as_text=text, use_async=use_async)


@app.command("record", context_settings={"allow_extra_args": True})
def _record(
    context: typer.Context,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write the recording."),
    ],
    target: _TargetOrModel = None,
    input: _Input = None,
    json: _AsJson = False,
    text: _AsText = False,
    use_async: _InLoop = False,
    debug: _Debug = False,
) -> Job:
    """Stream as `headrace stream` does, and write all that happens inside to a file.

    The file is JSON lines, an event a line, with inputs and outputs as they are: keep it as you
    would keep these. A file that is there is replaced when the run begins. `headrace replay` shows
    it again; in a test, `headrace.record.replay` makes a chat model or a runnable of it.

        headrace record my_app.py:chain '{"topic": "parrot"}' -o parrot.jsonl
    """
    from .recording import record_run

    words = [word for word in (target, input) if word is not None] + context.args
    return partial(
        record_run, words, output=output, as_json=json, as_text=text, use_async=use_async
    )


@app.command("replay")
def _replay(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `headrace record` wrote.")],
    speed: Annotated[
        str,
        typer.Option(
            "--speed", metavar="SPEED", help="`recorded`, 0 (at once), or how many times as fast."
        ),
    ] = "recorded",
    json: _AsJson = False,
    debug: _Debug = False,
) -> Job:
    """Show what a recorded run gave, chunk by chunk as it came. Nothing is run.

    headrace replay parrot.jsonl

    headrace replay parrot.jsonl --speed 4
    """
    from .recording import replay_run

    return partial(replay_run, file, speed=speed, as_json=json)


@app.command("explain")
def _explain(
    target: _Target,
    json: Annotated[bool, typer.Option("--json", help="As a JSON array of steps.")] = False,
    debug: _Debug = False,
) -> Job:
    """Say of each step of a runnable whether it streams or waits, and what to write instead."""
    from .explaining import explain

    return partial(explain, target, as_json=json)


@app.command("graph")
def _graph(
    target: _Target,
    format: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="By default that of FILE's ending, else ascii."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it."),
    ] = None,
    debug: _Debug = False,
) -> Job:
    """Draw what a runnable is made of. What waits for its whole input is marked.

    FILE's ending says the format: `.txt` (ascii), `.mmd` or `.mermaid`, `.svg`, `.png`, `.json`.
    Without FILE, the graph is written to standard output, in characters.

    Nothing runs, and nothing is sent anywhere. ascii, svg and png need
    `pip install "headrace[graph]"`; mermaid and json need nothing.

        headrace graph my_app.py:chain

        headrace graph my_app.py:chain -o chain.svg
    """
    from .graphing import draw

    return partial(draw, target, format=format and format.value, output=output)


@app.command("index")
def _index(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file or a folder.")],
    store: Annotated[
        str, typer.Option("--store", "-s", metavar="DIR", help="The folder of the store.")
    ],
    glob: Annotated[
        _Words,
        typer.Option("--glob", metavar="GLOB", help="Only files like `*.md`; may be repeated."),
    ] = None,
    chunk_size: Annotated[
        int | None,
        typer.Option("--chunk-size", metavar="N", help="Characters of a passage, at most."),
    ] = None,
    clean: Annotated[
        Clean,
        typer.Option(
            "--clean", help="Delete passages of changed and gone files, only of changed, or none."
        ),
    ] = Clean.FULL,
    debug: _Debug = False,
) -> Job:
    """Index the files under a PATH, so that `headrace ask` can answer questions about them.

    DIR is made if it is not there. Run it again when files have changed: only passages that are new
    are embedded, and those that are gone are deleted. If it is interrupted, DIR is as it was.

    Needs `pip install "headrace[faiss,local-embeddings]"`; nothing is sent anywhere.

        headrace index docs --store docs.store

        headrace index . --store my.store --glob "*.py" --glob "*.md"
    """
    from .indexing import index_files

    return partial(
        index_files, path, store=store, globs=glob or (), chunk_size=chunk_size, clean=clean.value
    )


@app.command("ask", context_settings={"allow_extra_args": True})
def _ask(
    context: typer.Context,
    store: Annotated[
        str | None, typer.Argument(metavar="DIR", help="What `headrace index` made.")
    ] = None,
    question: Annotated[
        str | None, typer.Argument(metavar="QUESTION", help="Text, or `-` for standard input.")
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", metavar="N", help="Passages to find.")] = 4,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="MODEL", help="`provider:model`; by default the embedded one."
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option("--json", help="One line of JSON for each passage and piece of the answer."),
    ] = False,
    debug: _Debug = False,
) -> Job:
    """Answer a QUESTION from what was indexed, token by token, and show the passages found.

    The embedded model is small and often wrong: believe the passages, or name another model. Then
    question and passages are sent to its provider.

        headrace ask docs.store "how do I cancel a stream?"

        headrace ask docs.store "how do I cancel a stream?" --model openai:gpt-4o-mini
    """
    from .asking import ask

    words = [word for word in (store, question) if word is not None] + context.args
    return partial(ask, words, k=k, as_json=json, model=model)


@app.command("pull")
def _pull(debug: _Debug = False) -> Job:
    """Fetch the embedded model's weights once, and print where they are.

    Weights that are there already are checked and kept. `HEADRACE_CACHE` names another folder.
    """
    from .weights import show_pulled

    return show_pulled


def run(arguments: Sequence[str]) -> int:
    """Read a command line and do what it says; returns the exit code."""
    command: Any = typer.main.get_command(app)
    try:
        job = command.main(args=list(arguments), prog_name="headrace", standalone_mode=False)
    except _Complaint as complaint:
        context = getattr(complaint, "ctx", None)
        path = context.command_path if context else "headrace"
        what = complaint.format_message().rstrip(".")
        return complain(f"{what}. See `{path} --help`.")
    if not callable(job):  # help, or the version, was shown
        return int(job or 0)
    with hearing_interrupts():
        return carry_out(job, debug="--debug" in arguments)
