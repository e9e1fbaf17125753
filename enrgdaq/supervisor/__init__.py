"""Reads configs, makes rings, starts jobs, watches them, and stops them in order."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enrgdaq.supervisor.supervisor import Supervisor

__all__ = ["Supervisor"]


def __getattr__(name: str) -> Any:
    # `from enrgdaq.supervisor import Supervisor` is documented; clients of other modules in
    # this package should not pay for loading it.
    if name == "Supervisor":
        from enrgdaq.supervisor.supervisor import Supervisor

        return Supervisor
    raise AttributeError(name)
