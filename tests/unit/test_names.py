"""Names of files and tensors."""

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastckpt import names
from fastckpt.names import data_file, index_file, near_names, strip_suffix, tensor_not_found

VARIABLE = "/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.mark.parametrize(
    ("path", "prefix", "kind"),
    [
        ("m", "m", "prefix"),
        ("dir/model.ckpt-1000", "dir/model.ckpt-1000", "prefix"),
        ("m.index", "m", "index"),
        ("m.meta", "m", "meta"),
        ("m.data-00000-of-00001", "m", "data"),
        ("m.data-123456-of-1234567", "m", "data"),
        ("m.index.index", "m.index", "index"),
        ("dir/.index", "dir/", "index"),
        ("m[1].index", "m[1]", "index"),
        # Not quite: too few digits, something behind, a directory of such a name.
        ("m.data-0000-of-00001", "m.data-0000-of-00001", "prefix"),
        ("m.data-00000-of-00001.tempstate12", "m.data-00000-of-00001.tempstate12", "prefix"),
        ("m.data-00000-of-00001\n", "m.data-00000-of-00001\n", "prefix"),
        ("m.index/", "m.index/", "prefix"),
        ("m-00000-of-00001", "m-00000-of-00001", "prefix"),
        ("index", "index", "prefix"),
    ],
)
def test_strip_suffix(path: str, prefix: str, kind: str):
    assert strip_suffix(path) == (prefix, kind)


@given(
    st.text(min_size=1),
    st.integers(min_value=0, max_value=10**7),
    st.integers(min_value=1, max_value=10**7),
)
def test_strip_suffix_undoes_the_builders(prefix: str, shard: int, num_shards: int):
    assert strip_suffix(data_file(prefix, shard, num_shards)) == (prefix, "data")
    assert strip_suffix(index_file(prefix)) == (prefix, "index")
    assert strip_suffix(names.meta_file(prefix)) == (prefix, "meta")


def test_data_file_pads_to_five_digits_and_grows():
    assert data_file("m", 1, 2) == "m.data-00001-of-00002"
    assert data_file("m", 0, 123456) == "m.data-00000-of-123456"


@pytest.mark.parametrize(
    ("asked", "known", "expected"),
    [
        ("w:0", ["b", "w"], ["w"]),
        ("DENSE/Kernel", ["dense/kernel", "dense/bias"], ["dense/kernel"]),
        ("/dense/kernel/", ["dense/kernel"], ["dense/kernel"]),
        ("dense/kernel", ["a", f"dense/kernel{VARIABLE}"], [f"dense/kernel{VARIABLE}"]),
        ("kernel", ["dense/bias", "dense/kernel"], ["dense/kernel"]),
        ("kernel", [f"dense/kernel{VARIABLE}"], [f"dense/kernel{VARIABLE}"]),
        ("model/dense/kernel", ["dense/kernel", "other/x"], ["dense/kernel"]),
        ("dense/kernl", ["dense/kernel", "zzz"], ["dense/kernel"]),
        ("Adam", ["w/Adam", "w/adamw"], ["w/Adam"]),
        ("nothing", ["xyz", "qqq"], []),
        ("", ["a"], []),
        ("a", [], []),
    ],
)
def test_near_names(asked: str, known: list[str], expected: list[str]):
    assert near_names(asked, known)[: len(expected) or None] == expected


def test_equal_but_for_form_comes_before_similar():
    known = ["conv/kernels", "conv/kernel_1", "CONV/KERNEL"]
    assert near_names("conv/kernel:0", known)[0] == "CONV/KERNEL"


def test_never_the_name_itself_and_never_more_than_asked():
    known = [f"layer_{i}/kernel" for i in range(50)]
    assert "layer_7/kernel" not in near_names("layer_7/kernel", known)
    assert len(near_names("layer/kernel", known)) == 3
    assert len(near_names("layer/kernel", known, n=5)) == 5
    assert near_names("layer/kernel", known, n=0) == []


def test_any_iterable_will_do():
    assert near_names("kernl", iter({"kernel": 1})) == ["kernel"]


MANY = sorted(
    f"encoder/layer_{i}/block_{j}/{last}"
    for i in range(100)
    for j in range(50)
    for last in ("Adam", "bias", "gamma", "kernel")
)


@pytest.mark.parametrize(
    ("asked", "best"),
    [
        ("encoder/layer_3/block_4/kernel:0", "encoder/layer_3/block_4/kernel"),
        ("Encoder/Layer_3/Block_4/Kernel", "encoder/layer_3/block_4/kernel"),
        ("layer_7/block_9/bias", "encoder/layer_7/block_9/bias"),
        ("model/encoder/layer_1/block_2/Adam", "encoder/layer_1/block_2/Adam"),
        ("encoder/layer_3/block_4/kernal", "encoder/layer_3/block_4/kernel"),
        ("encoder/layr_33/block_4/kernel", "encoder/layer_33/block_4/kernel"),
    ],
)
def test_best_match_among_many(asked: str, best: str):
    assert near_names(asked, MANY)[0] == best


def test_spelling_is_compared_for_a_bounded_number_of_names(monkeypatch: pytest.MonkeyPatch):
    compared = 0

    class Counting(difflib.SequenceMatcher):
        def set_seq1(self, a):
            nonlocal compared
            compared += 1
            super().set_seq1(a)

    monkeypatch.setattr(difflib, "SequenceMatcher", Counting)
    for asked in ("encoder/layer_0/block_0/kernl", "kernel", "encoder/layr_3/block_4/kernel", "z"):
        compared = 0
        near_names(asked, MANY)
        assert 0 < compared <= 256


@given(st.text(), st.lists(st.text(), unique=True), st.integers(0, 5))
def test_near_names_is_a_short_list_of_known_names(asked: str, known: list[str], n: int):
    found = near_names(asked, known, n)
    assert len(found) <= n
    assert len(set(found)) == len(found)
    assert set(found) <= set(known) - {asked}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (["w"], "no tensor 'w:0' in 'm' (1 tensor); did you mean 'w'?"),
        (["w", "W"], "no tensor 'w:0' in 'm' (2 tensors); did you mean 'w' or 'W'?"),
        ([], "no tensor 'w:0' in 'm' (0 tensors); list the names with: fastckpt ls m"),
    ],
)
def test_tensor_not_found(known: list[str], expected: str):
    assert tensor_not_found("w:0", known, "m") == expected
