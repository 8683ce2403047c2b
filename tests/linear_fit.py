"""Fit a line, saving after each step: the program that tests kill and start again.

Run as ``linear_fit.py FRAMEWORK DIRECTORY STEPS``. It goes on from the latest checkpoint, prints
``from N`` and then each step whose save has returned. `run` does the same in this process.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastckpt.training.saver import Saver
from fastckpt.training.state_functions import latest_checkpoint
from fastckpt.training.variables import Variable, reset_default_collection

RATE, MOMENTUM = 0.1, 0.9

Report = Callable[[str], None]


def batch(step: int) -> tuple[Any, Any]:
    """Points near y = 3 x + 2, others at each step."""
    rng = np.random.default_rng(step)
    x = rng.random((32, 1), np.float32)
    return x, 3 * x + 2 + rng.normal(0, 0.01, (32, 1)).astype(np.float32)


def numpy_fit(directory: str, steps: int, report: Report) -> list[float]:
    """Arrays in a dict, some of them replaced at each step and some changed in place."""
    state: dict[str, Any] = {"w": np.zeros(2), "velocity": np.zeros(2), "step": np.array(0)}
    saver = Saver(state, max_to_keep=4)
    if latest := latest_checkpoint(directory):
        saver.restore(latest)
    report(f"from {int(state['step'])}")
    while state["step"] < steps:
        x, y = batch(int(state["step"]))
        error = state["w"][0] * x + state["w"][1] - y
        state["velocity"] = MOMENTUM * state["velocity"] - RATE * np.array(
            [(error * x).mean(), error.mean()]
        )
        state["w"] += state["velocity"]
        state["step"] = state["step"] + 1
        saver.save(f"{directory}/my-model", global_step=int(state["step"]))
        report(str(state["step"]))
    return [*state["w"].tolist(), *state["velocity"].tolist()]


def variable_fit(directory: str, steps: int, report: Report) -> list[float]:
    """Variables of the default collection, and a Saver that finds them."""
    reset_default_collection()
    w, velocity, step = Variable([0.0, 0.0], "w"), Variable([0.0, 0.0]), Variable(0, "step")
    saver = Saver(max_to_keep=4)
    if latest := latest_checkpoint(directory):
        saver.restore(None, latest)
    report(f"from {int(step.value)}")
    while step.value < steps:
        x, y = batch(int(step.value))
        error = w.value[0] * x + w.value[1] - y
        velocity.assign(
            MOMENTUM * velocity.value - RATE * np.stack([(error * x).mean(), error.mean()])
        )
        w.assign_add(velocity.value)
        step.assign_add(1)
        saver.save(None, f"{directory}/my-model", int(step.value))
        report(str(step.value))
    return [*w.value.tolist(), *velocity.value.tolist()]


def tensorflow_fit(directory: str, steps: int, report: Report, *, resource: bool) -> list[float]:
    """A graph, a session and a momentum optimizer, as in the tutorials."""
    import tensorflow as tf

    tf1 = tf.compat.v1
    with tf.Graph().as_default(), tf1.variable_scope("", use_resource=resource):
        x, y = (tf1.placeholder(tf.float32, [None, 1], name) for name in "xy")
        w = tf1.get_variable("w", [1, 1], initializer=tf1.zeros_initializer())
        b = tf1.get_variable("b", [1], initializer=tf1.zeros_initializer())
        loss = tf.reduce_mean((tf.matmul(x, w) + b - y) ** 2)
        step = tf1.train.get_or_create_global_step()
        train = tf1.train.MomentumOptimizer(RATE, MOMENTUM).minimize(loss, step)
        saver = Saver(max_to_keep=4)
        with tf1.Session() as session:
            if latest := latest_checkpoint(directory):
                saver.restore(session, latest)
            else:
                session.run(tf1.global_variables_initializer())
            done = int(session.run(step))
            report(f"from {done}")
            for number in range(done, steps):
                points = batch(number)
                session.run(train, {x: points[0], y: points[1]})
                saver.save(session, f"{directory}/my-model", global_step=step)
                report(str(number + 1))
            return [float(value.sum()) for value in session.run(tf1.global_variables())]


def torch_fit(directory: str, steps: int, report: Report) -> list[float]:
    """A module, the velocities beside it, and the step."""
    import torch

    torch.manual_seed(0)
    net = torch.nn.Linear(1, 1)
    velocity = {name: torch.zeros_like(x) for name, x in net.state_dict().items()}
    step = torch.tensor(0)
    saver = Saver({"net": net, "velocity": velocity, "step": step}, max_to_keep=4)
    if latest := latest_checkpoint(directory):
        saver.restore(latest)
    report(f"from {step.item()}")
    while step < steps:
        x, y = map(torch.from_numpy, batch(int(step)))
        net.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                velocity[name].mul_(MOMENTUM).sub_(RATE * parameter.grad)
                parameter.add_(velocity[name])
        step += 1
        saver.save(f"{directory}/my-model", global_step=int(step))
        report(str(step.item()))
    return [x.item() for x in (*net.parameters(), *velocity.values())]


def jax_fit(directory: str, steps: int, report: Report) -> list[float]:
    """A pytree in a dict, new at each step."""
    import jax
    import jax.numpy as jnp

    def loss(params: Any, x: Any, y: Any) -> Any:
        return jnp.mean((params["w"] * x + params["b"] - y) ** 2)

    params = {"w": jnp.zeros(()), "b": jnp.zeros(())}
    state = {"params": params, "velocity": params, "step": jnp.array(0)}
    saver = Saver(state, max_to_keep=4)
    if latest := latest_checkpoint(directory):
        saver.restore(latest)
    report(f"from {int(state['step'])}")
    gradient = jax.jit(jax.grad(loss))
    while state["step"] < steps:
        slopes = gradient(state["params"], *batch(int(state["step"])))
        state["velocity"] = jax.tree.map(
            lambda v, g: MOMENTUM * v - RATE * g, state["velocity"], slopes
        )
        state["params"] = jax.tree.map(jnp.add, state["params"], state["velocity"])
        state["step"] += 1
        saver.save(f"{directory}/my-model", global_step=int(state["step"]))
        report(str(state["step"]))
    return [float(x) for x in jax.tree.leaves((state["params"], state["velocity"]))]


def run(
    framework: str, directory: Path, steps: int, report: Report = lambda _: None
) -> list[float]:
    """Fit to the end, and give every number that the training keeps."""
    fits: dict[str, Callable[..., list[float]]] = {
        "numpy": numpy_fit,
        "variable": variable_fit,
        "ref": lambda *args: tensorflow_fit(*args, resource=False),
        "resource": lambda *args: tensorflow_fit(*args, resource=True),
        "torch": torch_fit,
        "jax": jax_fit,
    }
    return fits[framework](str(directory), steps, report)


def run_killed(framework: str, directory: Path, steps: int, *, kill_after: int) -> list[int]:
    """Run processes, each killed after so many saves, until one reaches the end.

    Returns
    -------
    list of int
        Where each of them started. None starts before a save that returned in the one before.
    """
    starts: list[int] = []
    saved = 0
    command = [sys.executable, __file__, framework, str(directory), str(steps)]
    while saved < steps:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            starts.append(int(process.stdout.readline().removeprefix("from ")))
            assert starts[-1] >= saved, "a save that had returned is lost"
            for count, line in enumerate(process.stdout, start=1):
                saved = int(line)
                if count == kill_after:
                    process.kill()
                    break
        expected = {-signal.SIGKILL} if saved < steps else {0, -signal.SIGKILL}
        assert process.returncode in expected
    return starts


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), lambda line: print(line, flush=True))
