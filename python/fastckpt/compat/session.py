"""``tf.Session``: reads and sets variables; what computes is handed to another engine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from fastckpt.compat import modes
from fastckpt.compat.graph_mode import Graph, Node, Operation, get_default_graph
from fastckpt.compat.variables import Variable
from fastckpt.errors import ClosedError, InvalidArgumentError
from fastckpt.graph import Operation as StoredOperation
from fastckpt.graph import Tensor as StoredTensor

__all__ = ["InteractiveSession", "Session", "get_default_session", "session_or_default"]

_local = threading.local()


class NoSessionError(InvalidArgumentError):
    """Something was to be evaluated, and there is no session."""


class Session:
    """Runs nodes of a graph.

    Parameters
    ----------
    target, config
        Accepted and of no effect: there is one place for everything.
    graph : Graph, optional
        The default graph unless given.
    """

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        self.sess_str = target
        self.config = config
        if graph is None:
            modes.decide_graph()
        self.graph = graph or get_default_graph()
        self._is_closed = False
        self._entered: list[Any] = []

    @property
    def graph_def(self) -> Any:
        """The GraphDef of the graph."""
        return self.graph.as_graph_def()

    def run(
        self,
        fetches: Any,
        feed_dict: Mapping[Any, Any] | None = None,
        options: Any = None,  # noqa: ARG002
        run_metadata: Any = None,  # noqa: ARG002
    ) -> Any:
        """Run what is asked for, and give the values in the same structure.

        Raises
        ------
        UnsupportedError
            It takes a computation, and no engine is installed that can do it.
        """
        if self._is_closed:
            raise ClosedError("Attempted to use a closed Session.")
        feeds = {self._element(key): value for key, value in (feed_dict or {}).items()}
        return self._fetched(fetches, feeds)

    def _fetched(self, fetches: Any, feeds: dict[Any, Any]) -> Any:
        if isinstance(fetches, Mapping):
            return {key: self._fetched(value, feeds) for key, value in fetches.items()}
        if isinstance(fetches, tuple) and hasattr(fetches, "_fields") and not _is_fetch(fetches):
            return type(fetches)(*(self._fetched(x, feeds) for x in fetches))
        if isinstance(fetches, list | tuple):
            return type(fetches)(self._fetched(x, feeds) for x in fetches)
        return self._evaluated(self._element(fetches), feeds)

    def _element(self, fetch: Any) -> Any:
        if isinstance(fetch, bytes):
            fetch = fetch.decode()
        if isinstance(fetch, str):
            is_tensor = ":" in fetch
            find = self.graph.get_tensor_by_name if is_tensor else self.graph.get_operation_by_name
            fetch = find(fetch)
        if isinstance(fetch, Operation):
            return self.graph.nodes.get(fetch.name, fetch)
        return fetch

    def _evaluated(self, element: Any, feeds: dict[Any, Any]) -> Any:
        if isinstance(element, Node):
            return feeds[element] if element in feeds else element.evaluate(self, feeds)
        if isinstance(element, StoredTensor | StoredOperation):
            return self._computed(element, feeds)
        raise InvalidArgumentError(
            f"Fetch argument {element!r} has invalid type {type(element).__name__}, must be a "
            "string or Tensor. (Can not convert it into a Tensor or Operation.)"
        )

    def _computed(self, element: Any, feeds: dict[Any, Any]) -> Any:
        """What the imported graph holds or computes."""
        from fastckpt.compat.importing import evaluate

        return evaluate(self.graph, element, feeds)

    def as_default(self) -> contextlib.AbstractContextManager[Self]:
        """Make this the default session meanwhile."""
        return _as_default(self)

    def close(self) -> None:
        """Close; idempotent."""
        self._is_closed = True

    def __enter__(self) -> Self:
        for context in (self.graph.as_default(), self.as_default()):
            context.__enter__()
            self._entered.append(context)
        return self

    def __exit__(self, *error: object) -> None:
        while self._entered:
            self._entered.pop().__exit__(*error)
        self.close()


class InteractiveSession(Session):
    """A session that is the default one until it is closed."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        _stack().append(self)

    def close(self) -> None:
        """Close, and no longer be the default."""
        if self in _stack():
            _stack().remove(self)
        super().close()


def get_default_session() -> Session | None:
    """Give the innermost session that was entered; None outside of all."""
    stack = _stack()
    return stack[-1] if stack else None


def session_or_default(session: Session | None) -> Session:
    """Give a session, or the default one.

    Raises
    ------
    NoSessionError
        There is none.
    """
    found = session or get_default_session()
    if found is None:
        raise NoSessionError(
            "Cannot evaluate tensor using `eval()`: No default session is registered. Use `with "
            "sess.as_default()` or pass an explicit session to `eval(session=sess)`"
        )
    return found


@contextlib.contextmanager
def _as_default(session: Any) -> Iterator[Any]:
    _stack().append(session)
    try:
        yield session
    finally:
        _stack().remove(session)


def _is_fetch(value: Any) -> bool:
    return isinstance(value, Operation)


def _stack() -> list[Session]:
    if not hasattr(_local, "sessions"):
        _local.sessions = []
    sessions: list[Session] = _local.sessions
    return sessions


def set_value(x: Variable, value: Any) -> None:
    """Set a variable: ``tf.keras.backend.set_value``."""
    x.load(np.asarray(value))
