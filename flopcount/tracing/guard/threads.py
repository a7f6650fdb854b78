"""Other threads: those that a forward pass starts or submits work to are watched; a count refuses tensor work in them.

The recording modes belong to one thread, and several threads run operators in varying order, so a count refuses a
forward pass that computes in other threads, and says why. Threads that do something else (a progress bar, reading a
file) run as usual. A thread that computes goes on without being recorded, so that a waiting forward pass gets its
answer; then the count is refused. If the thread that should answer has died, the wait ends in the same refusal and does
not hang: Python's own waits are watched, and waits in C are interrupted if a signal can do that.
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

_SLICE = 0.05  # seconds of a wait, before the next check that some thread can still end it
_PATIENCE = 2.0  # seconds to wait without such a thread
_LINGER = 10.0  # seconds for work that a forward pass submits and does not wait for


_WAKES = getattr(signal, "SIGURG", None)  # a signal that is ignored without a handler, as after the count


class Engine(Doorkeeper, Protocol):
    """The engine of a count, which also runs the operators of other threads."""

    inference: bool

    def aside(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """The result of an operator, without recording it."""


class Beside:
    """The work beside one count: threads that it started, work that it submitted, and whether any used tensors."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.owner = get_ident()
        self.over = False
        self.engine: Engine | None = None  # only while the forward pass runs; so long do other threads go on
        self.heard: Any = None  # the earlier handler of the signal
        self.worked = ""  # the name of a thread that used tensors
        self.died = False  # whether a thread that it started ended with an error
        self.hands_over = False
        self.threads: list[threading.Thread] = []
        self.futures: list[Future[Any]] = []
        self.bare: list[Future[Any]] = []  # threads without a Thread object
        self.on_answer: Callable[[], None] = lambda: None
        """Called if a wait ends although no watched thread ended it, so that its result is unknown."""

    def refuse(self) -> None:
        """Raise if any of the work used tensors.

        Raises:
            InputError: it did.
        """
        if self.worked:
            raise _refusal(f"{self.model} works in another thread ({self.worked}), which a count does not follow")

    def refuse_waiting(self) -> None:
        """Raise, since no watched thread can end a wait.

        Raises:
            InputError: always.
        """
        self.refuse()
        raise _refusal(f"{self.model} waits for another thread or process, which a count does not follow")

    def found_working(self, *, goes_on: bool = True) -> None:
        """Note that the current thread uses tensors.

        Raises:
            InputError: the thread may not go on.
        """
        name = next((thread.name for thread in threading.enumerate() if thread.ident == get_ident()), "a bare thread")
        self.worked = self.worked or name
        if not goes_on or self.engine is None:
            self.refuse()

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run an operator in the current thread."""
        engine = None if self.over else self.engine
        return func(*args, **kwargs) if engine is None else engine.aside(func, args, kwargs)

    def as_the_owner(self) -> AbstractContextManager[Any]:
        """Inference mode as in the forward pass, since tensors made in it cannot be used outside of it."""
        engine = None if self.over else self.engine
        return nullcontext() if engine is None else torch.inference_mode(engine.inference)

    @contextmanager
    def going_on(self, engine: Engine) -> Iterator[None]:
        """Let other threads go on while the forward pass runs."""
        self.engine = engine
        try:
            yield
        finally:
            self.engine = None

    def listen(self) -> None:
        """Let the death of a thread interrupt the owner, which only works in Python's main thread."""
        first = threading.current_thread() is threading.main_thread() and self.owner == get_ident()
        if first and self.heard is None and _WAKES and signal.getsignal(_WAKES) is signal.SIG_DFL:
            self.heard = signal.signal(_WAKES, self._woken)

    def wake(self) -> None:
        """Interrupt the owner's wait, which no other thread will end."""
        if self.heard is not None and self.engine is not None and _WAKES:
            signal.pthread_kill(self.owner, _WAKES)

    def _woken(self, *_: object) -> None:
        if self.engine is not None:
            self.engine = None  # once
            self.refuse()

    def listen_no_more(self) -> None:
        """Restore the handler of the signal."""
        if self.heard is not None and _WAKES:
            signal.signal(_WAKES, self.heard)

    @property
    def is_busy(self) -> bool:
        """Whether work that the forward pass started is still running."""
        pieces = (*self.futures, *self.bare)
        return any(map(threading.Thread.is_alive, self.threads)) or not all(future.done() for future in pieces)

    def end(self) -> None:
        """Wait for submitted work, and refuse if it used tensors.

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
    """A mode in a thread beside a count, to which any function of torch is work; after the count it does nothing."""

    def __init__(self, beside: Beside) -> None:
        super().__init__()
        self.beside = beside

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.beside.over:
            self.beside.found_working()
        with self.beside.as_the_owner():
            return func(*args, **(kwargs or {}))


class _NoOperator(TorchDispatchMode):
    """The same as `_NoFunction`, for operators that are called without a Python function."""

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


_running: dict[int, Beside] = {}  # by thread: that of its own count, or of the count that it runs beside
_counts: list[Beside] = []


class _Turn:
    """One count at a time, since a count changes state of the whole process.

    A thread may take it again within its own turn. A count in a thread that another count waits for is refused.
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
    """Watch the threads of a model that runs in this thread, until this context ends."""
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
    """The same function, under the modes that watch a thread."""

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


_theirs: dict[tuple[Any, str], Any] = {}  # the replaced functions: Python's, or those of another library


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
    """End a refused thread without a message on standard error, since the count reports it."""

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
    beside.hands_over = True  # the pool's own threads live on; each piece of work is watched instead
    try:
        future = submit(self, _adopted(beside, fn), *args, **kwargs)
    finally:
        beside.hands_over = False
    beside.futures.append(future)
    return future


def _wait(self: threading.Condition, timeout: float | None = None) -> bool:
    """Wait in slices, since the wait for a thread that died would never end."""
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
    """Restore the functions but keep `_theirs`, since another thread may still be in one of ours and read it."""
    for place, theirs in _theirs.items():
        setattr(*place, theirs)


def _in_child() -> None:
    """Restore everything in a process that is forked while a count runs, since it does not belong to the count."""
    if _counts:
        for beside in _counts:
            beside.over = True
        _counts.clear()
        _running.clear()
        _uninstall()


os.register_at_fork(after_in_child=_in_child)
