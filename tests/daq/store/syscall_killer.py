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
_RDX, _RSI, _RDI, _R10, _ORIG_RAX = 12, 13, 14, 7, 15
_WRITE, _PWRITE = 1, 18
# write pwrite writev pwritev ftruncate rename renameat renameat2 unlink unlinkat link linkat
_CHANGES: Final = frozenset({_WRITE, _PWRITE, 20, 296, 77, 82, 264, 316, 87, 263, 86, 265})


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
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long

    def ptrace(request: int, pid: int, data: object = None) -> None:
        if libc.ptrace(request, pid, None, data) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    pid = os.fork()
    if pid == 0:

        def traced() -> None:
            if libc.ptrace(_TRACEME, 0, None, None) != 0:
                raise OSError(ctypes.get_errno(), "ptrace")
            os.kill(os.getpid(), signal.SIGSTOP)
            work()

        _be_child(traced)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):
        raise OSError("tracing is not allowed here")
    ptrace(_SETOPTIONS, pid, _MARK_SYSCALLS | _KILL_WITH_TRACER)
    seen = 0
    enters = True
    while True:
        ptrace(_SYSCALL, pid, None)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            if os.WEXITSTATUS(status):
                raise RuntimeError(f"the child failed with {os.WEXITSTATUS(status)}")
            return False
        if os.WIFSIGNALED(status):
            raise RuntimeError(f"the child died of signal {os.WTERMSIG(status)}")
        if os.WSTOPSIG(status) != signal.SIGTRAP | 0x80:
            continue
        if enters:
            registers = (ctypes.c_ulonglong * 27)()
            ptrace(_GETREGS, pid, ctypes.addressof(registers))
            if registers[_ORIG_RAX] in _CHANGES and registers[_RDI] not in (1, 2):
                seen += 1
                if seen == number:
                    if tears and _shorten(registers):
                        ptrace(_SETREGS, pid, ctypes.addressof(registers))
                        ptrace(_SYSCALL, pid, None)
                        os.waitpid(pid, 0)
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    return True
        enters = not enters


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


def _shorten(registers: "ctypes.Array[ctypes.c_ulonglong]") -> bool:
    """Let a write end at the last page boundary in it; whether there is one."""
    call, length = registers[_ORIG_RAX], registers[_RDX]
    if call not in (_WRITE, _PWRITE):
        return False
    begin = registers[_R10] if call == _PWRITE else 0
    kept = (begin + length - 1) // PAGE * PAGE - begin
    if not 0 < kept < length:
        return False
    registers[_RDX] = kept
    return True
