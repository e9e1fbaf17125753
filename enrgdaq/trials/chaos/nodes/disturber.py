"""Carries out the steps of a plan on nodes and links, and puts them on their feet again."""

import signal
from collections.abc import Callable
from typing import Final

from enrgdaq.errors import EnrgdaqError
from enrgdaq.transport.faults import Fault
from enrgdaq.trials.chaos import processes
from enrgdaq.trials.chaos.course import Course
from enrgdaq.trials.chaos.nodes.members import Link, Members
from enrgdaq.trials.chaos.nodes.plan import HUB, LINK_DEEDS, SERVER_DEEDS, Deed, NodeStep
from enrgdaq.trials.chaos.plan import SUPERVISOR
from enrgdaq.trials.chaos.report import Deeds
from enrgdaq.trials.chaos.system import System

_AIM_SECONDS: Final = 10.0


class NodeCourse(Course):
    """The course of one node."""

    def __init__(self, name: str, system: System, deeds: Deeds) -> None:
        super().__init__(system, deeds)
        self.name = name

    def complain(self, text: str) -> None:
        """Note what should not be so, and where."""
        super().complain(f"{self.name}: {text}")


class NodesDisturber:
    """Does one step after the other."""

    def __init__(self, members: Members, deeds: Deeds) -> None:
        self.members = members
        self.deeds = deeds
        self.courses = {
            name: NodeCourse(name, system, deeds) for name, system in members.systems.items()
        }
        self._hub = self.courses[HUB]
        """Keeps what lasts, of all nodes and links: while it waits, everything ends in time."""

    def carry_out(self, step: NodeStep) -> None:
        """Do one step; what lasts goes on beside the next ones."""
        self.look_after()
        self.wait(step.pause_seconds)
        if step.deed in LINK_DEEDS:
            self._disturb_link(step)
        elif step.deed in SERVER_DEEDS:
            self._disturb_server(step)
        else:
            self._hub.relieve(step.node)
            self.courses[step.node].ensure_running()
            _DEEDS[step.deed](self, step, self.courses[step.node])

    def start_all(self) -> None:
        """End everything that lasts, and let all nodes run."""
        for course in self.courses.values():
            course.give_up()
        for link in self.members.links.values():
            # The end of an outage may have been interrupted.
            link.mend()
        self.members.start_servers()
        for course in self.courses.values():
            if course.node.pid is None:
                course.node.launch()
        for course in self.courses.values():
            course.ensure_running()

    def look_after(self) -> None:
        """Nodes that were not killed run; else it is a complaint, and they are started."""
        for course in self.courses.values():
            if not course.is_down:
                course.ensure_running()

    def wait(self, seconds: float) -> None:
        """Let time pass, ending what lasts in time."""
        self._hub.wait(seconds)

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition; whether it came."""
        return self._hub.wait_for(condition, seconds)

    def _disturb_link(self, step: NodeStep) -> None:
        link = self.members.links[step.node]
        lasting = f"link of {step.node}"
        self._hub.relieve(lasting)
        _LINK_DEEDS[step.deed](link)
        self.deeds.note(self.deeds.others, step.deed.value)
        self._hub.last(lasting, step.seconds, link.mend)

    def _disturb_server(self, step: NodeStep) -> None:
        server, deeds = self.members.servers[step.node], self.deeds
        self._hub.relieve(step.node)
        if step.deed is Deed.SERVER_KILL:
            server.kill()
            deeds.note(deeds.kills, step.node)
        else:
            (server.freeze if step.deed is Deed.SERVER_FREEZE else server.stop)()
            deeds.note(deeds.others, step.deed.value)
        is_frozen = step.deed is Deed.SERVER_FREEZE
        self._hub.last(step.node, step.seconds, server.thaw if is_frozen else server.launch_again)

    def _kill(self, step: NodeStep, course: NodeCourse) -> None:
        opened = course.open(step.target)
        if opened is None:
            course.complain(f"{step.target} was not there to be killed")
            return
        if opened.signal(signal.SIGKILL):
            self.deeds.note(self.deeds.kills, f"{course.name}/{step.target}")
        opened.close()
        if step.target == SUPERVISOR:
            self._stay_down(step, course)

    def _kill_all(self, step: NodeStep, course: NodeCourse) -> None:
        pid = course.node.pid
        if pid is None:
            return
        for opened in processes.open_all(pid):
            opened.signal(signal.SIGKILL)
            opened.close()
        self.deeds.note(self.deeds.kills, f"{course.name}/everything")
        self._stay_down(step, course)

    def _stay_down(self, step: NodeStep, course: NodeCourse) -> None:
        if course.node.wait_for_end(course.patience_seconds) is None:
            raise EnrgdaqError(f"{course.name}: the supervisor did not die of SIGKILL")
        course.is_down = True
        self._hub.last(course.name, step.seconds, course.ensure_running)

    def _aim(self, step: NodeStep, course: NodeCourse) -> None:
        # Points are passed while records cross.
        self._hub.relieve()
        armed = course.arm(step.point, step.target, Fault(action="kill", nth=step.nth))
        if self.wait_for(lambda: not armed.exists(), _AIM_SECONDS):
            self.deeds.note(self.deeds.kills, f"at {step.point}")
            self.deeds.note(self.deeds.points, step.point)
        else:
            armed.unlink(missing_ok=True)
            self.deeds.missed_points.append(f"{step.point} by {course.name}/{step.target}")


_LINK_DEEDS: Final[dict[Deed, Callable[[Link], None]]] = {
    Deed.CUT: Link.cut,
    Deed.REFUSE: Link.refuse,
    Deed.STALL: Link.stall,
    Deed.FORGET: Link.forget,
}

_DEEDS: Final[dict[Deed, Callable[[NodesDisturber, NodeStep, NodeCourse], None]]] = {
    Deed.KILL: NodesDisturber._kill,
    Deed.KILL_ALL: NodesDisturber._kill_all,
    Deed.AIM: NodesDisturber._aim,
}
