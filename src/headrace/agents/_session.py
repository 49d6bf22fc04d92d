"""One run of an agent: does what the loop decides, as a plan of the engine's.

The session holds the conversation. Each round asks `_loop.next_step` what comes next and yields the
commands for it; the drivers run them in their colour. Where the run is streamed (`shown`), what was
added to the state is emitted as well, and the model's tokens are forwarded if a mode shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import InputError
from ..flow import Collect, Command, Emit, Forward, Known, Outcome, Read
from ..messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    RemoveMessage,
    ToolMessage,
    message_chunk_to_message,
)
from ..run import Run, fresh_id
from ..shapes import Kwargs
from . import _loop
from ._calls import Calls
from ._going_on import OWN_KEYS, Going, going_on, thread_id_of
from ._inner import Forget, Load, Save
from ._saving import ASKED, HOOKED, Piece, Thread
from ._showing import Shown, StepEnded, Update
from ._tokens import Tokens
from ._tool import kept_below, over_below, place_below
from .resuming import Resume
from .state import REMOVE_ALL_MESSAGES, AgentState, calls_of, given, summed

if TYPE_CHECKING:
    from ._setup import Setup

__all__ = ["Session"]

_Commands: TypeAlias = Generator[Command, Outcome, bool]


class Session:
    """See the head of the file. `modes`: what a reader sees; none where only the end is wanted."""

    _restarts = False

    def __init__(self, agent: Any, setup: Setup, modes: tuple[str, ...], paired: bool) -> None:
        self.step_of = agent  # for errors to name
        self._setup = setup
        self.messages: list[BaseMessage] = []
        self.extras: dict[str, Any] = {}
        self.node = "__start__"
        self.metadata: dict[str, Any] = {}
        self.streamed: BaseMessage | None = None  # the model's message that went out in tokens
        self.tokens = Tokens()  # of the answer that is coming
        self.shown = Shown(self, modes, paired) if modes else None
        self._shows_tokens = "messages" in modes
        self._reports = "custom" in modes
        self._asked = 0
        self._approved = self._jumped = False
        self._asked_about: str | None = None  # the message whose calls a person knows of
        self._answers: list[ToolMessage] = []  # of the calls under way
        self._ids: set[str | None] = set()
        self._thread: Thread | None = None
        self._raised: Exception | None = None
        self._facts: Mapping[str, Any] = {}
        self._fold = Known(self.state)

    def get_name(self) -> str:
        return self.step_of.get_name()  # type: ignore[no-any-return]

    def state(self) -> AgentState:
        """What there is so far."""
        return AgentState(messages=self._all(), **self.extras)

    def _all(self) -> list[BaseMessage]:
        return summed([*self.messages, *self._answers]) if self._answers else [*self.messages]

    # ------------------------------------------------------------- the plan

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        if run.scope.metadata:
            self._facts = run.scope.metadata
        rules = self._setup.rules
        try:
            going = yield from self._begun((yield Read()).value, run)
            with suppress(_LeftError):
                while going:
                    step = _loop.next_step(self.messages, rules, self._asked, self._approved)
                    going = yield from _DOES[type(step)](self, step)
        finally:
            if self._thread is not None:
                self._thread.release()

    def _begun(self, value: Any, run: Run) -> _Commands:
        """The conversation so far, and what was given to go on with."""
        goes_on = value is None or Resume.is_meant(value)
        new, extras = ([], {}) if goes_on else given(value)
        for key in OWN_KEYS:
            extras.pop(key, None)
        going = yield from self._loaded(run)
        if goes_on:
            self._approved, new = going.decided(value, self._setup)
        old = {message.id: message for message in self.messages}
        new = [message for message in new if old.get(message.id) != message]  # it is there
        more = [*([] if goes_on else _loop.declined(self.messages, new)), *new]
        self._set([*self.messages, *more])
        self.extras |= extras
        yield from self._kept([*more, extras] if extras else more)
        yield from self._forgotten()  # what died before it could be
        if self.shown is not None:
            yield Emit(Update("__start__", self.state()))
            yield Emit(StepEnded())
        if goes_on and going.unhooked:
            yield from self._after_model(going.unhooked)
        return not self._jumped

    def _loaded(self, run: Run) -> Generator[Command, Outcome, Going]:
        """The state that the thread holds is the state."""
        agent, setup, thread_id = self.get_name(), self._setup, None
        kept = AgentState(messages=[])
        if setup.saver is not None:
            thread_id = thread_id_of(agent, run.scope.configurable)
            self._thread = Thread(setup.saver, thread_id)
            kept = yield from self._collected(Load(self._thread), None)
        going = going_on(agent, setup, thread_id, kept)
        self._set(kept.pop("messages"))
        self._asked_about = going.asked
        self.extras = dict(kept)
        return going

    # ------------------------------------------------------------- what the loop decides

    def _ask(self, step: _loop.Ask) -> _Commands:
        asked = yield from self._hooked("before_model", self._setup.before)
        if self._jumped:
            return False
        self._enters("model")
        self._approved = False  # what was approved is over
        self._asked += 1
        message = self._of_model((yield from self._said(self._prompt(asked))))
        self.messages.append(message)
        added: dict[str, Any] = {"messages": [message]}
        if self._setup.form is not None:
            added |= self._formed(message, added["messages"])
        if self._thread is not None:
            yield from self._kept(added["messages"])
        if self.shown is not None:
            self.streamed = message if self._shows_tokens else None
            yield Emit(Update("model", added))
            yield Emit(StepEnded())
        yield from self._after_model(message)
        return not self._jumped

    def _after_model(self, said: BaseMessage) -> _Commands:
        yield from self._hooked("after_model", self._setup.after)
        if self._setup.after:
            yield from self._kept([{HOOKED: said.id}])
        return True

    def _said(self, prompt: list[BaseMessage]) -> Generator[Command, Outcome, Any]:
        """What the model says; with tokens that somebody reads, its stream is handed on."""
        if not self._shows_tokens:
            return (yield from self._collected(self._setup.model, prompt, "model"))
        self.tokens = Tokens()
        outcome = yield from self._forwarded(self._setup.model, prompt, "model")
        return self.tokens.whole(outcome.fold)

    def _call(self, step: _loop.Call) -> _Commands:
        if self._setup.form is not None and (yield from self._answered_in_form(step.calls)):
            return True
        self._enters("tools")
        self._approved = False
        answers = self._answers = []
        calls = Calls(
            self._keeping(step.calls), step.calls, answers, self._thread, reports=self._reports
        )
        if self.shown is None:
            yield from self._collected(calls, step.calls)
        else:
            yield from self._forwarded(calls, step.calls)
        self._raised, self._answers = calls.raised, []
        self._ids.update(answer.id for answer in answers)
        self._put(answers)
        yield from self._forgotten()
        if self.shown is not None:
            yield Emit(StepEnded())
        return True

    def _keeping(self, calls: Sequence[Any]) -> Setup:
        """The setup, in which tools that are agents keep their conversations below this one."""
        setup, thread = self._setup, self._thread
        if setup.saver is None or thread is None:
            return setup
        place = place_below(thread.id, self.messages)
        below = kept_below(setup.tools, calls, setup.saver, place)
        return setup._replace(tools={**setup.tools, **below}) if below else setup

    def _forgotten(self) -> Generator[Command, Outcome, None]:
        """Conversations of agents below whose calls have an answer are over."""
        if self._thread is not None:
            threads = over_below(self._setup.tools, self._thread.id, self.messages)
            if threads:
                yield from self._collected(Forget(self._thread), threads)

    def _wait(self, step: _loop.Wait) -> _Commands:
        self.extras["__interrupt__"] = [dict(call) for call in step.calls]
        said, _ = _loop.last_said(self.messages)
        if said is not None and said.id != self._asked_about:
            yield from self._kept([{ASKED: said.id}])
        if self.shown is not None:
            self._enters("__interrupt__")
            yield Emit(Update("__interrupt__", {"__interrupt__": self.extras["__interrupt__"]}))
            yield Emit(StepEnded())
        return False

    def _remind(self, step: _loop.Remind) -> _Commands:
        yield from self._added("model", [step.message])
        return True

    def _end(self, step: _loop.End) -> _Commands:
        form = self._setup.form
        if form is not None and "structured_response" not in self.extras:
            self.extras["structured_response"] = form.found_in(self.messages)
        yield from ()  # a generator, as its siblings are
        return False

    def _fail(self, step: _loop.Fail) -> _Commands:
        yield from ()
        raise step.error from self._raised

    # ------------------------------------------------------------- answers in a form

    def _formed(self, said: AIMessage, added: list[BaseMessage]) -> dict[str, Any]:
        """Answers the calls that give the answer; the first that is valid counts."""
        answers, found = self._setup.form.judged(calls_of(said))  # type: ignore[union-attr]
        added += answers
        self.messages += answers
        self.extras |= found
        return found

    def _answered_in_form(self, calls: Sequence[Any]) -> _Commands:
        """The same for calls that a process left without an answer."""
        form: Any = self._setup.form
        answers, found = form.judged(calls, form.taken_in(self.messages))
        if answers:
            yield from self._added("model", answers, found)
        return bool(answers)

    # ------------------------------------------------------------- the state

    def _set(self, messages: list[BaseMessage]) -> None:
        """The conversation anew, from messages that may replace and remove others."""
        self.messages = summed(messages)
        gone = [m.id for m in self.messages if isinstance(m, RemoveMessage)]
        if gone and gone != [REMOVE_ALL_MESSAGES]:
            raise InputError(
                f"RemoveMessage(id={gone[0]!r}) names no message of the conversation, whose ids "
                f"are {[m.id for m in self.messages if m.id not in gone]}."
            )
        self.messages = [m for m in self.messages if not isinstance(m, RemoveMessage)]
        self._ids = {message.id for message in self.messages}

    def _put(self, answers: list[ToolMessage]) -> None:
        """Answers behind their calls, in the order of these."""
        at = len(self.messages)
        if len(answers) == 1 and not isinstance(self.messages[at - 1], ToolMessage):
            self.messages += answers
            return
        while isinstance(self.messages[at - 1], ToolMessage):
            at -= 1
        self.messages[at - 1 :] = summed([*self.messages[at - 1 :], *answers])

    def _of_model(self, said: Any) -> AIMessage:
        """The model's message, whole; its id and those of its calls are its own."""
        if isinstance(said, BaseMessageChunk):
            said = message_chunk_to_message(said)
        if not isinstance(said, AIMessage):
            raise InputError(
                f"{self._setup.model!r:.200} gave {said!r:.200} ({type(said).__name__}): the model "
                "of an agent is a chat model, which gives an AIMessage."
            )
        message = _loop.with_ids(said)
        changes: dict[str, Any] = {}
        if message.id is None or message.id in self._ids:
            changes["id"] = fresh_id()
        if self._setup.name is not None and message.name is None:
            changes["name"] = self._setup.name
        if changes:
            message = message.model_copy(update=changes)
        self._ids.add(message.id)
        return message

    def _prompt(self, asked: list[BaseMessage] | None) -> list[BaseMessage]:
        """What the model is asked: the conversation, or what a hook made of it."""
        first = self._setup.system
        messages = self.messages if asked is None else asked
        return [*messages] if first is None else [first, *messages]

    def _enters(self, node: str) -> None:
        self.node, self.streamed = node, None
        if self._shows_tokens:
            step = self._asked + (node == "model")
            self.metadata = {
                **self._facts,
                "node": node,
                "step": step,
                "agent": self.get_name(),
                "langgraph_node": node,
                "langgraph_step": step,
            }

    # ------------------------------------------------------------- steps of its own

    def _collected(
        self, node: Any, value: Any, tag: str | None = None
    ) -> Generator[Command, Outcome, Any]:
        outcome = yield Collect(node, tag, value=value)
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def _forwarded(
        self, node: Any, value: Any, tag: str | None = None
    ) -> Generator[Command, Outcome, Outcome]:
        outcome = yield Forward(node, tag, value=value)
        if outcome.error is not None:
            raise outcome.error
        if outcome.left is not None:
            raise _LeftError
        return outcome

    def _kept(self, pieces: Sequence[Piece]) -> Generator[Command, Outcome, None]:
        if pieces and self._thread is not None:
            yield from self._collected(Save(self._thread), pieces)

    def _added(
        self, node: str, messages: list[BaseMessage], more: Mapping[str, Any] | None = None
    ) -> Generator[Command, Outcome, None]:
        """Messages and keys are part of the state from now on."""
        self._set([*self.messages, *messages])
        self.extras |= more or {}
        kept = {key: value for key, value in (more or {}).items() if key not in OWN_KEYS}
        yield from self._kept([*messages, kept] if kept else messages)
        if self.shown is not None:
            self._enters(node)
            yield Emit(
                Update(node, {**({"messages": messages} if messages else {}), **(more or {})})
            )
            yield Emit(StepEnded())

    def _hooked(
        self, kind: str, hooks: Sequence[Any]
    ) -> Generator[Command, Outcome, list[BaseMessage] | None]:
        """Calls hooks; gives what the model is to be asked instead of the conversation, if any."""
        asked: list[BaseMessage] | None = None
        for hook in hooks:
            update = yield from self._collected(hook, self.state(), kind)
            asked = update.pop("llm_input_messages", asked)
            self._jumped |= update.pop("jump_to", None) is not None
            messages = self._each_removed(update.pop("messages", []))
            if messages or update:
                yield from self._added(hook.name, messages, update)
        return asked

    def _each_removed(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        """Messages in which those that are to go are named one by one, so that parts of the state
        add up to it. One that comes again goes as well: it stands where it comes."""
        all_of_them = [n for n, m in enumerate(messages) if m.id == REMOVE_ALL_MESSAGES]
        if not all_of_them:
            return messages
        kept = messages[all_of_them[-1] + 1 :]
        old = [m.id for m in self.messages if m.id is not None]
        return [*map(RemoveMessage, old), *kept]


class _LeftError(Exception):
    """The reader has gone: there is nothing more to do."""


_DOES: Mapping[type, Callable[[Session, Any], _Commands]] = {
    _loop.Ask: Session._ask,
    _loop.Call: Session._call,
    _loop.Wait: Session._wait,
    _loop.Remind: Session._remind,
    _loop.End: Session._end,
    _loop.Fail: Session._fail,
}
