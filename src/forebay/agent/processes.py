"""Who tells a child that it was forked, and a process that it ends, where Python's own hooks do not: in uWSGI.

It forks in C and runs Python's hooks only if it is told to (`--py-call-uwsgi-fork-hooks`).  It has a hook of
its own, which uwsgidecorators shares out where it is installed and there is a master.  With gevent its workers
end without `atexit`, and call `uwsgi.atexit` alone.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

Hook = Callable[[], None]

HOOKS: Final = ("spooler", "mule_msg_hook", "post_fork_hook")
"""Of uWSGI, that uwsgidecorators sets."""


def after_in_child(start_afresh: Hook) -> None:
    """Call it in each child, before the host does anything there; twice does no harm."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=start_afresh)
    if (uwsgi := _uwsgi()) is not None:
        try:
            _decorators(uwsgi).postfork_chain.append(start_afresh)
        except Exception:  # then nobody else will use it either
            _chain(uwsgi, "post_fork_hook", start_afresh)


def at_exit(flush: Hook) -> None:
    """Call it when the process ends; perhaps twice."""
    atexit.register(flush)
    if (uwsgi := _uwsgi()) is not None:
        _chain(uwsgi, "atexit", flush)


def threads_run() -> bool:
    """False in a uWSGI whose threads run only while it answers requests: an older one that is not told otherwise."""
    return getattr(_uwsgi(), "has_threads", 1) != 0


def _uwsgi() -> Any:
    """The module that exists within uWSGI only; None elsewhere."""
    return sys.modules.get("uwsgi")


def _decorators(uwsgi: Any) -> Any:
    """Imported before the host may, since that takes the hooks' place; not if it would take the host's own."""
    if "uwsgidecorators" not in sys.modules and any(hasattr(uwsgi, name) for name in HOOKS):
        raise ImportError("the host has hooks of its own")
    return import_module("uwsgidecorators")


def _chain(uwsgi: Any, name: str, hook: Hook) -> None:
    before = getattr(uwsgi, name, None)

    def both() -> None:
        hook()
        if before is not None:
            before()

    setattr(uwsgi, name, both)
