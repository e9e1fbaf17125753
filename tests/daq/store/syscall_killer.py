"""Kills a child process in the middle of what it does to its files.

With ptrace: before its n-th call that changes a file, or by cutting that call's write at a
page boundary first, as a SIGKILL during a large write does. x86-64 only.
"""

import ctypes
import os
import platform
import select
import signal
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

PAGE: Final = 4096
_TRACEME, _GETREGS, _SETREGS, _SYSCALL, _SETOPTIONS = 0, 12, 13, 24, 0x4200
_MARK_SYSCALLS, _KILL_WITH_TRACER = 1, 0x100000
RDX, RSI, RDI, R10, ORIG_RAX = 12, 13, 14, 7, 15
_RAX: Final = 10
_WRITE, _PWRITE = 1, 18
# write pwrite writev pwritev pwritev2 ftruncate rename renameat renameat2 unlink unlinkat link
# linkat
_CHANGES: Final = frozenset({_WRITE, _PWRITE, 20, 296, 328, 77, 82, 264, 316, 87, 263, 86, 265})


Registers = ctypes.Array[ctypes.c_ulonglong]


def can_trace() -> bool:
    """Whether this machine's calls are known here, and tracing children is allowed."""
    if platform.machine() != "x86_64":
        return False
    try:
        return run_until_change(lambda: None, 1_000) is False
    except OSError:
        return False


def run_until_change(work: Callable[[], None], number: int, *, tears: bool = False) -> bool:
    """Run ``work`` in a child and kill it before its ``number``-th change of a file.

    With ``tears`` that write, if it crosses a page boundary, is done up to the boundary.
    Whether the child was killed; ``False`` when it ended before. Raises ``RuntimeError`` when
    the work failed.
    """
    child = TracedChild(work)
    seen = 0
    while (registers := child.next_call()) is not None:
        if registers[ORIG_RAX] not in _CHANGES or registers[RDI] in (1, 2):
            continue
        seen += 1
        if seen == number:
            if tears and _shorten(registers):
                child.replace_registers(registers)
                child.finish_call()
            child.kill()
            return True
    return False


class TracedChild:
    """A child process that stops before and after each of its system calls."""

    def __init__(self, work: Callable[[], None]) -> None:
        """Raises ``OSError`` where tracing is not allowed."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [
            *(ctypes.c_long, ctypes.c_long),
            *(ctypes.c_void_p, ctypes.c_void_p),
        ]
        self._libc.ptrace.restype = ctypes.c_long
        self._is_in_call = False
        self._has_ended = False
        self.pid = os.fork()
        if self.pid == 0:

            def traced() -> None:
                if self._libc.ptrace(_TRACEME, 0, None, None) != 0:
                    raise OSError(ctypes.get_errno(), "ptrace")
                os.kill(os.getpid(), signal.SIGSTOP)
                work()

            _be_child(traced)
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSTOPPED(status):
            raise OSError("tracing is not allowed here")
        self._ptrace(_SETOPTIONS, _MARK_SYSCALLS | _KILL_WITH_TRACER)

    def next_call(self) -> Registers | None:
        """Run to the beginning of the next call; ``None`` when the work is done."""
        if self._is_in_call:
            self.finish_call()
        return self._run()

    def finish_call(self) -> int:
        """Let the call at hand be done; returns its result."""
        registers = self._run()
        result = 0 if registers is None else registers[_RAX]
        return result - (1 << 64) if result >> 63 else result

    def replace_registers(self, registers: Registers) -> None:
        """Change what the call at hand is asked for."""
        self._ptrace(_SETREGS, ctypes.addressof(registers))

    def kill(self) -> None:
        """End the child."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _run(self) -> Registers | None:
        while not self._has_ended:
            self._ptrace(_SYSCALL)
            _, status = os.waitpid(self.pid, 0)
            if os.WIFEXITED(status):
                if os.WEXITSTATUS(status):
                    raise RuntimeError(f"the child failed with {os.WEXITSTATUS(status)}")
                self._has_ended = True
                break
            if os.WIFSIGNALED(status):
                raise RuntimeError(f"the child died of signal {os.WTERMSIG(status)}")
            if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
                self._is_in_call = not self._is_in_call
                registers = (ctypes.c_ulonglong * 27)()
                self._ptrace(_GETREGS, ctypes.addressof(registers))
                return registers
        return None

    def _ptrace(self, request: int, data: object = None) -> None:
        if self._libc.ptrace(request, self.pid, None, data) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")


def run_until_killed(work: Callable[[], None], seconds: float) -> bool:
    """Run ``work`` in a child and kill it after a while; whether it was killed."""
    pid = os.fork()
    if pid == 0:
        _be_child(work)
    handle = os.pidfd_open(pid)
    try:
        select.select([handle], [], [], seconds)
    finally:
        os.close(handle)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError(f"the child failed with {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


def _be_child(work: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        work()
        code = 0
    except Exception:  # noqa: BLE001 - shown in the output of the test
        traceback.print_exc()
    finally:
        os._exit(code)


def _shorten(registers: Registers) -> bool:
    """Let a write end at the last page boundary in it; whether there is one."""
    call, length = registers[ORIG_RAX], registers[RDX]
    if call not in (_WRITE, _PWRITE):
        return False
    begin = registers[R10] if call == _PWRITE else 0
    kept = (begin + length - 1) // PAGE * PAGE - begin
    if not 0 < kept < length:
        return False
    registers[RDX] = kept
    return True
