"""``tf.train.Saver`` for the variables of a graph of this namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fastckpt
from fastckpt.compat import modes
from fastckpt.compat.graph_mode import GraphKeys, Node, get_default_graph
from fastckpt.compat.variables import Variable

__all__ = ["Saver"]


class Saver:
    """Saves and restores variables, and what :class:`fastckpt.Saver` takes besides.

    Parameters
    ----------
    var_list : dict, list or None
        Variables; None for all of the default graph.
    *args, **kwargs
        As of :class:`fastckpt.Saver`.
    """

    def __init__(self, var_list: Any = None, *args: Any, **kwargs: Any) -> None:
        if var_list is None:
            graph = get_default_graph()
            var_list = graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
        self._saver = fastckpt.Saver(var_list, *args, **kwargs)
        found = var_list.values() if isinstance(var_list, Mapping) else var_list
        self._variables = [x for x in found if isinstance(x, Variable)]

    def save(
        self, sess: Any, save_path: Any, global_step: Any = None, *args: Any, **kwargs: Any
    ) -> str | None:
        """Save; see :meth:`fastckpt.Saver.save`."""
        if sess is None:
            modes.read_eagerly()
        for variable in self._variables:
            if not variable.is_initialized:
                variable.load(variable.value_now())
        if isinstance(global_step, str | Node):
            global_step = int(sess.run(global_step))
        return self._saver.save(None, save_path, global_step, *args, **kwargs)

    def restore(self, sess: Any, save_path: Any, **kwargs: Any) -> Any:
        """Restore; see :meth:`fastckpt.Saver.restore`."""
        if sess is None:
            modes.read_eagerly()
        found = self._saver.restore(None, save_path, **kwargs)
        for variable in self._variables:
            variable.is_initialized = True
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._saver, name)
