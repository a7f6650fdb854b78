"""Other threads: what a forward pass starts or hands work to is watched, and refused once it works with tensors.

The modes that write down belong to one thread, and operators come in another order each time where several run, so a
forward pass that computes in others is refused, with the reason. Threads that do something else (a progress bar, a file
that is read) run as they would. One that computes goes on meanwhile, beside what is written down, so that whoever waits
for it has an answer; the count is refused then. A wait that nobody is left to end, since who should answer died of it,
ends in the same refusal and not in a hang: waits of Python's own are looked after, and others, which are in C, are
interrupted where a signal can do that.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from multiprocessing.process import BaseProcess
from threading import get_ident
from time import monotonic, sleep
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

from ...core.errors import InputError
from ..torch_private import TorchDispatchMode
from ..uncountable import Unknown, noted
from .exits import Doorkeeper, looked_after

__all__ = ["TURN", "Beside", "watched_threads"]

_SLICE = 0.05  # seconds of a wait, until we look whether somebody is left who can end it
_PATIENCE = 2.0  # seconds without such a one
_LINGER = 10.0  # seconds for work that a forward pass has handed over and does not wait for


_WAKES = getattr(signal, "SIGURG", None)  # a signal that does nothing where nobody listens, as after the count


class Engine(Doorkeeper, Protocol):
    """What writes down the count, and runs what goes on beside it."""

    inference: bool

    def aside(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What an operator gives, which is not written down."""


class Beside:
    """What runs beside one count: threads it started, work it handed over, and whether any computed with tensors."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.owner = get_ident()
        self.over = False
        self.engine: Engine | None = None  # while the forward pass runs; what works beside it goes on as long as that
        self.heard: Any = None  # what listened to the signal before
        self.worked = ""  # the name of a thread that did
        self.died = False  # whether a thread it started ended in an error
        self.hands_over = False
        self.threads: list[threading.Thread] = []
        self.futures: list[Future[Any]] = []
        self.bare: list[Future[Any]] = []  # threads that are no objects of Python's
        self.on_answer: Callable[[], None] = lambda: None
        """Called where a wait was ended by none of ours: what comes of it is not known."""

    def refuse(self) -> None:
        """Raise if any of it computed.

        Raises:
            InputError: it did.
        """
        if self.worked:
            raise _refusal(f"{self.model} works in another thread ({self.worked}), which a count does not follow")

    def refuse_waiting(self) -> None:
        """Raise since nobody is left to end a wait.

        Raises:
            InputError: always.
        """
        self.refuse()
        raise _refusal(f"{self.model} waits for another thread or process, which a count does not follow")

    def found_working(self, *, goes_on: bool = True) -> None:
        """The thread that runs this computes.

        Raises:
            InputError: so that it ends, unless it may go on.
        """
        name = next((thread.name for thread in threading.enumerate() if thread.ident == get_ident()), "a bare thread")
        self.worked = self.worked or name
        if not goes_on or self.engine is None:
            self.refuse()

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """An operator of the thread that runs this."""
        engine = None if self.over else self.engine
        return func(*args, **kwargs) if engine is None else engine.aside(func, args, kwargs)

    def as_the_owner(self) -> AbstractContextManager[Any]:
        """In inference mode, if the forward pass runs in it, as what it made can be used in no other."""
        engine = None if self.over else self.engine
        return nullcontext() if engine is None else torch.inference_mode(engine.inference)

    @contextmanager
    def going_on(self, engine: Engine) -> Iterator[None]:
        """While the forward pass runs, what works beside it goes on."""
        self.engine = engine
        try:
            yield
        finally:
            self.engine = None

    def listen(self) -> None:
        """Have the owner interrupted where a thread of its dies: only Python's first thread can be."""
        first = threading.current_thread() is threading.main_thread() and self.owner == get_ident()
        if first and self.heard is None and _WAKES and signal.getsignal(_WAKES) is signal.SIG_DFL:
            self.heard = signal.signal(_WAKES, self._woken)

    def wake(self) -> None:
        """End what the owner waits for, since nobody else will."""
        if self.heard is not None and self.engine is not None and _WAKES:
            signal.pthread_kill(self.owner, _WAKES)

    def _woken(self, *_: object) -> None:
        if self.engine is not None:
            self.engine = None  # once
            self.refuse()

    def listen_no_more(self) -> None:
        """Leave the signal as it was."""
        if self.heard is not None and _WAKES:
            signal.signal(_WAKES, self.heard)

    @property
    def is_busy(self) -> bool:
        """Whether something that the forward pass started is under way."""
        pieces = (*self.futures, *self.bare)
        return any(map(threading.Thread.is_alive, self.threads)) or not all(future.done() for future in pieces)

    def end(self) -> None:
        """Wait for what was handed over, and refuse if it computed.

        Raises:
            InputError: it did.
        """
        until = monotonic() + _LINGER
        for future in self.futures:
            while not future.done() and not self.worked and monotonic() < until:
                sleep(_SLICE)
        for thread in self.threads:
            if not thread.daemon:
                while thread.is_alive() and not self.worked and monotonic() < until:
                    thread.join(_SLICE)
        self.refuse()


def _refusal(what: str) -> Exception:
    fix = "let it do the same work in one thread while it is counted: the amount does not change"
    return noted(InputError(what, [("fix", fix)]))


class _NoFunction(TorchFunctionMode):
    """In a thread beside a count: any function of torch is work; after the count it is as if this were not there."""

    def __init__(self, beside: Beside) -> None:
        super().__init__()
        self.beside = beside

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.beside.over:
            self.beside.found_working()
        with self.beside.as_the_owner():
            return func(*args, **(kwargs or {}))


class _NoOperator(TorchDispatchMode):
    """As `_NoFunction`, for operators that no function of Python's stands before."""

    def __init__(self, beside: Beside) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.beside = beside

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as RecordingMode

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.beside.over:
            self.beside.found_working()
        return self.beside.run(func, args, kwargs or {})


_running: dict[int, Beside] = {}  # by thread: of the count in it, or of the count that it runs beside
_counts: list[Beside] = []


class _Turn:
    """One count at a time, since what it sets aside belongs to the whole process; refused beside one it would wait for.

    A thread may take it again within its own turn.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        beside = _running.get(get_ident())
        if beside is not None and beside.owner != get_ident() and not beside.over:
            beside.found_working(goes_on=False)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


TURN = _Turn()


@contextmanager
def watched_threads(model: str) -> Iterator[Beside]:
    """While a model runs in this thread. What it leaves running sees nothing of this afterwards."""
    outer = _running.get(get_ident())
    beside = _running[get_ident()] = Beside(model)
    _counts.append(beside)
    if len(_counts) == 1:
        _install()
    try:
        yield beside
    finally:
        beside.over = True
        beside.listen_no_more()
        _counts.remove(beside)
        if not _counts:
            _uninstall()
        if outer is None:
            del _running[get_ident()]
        else:
            _running[get_ident()] = outer


def _adopted(beside: Beside, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, watched."""

    def run(*args: Any, **kwargs: Any) -> Any:
        if beside.over:
            return function(*args, **kwargs)
        before = _running.get(get_ident())
        _running[get_ident()] = beside
        try:
            with ExitStack() as entered:
                if beside.engine is not None:
                    entered.enter_context(looked_after(beside.engine))
                entered.enter_context(_NoFunction(beside))
                entered.enter_context(_NoOperator(beside))
                return function(*args, **kwargs)
        finally:
            Unknown.last.pop(get_ident(), None)
            if before is None:
                del _running[get_ident()]
            else:
                _running[get_ident()] = before

    return run


_theirs: dict[tuple[Any, str], Any] = {}  # what is there otherwise: Python's, or that of whoever was here before


def _start_process(self: BaseProcess) -> None:
    beside = _running.get(get_ident())
    if beside is not None and not beside.over:
        beside.refuse_waiting()
    _theirs[BaseProcess, "start"](self)


def _start(self: threading.Thread) -> None:
    beside = _running.get(get_ident())
    if beside is not None and not beside.over and not beside.hands_over:
        self.run = _ending_quietly(beside, _adopted(beside, self.run))  # type: ignore[method-assign]
        beside.threads.append(self)
        beside.listen()
    _theirs[threading.Thread, "start"](self)


def _start_bare(function: Any, args: Any, kwargs: Any = None) -> Any:
    beside = _running.get(get_ident())
    if beside is not None and not beside.over:
        ended: Future[None] = Future()
        beside.bare.append(ended)
        beside.listen()
        function = _ending_quietly(beside, _adopted(beside, function), lambda: ended.set_result(None))
    return _theirs[_thread, "start_new_thread"](function, args, kwargs or {})


def _ending_quietly(
    beside: Beside, run: Callable[..., Any], ended: Callable[[], object] = lambda: None
) -> Callable[..., None]:
    """A thread that is refused ends; that is told by the count and not on standard error."""

    def quiet(*args: Any, **kwargs: Any) -> None:
        try:
            run(*args, **kwargs)
        except BaseException:
            beside.died = True
            if not beside.worked:
                raise
            beside.wake()
        finally:
            ended()

    return quiet


def _submit(self: ThreadPoolExecutor, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
    beside = _running.get(get_ident())
    submit: Callable[..., Future[Any]] = _theirs[ThreadPoolExecutor, "submit"]
    if beside is None or beside.over:
        return submit(self, fn, *args, **kwargs)
    beside.hands_over = True  # the pool's own threads live on, what they do here is watched piece by piece
    try:
        future = submit(self, _adopted(beside, fn), *args, **kwargs)
    finally:
        beside.hands_over = False
    beside.futures.append(future)
    return future


def _wait(self: threading.Condition, timeout: float | None = None) -> bool:
    """In slices, since a thread that dies under the count would let it wait for ever."""
    beside = _running.get(get_ident())
    wait: Callable[..., bool] = _theirs[threading.Condition, "wait"]
    if beside is None or beside.over or beside.owner != get_ident():
        return wait(self, timeout)
    until = None if timeout is None else monotonic() + timeout
    last_hope = monotonic()
    while True:
        left = _SLICE if until is None else min(_SLICE, until - monotonic())
        if left > 0 and wait(self, left):
            if not beside.threads and not beside.futures and not beside.bare:
                beside.on_answer()
            return True
        if until is not None and monotonic() >= until:
            return False
        beside.refuse()
        if beside.is_busy and not beside.died:
            last_hope = monotonic()
        elif monotonic() - last_hope > _PATIENCE:
            beside.refuse_waiting()


_OURS: dict[tuple[Any, str], Any] = {
    (threading.Thread, "start"): _start,
    (_thread, "start_new_thread"): _start_bare,
    (ThreadPoolExecutor, "submit"): _submit,
    (threading.Condition, "wait"): _wait,
    (BaseProcess, "start"): _start_process,
}


def _install() -> None:
    for place, ours in _OURS.items():
        _theirs[place] = getattr(*place)
        setattr(*place, ours)


def _uninstall() -> None:
    """Another thread may be within one of ours still, and ask for theirs."""
    for place, theirs in _theirs.items():
        setattr(*place, theirs)


def _in_child() -> None:
    """A process that is forked while a count runs is none of the count's."""
    if _counts:
        for beside in _counts:
            beside.over = True
        _counts.clear()
        _running.clear()
        _uninstall()


os.register_at_fork(after_in_child=_in_child)
