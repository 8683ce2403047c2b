"""One restore: stored objects are matched with those of the program by the names of children."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.errors import InvalidArgumentError, TensorNotFoundError
from fastckpt.graph.objects_names import VALUE
from fastckpt.graph.objects_nodes import Objects
from fastckpt.training.objects.rules import Rules
from fastckpt.training.objects.tracking import Awaited, dependencies_of
from fastckpt.training.saver_restore import assign_stored
from fastckpt.training.variables import Target

__all__ = ["Restoration", "assign_variables"]

_log = logging.getLogger("fastckpt")

_FIRST = 10  # of what is left over, so many are named


class Restoration:
    """Values of a checkpoint for the objects of a program, those included that are made later.

    Attributes
    ----------
    bound : dict of int to object
        What the stored objects are in the program, by their numbers.
    is_quiet : bool
        Whether to say nothing of values that nothing took.
    """

    def __init__(self, checkpoint: Checkpoint, rules: Rules) -> None:
        # Set first, for __del__.
        self.is_quiet = True
        self._checkpoint = checkpoint
        self._objects = Objects(checkpoint)
        self._rules = rules
        self.bound: dict[int, Any] = {}
        self._bound_ids: set[int] = set()

    def restore(self, root: Any, attached: Mapping[str, Any]) -> None:
        """Restore a root and all that it holds; `attached` are children besides its own."""
        self._bind(0, root, attached)
        self.is_quiet = False

    def bind(self, number: int, value: Any) -> None:
        """Give an object, and what it holds, the values of a stored one.

        Raises
        ------
        InvalidArgumentError
            A stored tensor does not fit its variable; no variable was assigned then.
        """
        self._bind(number, value, {})

    def assign_again(self) -> None:
        """Give all variables their stored values again."""
        self._assign(dict(self.bound))

    def is_bound(self, value: Any) -> bool:
        """Whether an object of the program has a stored one."""
        return id(value) in self._bound_ids

    def unresolved(self) -> list[int]:
        """List the stored objects that have values and are no object of the program."""
        nodes = enumerate(self._objects.message.nodes)
        return [number for number, x in nodes if x.attributes and number not in self.bound]

    def unused(self) -> Iterator[str]:
        """Name the stored values that the objects of the program have no use for."""
        for number, value in self.bound.items():
            takes = self._rules.is_variable(value)
            for x in self._objects.message.nodes[number].attributes:
                if not takes or x.name != VALUE:
                    yield f"{self.name(number)}: {x.name}"

    def name(self, number: int) -> str:
        """Name a stored object: ``(root).model.layers[0]``."""
        name = self._objects.name(number)
        return f"(root){name}" if name.startswith("[") else f"(root).{name}" if name else "(root)"

    # --- helpers ------------------------------------------------------------------------------

    def _bind(self, number: int, value: Any, attached: Mapping[str, Any]) -> None:
        new: dict[int, Any] = {}
        waiting = deque([(number, value)])
        while waiting:
            number, value = waiting.popleft()
            before = self.bound.get(number, new.get(number))
            if before is not None:
                self._check_same(number, before, value)
                continue
            new[number] = value
            waiting.extend(self._children(number, value, attached))
        self._assign(new)
        self.bound.update(new)
        self._bound_ids.update(map(id, new.values()))

    def _children(
        self, number: int, value: Any, attached: Mapping[str, Any]
    ) -> Iterator[tuple[int, Any]]:
        """Give the children that both sides have, and let the program's object wait for others."""
        dependencies = dependencies_of(value)
        children = {} if dependencies is None else dependencies.children
        if number == 0:
            children = {**children, **attached}
        for name, child in self._objects.nodes[number].children.items():
            if name in children:
                yield child, children[name]
            elif dependencies is not None:
                dependencies.awaited[name] = Awaited(self, child)

    def _check_same(self, number: int, before: Any, value: Any) -> None:
        if before is not value:
            _log.warning(
                "Inconsistent references when loading the checkpoint into this object graph: %s "
                "is one object there, and two here: %r and %r. Only the first has its value.",
                self.name(number),
                before,
                value,
            )

    def _assign(self, found: Mapping[int, Any]) -> None:
        variables: dict[str, Any] = {}
        for number, value in found.items():
            if self._rules.is_variable(value):
                for x in self._objects.message.nodes[number].attributes:
                    if x.name == VALUE:
                        variables[x.checkpoint_key] = value
        assign_variables(self._checkpoint, variables, self._rules)

    def __del__(self) -> None:
        # Nobody asked what became of the values, so that it is said here.
        if self.is_quiet or sys.is_finalizing():
            return
        left = self.unresolved()
        for number in left[:_FIRST]:
            _log.warning(
                "Value in checkpoint could not be found in the restored object: %s",
                self.name(number),
            )
        if left:
            _log.warning(
                "%d values of %r were not restored; ask the result of restore() for "
                "assert_consumed(), or tell it expect_partial()",
                len(left),
                self._checkpoint.prefix,
            )


def assign_variables(checkpoint: Checkpoint, variables: Mapping[str, Any], rules: Rules) -> None:
    """Give variables the values of these keys, all of them or none.

    Raises
    ------
    TensorNotFoundError
        A key that the object graph has, and the checkpoint has not.
    InvalidArgumentError
        A stored tensor of another shape or type; a ValueError.
    """
    found: dict[str, int] = {}
    named: dict[str, list[Target]] = {}
    for key, variable in variables.items():
        if key not in checkpoint:
            raise TensorNotFoundError(
                f"{checkpoint.prefix!r} tells of {key!r} and does not hold it; it is damaged, or "
                "was pruned",
                path=checkpoint.prefix,
                key=key,
            )
        stored = checkpoint.tensor(key)
        found[key] = stored.id
        target = rules.target(variable).with_key(key)
        _check_fits(checkpoint, stored, target)
        named[key] = [target]
    assign_stored(checkpoint.bundle, found, named)
    for variable in variables.values():
        rules.is_set(variable)


def _check_fits(checkpoint: Checkpoint, stored: StoredTensor, target: Target) -> None:
    reason = target.mismatch(stored.tf_dtype, stored.shape)
    if reason is None:
        return
    shape = "" if target.shape == stored.shape else (
        f"Received incompatible tensor with shape {stored.shape} when attempting to restore "
        f"variable with shape {target.shape} and name {target.name}. "
    )  # fmt: skip
    raise InvalidArgumentError(
        f"{shape}{stored.name} of {checkpoint.prefix!r}: {reason}. Nothing was assigned.",
        path=checkpoint.prefix,
        key=stored.name,
    )
