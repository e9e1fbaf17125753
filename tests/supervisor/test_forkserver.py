"""The forkserver's children: none outlives it, and large blocks cost them little."""

import platform
import subprocess
import sys

import pytest

# A forkserver that is killed between the fork and the first line of its child.
SCRIPT = """
import os, sys, time
from enrgdaq.supervisor import forkserver

own = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == own:
    time.sleep(0.001)
channel, stdout, stderr = os.open(os.devnull, os.O_RDWR), os.dup(1), os.dup(2)
request = forkserver.ForkRequest(number=1, target="broker", name="broker", argument=b"/nowhere")
forkserver._run = lambda request, channel: os.write(1, b"it lives")
os._exit(forkserver._child(request, [channel, stdout, stderr], own))
"""


def test_child_of_a_forkserver_that_was_killed_at_once_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True
    )
    # The pipe ends when the orphan does, so everything that it said is here.
    assert (done.stdout, done.stderr) == ("", "")


# Blocks of 1 MB, eight at a time: in a fork, on its main thread and on another one.
FAULTS = """
import os, resource, threading
from enrgdaq.supervisor import forkserver

def turn():
    blocks = [b"1" * 1_000_000 for _ in range(8)]

def count():
    turn()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(20):
        turn()
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

{prepare}
if os.fork():
    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
count()
thread = threading.Thread(target=count)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have other habits")
def test_memory_of_large_blocks_is_used_again() -> None:
    def faults(prepare: str) -> list[int]:
        code = FAULTS.format(prepare=prepare)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
        )
        return [int(line) for line in done.stdout.split()]

    # How large a page is depends on the host.
    assert max(faults("forkserver.keep_freed_memory()")) < min(faults("")) / 10
