"""Load BERT-style weights without TensorFlow, into a tree of plain objects.

    python examples/load_bert_weights.py [PREFIX]

Without a prefix it makes a small checkpoint with BERT's names first. Needs NumPy and fastckpt.
"""

import re
import sys
from types import SimpleNamespace

import numpy as np

import fastckpt

SKIPPED = ("adam_v", "adam_m", "global_step", "AdamWeightDecayOptimizer")
RENAMED = {"kernel": "weight", "gamma": "weight", "beta": "bias"}


def make_small_bert(prefix: str) -> str:
    random = np.random.default_rng(0)
    shapes = {"bert/embeddings/word_embeddings": (30, 8), "bert/pooler/dense/kernel": (8, 8)}
    for layer in range(2):
        scope = f"bert/encoder/layer_{layer}/attention/self/query"
        shapes |= {f"{scope}/kernel": (8, 8), f"{scope}/bias": (8,)}
    arrays = {name: random.standard_normal(s).astype(np.float32) for name, s in shapes.items()}
    slots = {f"{name}/adam_m": np.zeros_like(array) for name, array in arrays.items()}
    return fastckpt.save(prefix, {**arrays, **slots, "global_step": np.int64(1000)})


def load(prefix: str) -> SimpleNamespace:
    model = SimpleNamespace()
    with fastckpt.open(prefix) as checkpoint:
        names = [n for n in checkpoint if not any(part in SKIPPED for part in n.split("/"))]
        # One parallel pass in the order of the file, each checksum compared.
        for name, array in checkpoint.load(names).items():
            place = model
            *scopes, last = name.split("/")
            for scope in scopes:
                for part in filter(None, re.split(r"_(\d+)$", scope)):
                    place = place.__dict__.setdefault(part, SimpleNamespace())
            value = array.T if last == "kernel" else array
            place.__dict__[RENAMED.get(last, last)] = value
            print(f"{name} {list(array.shape)}")
    return model


prefix = sys.argv[1] if len(sys.argv) > 1 else make_small_bert("bert/bert_model.ckpt")
model = load(prefix)
query = model.bert.encoder.layer.__dict__["0"].attention.self.query
print("layer 0, query:", query.weight.shape, query.weight.dtype, query.bias.shape)
