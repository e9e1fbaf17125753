"""The forkserver: a clean process with the heavy imports done, which forks the others.

A fork of it is in user code after some 10 ms, where a fresh interpreter takes half a
second. It has one thread, no ZeroMQ context and no user code. It ends when its supervisor
does, and so do its children: the kernel sees to both.

Why not ``multiprocessing``'s: its children inherit the descriptor that tells them that the
parent lives, so they outlive a killed supervisor; and it unpickles what it is sent.
"""

import contextlib
import ctypes
import functools
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from typing import Final

import msgspec

LARGEST_REQUEST: Final = 180_000  # bytes, one datagram
_DESCRIPTORS: Final = 3  # channel, stdout, stderr
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_FORK_TRIES: Final = 50
_MOST_DESCRIPTORS: Final = 4096  # the forkserver itself holds a dozen
_LARGEST_KEPT_BLOCK: Final = 16 << 20


class ForkRequest(msgspec.Struct, kw_only=True, tag=True):
    """Fork a process. Three descriptors come with it: channel, stdout, stderr."""

    number: int
    target: str
    """``job``, ``check`` or ``broker``"""
    name: str
    argument: bytes


class Forked(msgspec.Struct, kw_only=True, tag=True):
    """The process exists."""

    number: int
    pid: int


class Ended(msgspec.Struct, kw_only=True, tag=True):
    """A process ended; ``status`` as ``os.waitstatus_to_exitcode`` gives it."""

    pid: int
    status: int


Notice = Forked | Ended


def main() -> int:
    """Serve the socket that is standard input, until it ends."""
    # Before pyarrow and numpy are loaded: each would start threads of its own.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    parent = int(sys.argv[1])
    die_with_parent(parent)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The supervisor decides when this process ends: by closing the socket.
        signal.signal(number, signal.SIG_IGN)
    own = socket.socket(fileno=os.dup(0))
    _stdin_from_null()
    keep_freed_memory()
    _preload()
    return _serve(own)


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent ends, then look whether it has already.

    Linux only; elsewhere the end of the channel to the supervisor does it.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def keep_freed_memory() -> None:
    """Let large blocks that are freed be used again, here and in forks.

    glibc takes larger blocks than 128 kB from the kernel and gives them back when they are freed,
    and the kernel hands out their pages one by one: filling blocks of 1 MB, eight at a time, took
    fifty times as long as in pages that were kept. It raises its limit to the largest block that
    it has seen freed, and keeps up to twice as much (mallopt(3), M_MMAP_THRESHOLD). No page of
    this one is touched.
    """
    block = bytes(_LARGEST_KEPT_BLOCK)
    del block


def _preload() -> None:
    """Import what jobs need, so that forks share it."""
    import numpy  # noqa: F401
    import psutil  # noqa: F401
    import pyarrow.csv
    import pyarrow.ipc  # noqa: F401
    import zmq  # noqa: F401
    import zstandard  # noqa: F401

    import enrgdaq.daq.runner
    import enrgdaq.supervisor.check
    import enrgdaq.transport.broker  # noqa: F401

    # Not those of servers: their clients take longer than all of this, and few nodes have one.
    for store in ("csv", "hdf5", "memory", "raw", "root"):
        importlib.import_module(f"enrgdaq.daq.jobs.store.{store}")
    _leave_to_forks()


@functools.cache
def _preload_for_jobs() -> None:
    """The first conversion of Python objects imports pandas where it is installed.

    That takes a second, so it is done before the first job and not before the configuration is
    checked: mistakes are told, and a console is drawn, without it.
    """
    import pyarrow as pa

    pa.array([1.0])
    _leave_to_forks()


def _leave_to_forks() -> None:
    """Let no garbage collection look at what is loaded, here or in a fork.

    It is never garbage. Looking at it took half of the time of a job that gathers rows one by
    one.
    """
    gc.collect()
    gc.freeze()


def _serve(own: socket.socket) -> int:
    children: set[int] = set()
    wake_reader, wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    with selectors.DefaultSelector() as selector:
        selector.register(own, selectors.EVENT_READ)
        selector.register(wake_reader, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if wake_reader in ready:
                os.read(wake_reader, 4096)
            _reap(children, own)
            if own.fileno() in ready and not _take_request(own, children):
                # The supervisor is gone; what still runs must not outlive it.
                for pid in children:
                    os.kill(pid, signal.SIGKILL)
                for pid in children:
                    os.waitpid(pid, 0)
                return 0


def _take_request(own: socket.socket, children: set[int]) -> bool:
    try:
        data, descriptors, _, _ = socket.recv_fds(own, LARGEST_REQUEST + 1024, _DESCRIPTORS)
    except ConnectionResetError:
        return False
    if not data:
        return False
    request = msgspec.msgpack.decode(data, type=ForkRequest)
    # Asked for before the fork: a child whose forkserver is killed at once has another parent
    # by the time it could ask itself.
    forkserver = os.getpid()
    if request.target == "job":
        _preload_for_jobs()
    pid = _fork()
    if pid == 0:
        own.close()
        os._exit(_child(request, descriptors, forkserver))
    children.add(pid)
    for descriptor in descriptors:
        os.close(descriptor)
    with contextlib.suppress(ConnectionError):
        own.send(msgspec.msgpack.encode(Forked(number=request.number, pid=pid)))
    return True


def _fork() -> int:
    """Fork; a host that is short of processes or memory for a moment gets a few seconds."""
    for _ in range(_FORK_TRIES):
        with contextlib.suppress(BlockingIOError, MemoryError):
            return os.fork()
        time.sleep(0.1)
    return os.fork()


def _reap(children: set[int], own: socket.socket) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        code = os.waitstatus_to_exitcode(status)
        # A supervisor that is gone is noticed when the socket is read.
        with contextlib.suppress(ConnectionError):
            own.send(msgspec.msgpack.encode(Ended(pid=pid, status=code)))


def _child(request: ForkRequest, descriptors: list[int], forkserver: int) -> int:
    """Everything that a forked process does, up to its exit code."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        die_with_parent(forkserver)
        channel, stdout, stderr = descriptors
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.closerange(3, channel)
        os.closerange(channel + 1, _MOST_DESCRIPTORS)
        sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        _show_name(request.name)
        return _run(request, channel)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last frame of this process
        traceback.print_exc()
        return 1


def _run(request: ForkRequest, channel: int) -> int:
    from pathlib import Path

    import numpy as np

    from enrgdaq.daq.runner import decode_spec, run_job
    from enrgdaq.supervisor.check import run_check
    from enrgdaq.transport.broker import run_broker

    if request.target == "job":
        # A fork inherits numpy's global generator: two jobs would draw the same numbers.
        np.random.seed()
        return run_job(channel, decode_spec(request.argument))
    if request.target == "check":
        return run_check(channel)
    if request.target == "broker":
        run_broker(Path(request.argument.decode()))
    return 1


def _show_name(name: str) -> None:
    """Give the process a name that ``ps`` and ``top`` show."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_NAME, f"daq:{name}".encode()[:15], 0, 0, 0)


def _stdin_from_null() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
