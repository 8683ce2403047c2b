"""Drawing an object graph as a tree, a line for each object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from fastckpt.graph.objects_names import VALUE, friendly_path

if TYPE_CHECKING:
    from fastckpt.graph.objects_nodes import Objects

__all__ = ["Item", "draw", "items"]


class Item(NamedTuple):
    """One line of a tree.

    Attributes
    ----------
    guides : str
        The branches in front.
    label : str
        Local name of the object; of a slot variable, the optimizer and the slot.
    number : int
        The object.
    shown_as : str or None
        Where the object is drawn elsewhere, its name there.
    more : int
        Children that are not drawn, since they lie too deep.
    is_slot : bool
        Whether it is a slot variable.
    """

    guides: str
    label: str
    number: int
    shown_as: str | None = None
    more: int = 0
    is_slot: bool = False


class _Waiting(NamedTuple):
    """A line to come, and what goes in front of the lines below it."""

    item: Item
    inner: str
    depth: int


def draw(
    graph: Objects, max_lines: int | None, max_depth: int, *, with_empty: bool
) -> Iterator[str]:
    """Draw the tree; see :meth:`ObjectGraph.tree`."""
    for count, item in enumerate(items(graph, max_depth, with_empty=with_empty)):
        if count == max_lines:
            yield f"… the first {max_lines} lines; there are {len(graph.nodes)} objects"
            return
        yield "  ".join(filter(None, (f"{item.guides}{item.label}", describe(graph, item))))


def describe(graph: Objects, item: Item) -> str:
    """Tell of the object of a line what is not its name."""
    if item.shown_as is not None:
        return f"= {item.shown_as}"
    node = graph.nodes[item.number]
    found = [_describe_attribute(graph, x.name, x.key) for x in node.attributes]
    if item.number in graph.optimizer_numbers:
        found.append("optimizer")
    if node.registered_saver is not None:
        found.append(f"saved by {node.registered_saver[0]}")
    if item.more:
        found.append(f"… {item.more} below")
    return ", ".join(found)


def items(graph: Objects, max_depth: int, *, with_empty: bool) -> Iterator[Item]:
    """List the lines of the tree; without recursion, since files may nest without bound."""
    slots = _slots_by_variable(graph)
    hidden = set() if with_empty else set(range(len(graph.nodes))) - graph.stored_numbers
    stack = [_Waiting(Item("", "(root)", 0), "", 0)]
    while stack:
        line = stack.pop()
        if line.item.shown_as is not None or line.item.is_slot:
            yield line.item
            continue
        below = list(slots.get(line.item.number, ()))
        below += (x for x in _children(graph, line.item.number) if x.number not in hidden)
        if line.depth == max_depth:
            yield line.item._replace(more=len(below))
            continue
        yield line.item
        stack += reversed(_hung(below, line))


def _hung(below: list[Item], parent: _Waiting) -> list[_Waiting]:
    """Put branches in front of the lines below one."""
    last = len(below) - 1
    lines = []
    for at, item in enumerate(below):
        mark, rest = ("└─ ", "   ") if at == last else ("├─ ", "│  ")
        line = item._replace(guides=f"{parent.inner}{mark}")
        lines.append(_Waiting(line, f"{parent.inner}{rest}", parent.depth + 1))
    return lines


def _children(graph: Objects, number: int) -> Iterator[Item]:
    for name, child in graph.nodes[number].children.items():
        label = friendly_path([name])
        if graph.is_home(number, name, child):
            yield Item("", label, child)
        else:
            yield Item("", label, child, graph.name(child) or "(root)")


def _slots_by_variable(graph: Objects) -> dict[int, list[Item]]:
    found: dict[int, list[Item]] = {}
    for optimizer in graph.optimizer_numbers:
        name = graph.name(optimizer)
        for x in graph.message.nodes[optimizer].slot_variables:
            label = f"{name}.{x.slot_name}" if name else x.slot_name
            item = Item("", f"({label})", x.slot_variable_node_id, is_slot=True)
            found.setdefault(x.original_variable_node_id, []).append(item)
    return found


def _describe_attribute(graph: Objects, name: str, key: str) -> str:
    if key not in graph.checkpoint:
        return name if name != VALUE else "(not stored)"
    handle = graph.checkpoint.tensor(key)
    text = f"{handle.tf_dtype} [{', '.join(map(str, handle.shape))}]"
    return text if name == VALUE else f"{name}: {text}"
