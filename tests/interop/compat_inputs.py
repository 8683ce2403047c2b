"""What the programs of tests/compat_scripts read, made by TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1


def make_inputs(folder: Path) -> None:
    """Make all of it; `folder` is there and empty."""
    rng = np.random.default_rng(7)
    save_arrays(folder / "bert" / "bert_model.ckpt", bert_arrays(rng))
    save_arrays(folder / "gpt2" / "model.ckpt", gpt2_arrays(rng))
    save_arrays(folder / "t5" / "model.ckpt-1000", t5_arrays(rng))
    tf1.train.update_checkpoint_state(str(folder / "t5"), "model.ckpt-1000")
    save_arrays(folder / "mixed" / "ckpt", mixed_arrays())
    (folder / "empty").mkdir()
    make_run(folder / "run")
    make_trained(folder)
    make_objects(folder / "keras" / "ckpt", rng)
    make_saved_model(folder / "exported")


def save_arrays(prefix: Path, arrays: dict[str, np.ndarray]) -> None:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    names = sorted(arrays)
    values = [tf.constant(arrays[name]) for name in names]
    tf.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=values
    )


def bert_arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    arrays = {"global_step": np.array(1000, np.int64)}
    shapes = {
        "bert/embeddings/word_embeddings": (16, 4),
        "bert/embeddings/LayerNorm/gamma": (4,),
        "bert/encoder/layer_0/attention/self/query/kernel": (4, 6),
        "bert/encoder/layer_0/attention/self/query/bias": (6,),
        "bert/encoder/layer_0/attention/output/LayerNorm/beta": (4,),
        "bert/encoder/layer_1/intermediate/dense/kernel": (4, 8),
        "bert/pooler/dense/kernel": (4, 4),
        "output_weights": (2, 4),
        "output_bias": (2,),
    }
    for name, shape in shapes.items():
        arrays[name] = rng.standard_normal(shape).astype(np.float32)
        if name.endswith("kernel"):
            arrays[f"{name}/adam_m"] = np.zeros(shape, np.float32)
            arrays[f"{name}/adam_v"] = np.ones(shape, np.float32)
    return arrays


def gpt2_arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    shapes = {
        "model/wte": (10, 4),
        "model/wpe": (8, 4),
        "model/ln_f/g": (4,),
        "model/h0/attn/c_attn/w": (1, 4, 12),
        "model/h0/attn/c_attn/b": (12,),
        "model/h11/mlp/c_fc/w": (1, 4, 16),
    }
    return {name: rng.standard_normal(s).astype(np.float32) for name, s in shapes.items()}


def t5_arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    shapes = {
        "shared/embedding": (10, 4),
        "encoder/block_000/layer_000/SelfAttention/q": (4, 8),
        "encoder/block_000/layer_000/SelfAttention/q_slot_vr": (4,),
        "decoder/final_layer_norm/scale": (4,),
    }
    arrays = {name: rng.standard_normal(s).astype(np.float32) for name, s in shapes.items()}
    return {**arrays, "global_step": np.array(1000, np.int32)}


def mixed_arrays() -> dict[str, np.ndarray]:
    return {
        "f": np.array([1.5, -2.0], np.float32),
        "d": np.array(2.5),
        "h": np.array([[1], [2]], np.float16),
        "i8": np.array([-1, 2], np.int8),
        "u16": np.array([3], np.uint16),
        "b": np.array([True, False]),
        "c": np.array([1 + 2j], np.complex64),
        "s": np.array([b"ab", b"", b"xyz"], object),
        "none": np.zeros((0, 3), np.float32),
    }


def make_run(folder: Path) -> None:
    """Three checkpoints of one training, with a state file."""
    with tf.Graph().as_default(), tf1.Session() as sess:
        step = tf1.get_variable("global_step", initializer=np.array(0, np.int64), trainable=False)
        kernel = tf1.get_variable("dense/kernel", initializer=np.eye(2, dtype=np.float32))
        tf1.get_variable("dense/bias", initializer=np.zeros(2, np.float32))
        sess.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(save_relative_paths=True)
        for number in (0, 10, 20):
            step.load(number, sess)
            kernel.load(np.full((2, 2), number, np.float32), sess)
            saver.save(sess, str(folder / "model"), global_step=number)


def make_trained(folder: Path) -> None:
    """A linear model with momentum, its meta graph, and the frozen graph of it."""
    with tf.Graph().as_default() as graph, tf1.Session() as sess:
        x = tf1.placeholder(tf.float32, [None, 2], name="x")
        w = tf1.Variable(np.ones((2, 1), np.float32), name="w", use_resource=False)
        b = tf1.Variable(np.zeros(1, np.float32), name="b", use_resource=False)
        prediction = tf.add(tf.matmul(x, w), b, name="prediction")
        loss = tf.reduce_mean(tf.square(prediction - 1), name="loss")
        tf1.add_to_collection("losses", loss)
        train = tf1.train.MomentumOptimizer(0.1, 0.9, use_locking=False).minimize(loss)
        sess.run(tf1.global_variables_initializer())
        for _ in range(3):
            sess.run(train, {x: [[1.0, 2.0], [3.0, 4.0]]})
        saver = tf1.train.Saver(save_relative_paths=True)
        saver.save(sess, str(folder / "trained" / "model.ckpt"), global_step=3)
        frozen = tf1.graph_util.convert_variables_to_constants(
            sess, graph.as_graph_def(), ["prediction"]
        )
    tf1.train.write_graph(frozen, str(folder / "frozen"), "model.pb", as_text=False)


def make_objects(prefix: Path, rng: np.random.Generator) -> None:
    """Layers with kernels and biases, and the counter of an optimizer, by their places."""
    layers = []
    for rows, columns in ((3, 4), (4, 2)):
        layer = tf.Module()
        layer.kernel = tf.Variable(rng.standard_normal((rows, columns)).astype(np.float32))
        layer.bias = tf.Variable(rng.standard_normal(columns).astype(np.float32))
        layers.append(layer)
    model = tf.Module()
    model.layers = layers
    optimizer = {"iter": tf.Variable(3, dtype=tf.int64)}
    tf.train.Checkpoint(model=model, optimizer=optimizer).save(str(prefix))


def make_saved_model(folder: Path) -> None:
    with tf.Graph().as_default(), tf1.Session() as sess:
        x = tf1.placeholder(tf.float32, [None, 2], name="x")
        initial = np.array([[1], [2]], np.float32)
        w = tf1.get_variable("w", initializer=initial, use_resource=False)
        y = tf.matmul(x, w, name="y")
        sess.run(tf1.global_variables_initializer())
        tf1.saved_model.simple_save(sess, str(folder), {"x": x}, {"y": y})
