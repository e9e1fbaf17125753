"""No process outlives the forkserver that made it."""

import subprocess
import sys

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
