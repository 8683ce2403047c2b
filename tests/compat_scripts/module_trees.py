"""Modules of all shapes: shared, nested, replaced, deleted, with names to escape."""

import collections
from typing import NamedTuple

import tensorflow as tf


def names(path):
    return [n for n, _ in tf.train.list_variables(path)]


def check(what, build):
    try:
        print(what, names(build()))
    except ValueError:
        print(what, "ValueError")


shared = tf.Variable(1.0, name="shared")


class Pair(NamedTuple):
    left: object
    right: object


m = tf.Module(name="top")
m.b = shared
m.a = [shared, {"x.y": tf.Variable(2.0), "p/q": tf.Variable(3.0)}]
m.t = Pair(tf.Variable(4.0), [tf.Variable(5.0)])
m.o = collections.OrderedDict(z=tf.Variable(6.0), a=tf.Variable(7.0))
m.me = m
m.plain = {"n": 3, "text": "x"}
m.none = None
m.number = 5
print(names(tf.train.Checkpoint(m).save("trees/root")))
print(names(tf.train.Checkpoint(model=m, b=shared).save("trees/kw")))
m.b = tf.Variable(8.0)
m.number = tf.Variable(9.0)
del m.o
print(names(tf.train.Checkpoint(model=m).save("trees/changed")))
m.a.append(tf.Variable(10.0))
m.a[1]["new"] = tf.Variable(11.0)
check("appended", lambda: tf.train.Checkpoint(model=m).write("trees/appended"))
listed = [tf.Variable(1.0)]
held = tf.train.Checkpoint(listed=listed)
listed.append(tf.Variable(2.0))
check("changed outside", lambda: held.write("trees/outside"))
held = tf.train.Checkpoint(listed=[tf.Variable(1.0), tf.Variable(2.0)])
held.listed[0] = tf.Variable(3.0)
check("replaced", lambda: held.write("trees/replaced"))
check("number as key", lambda: tf.train.Checkpoint(d={1: tf.Variable(1.0)}).write("trees/keys"))
check("numbers", lambda: tf.train.Checkpoint(d={1: 2}, v=shared).write("trees/numbers"))
check("a variable as root", lambda: tf.train.Checkpoint(shared).write("trees/variable"))
inner = tf.train.Checkpoint(v=shared)
inner.save("trees/inner")
check("inner", lambda: tf.train.Checkpoint(inner=inner).save("trees/outer"))
try:
    tf.train.Checkpoint(m, b=tf.Variable(0.0))
except ValueError as error:
    print(error)
print([x.name for x in m.submodules], len(m.variables))


class Typed(tf.Module):
    @tf.Module.with_name_scope
    def build(self):
        self.w = tf.Variable([1.0], name="w")
        return self.w.name


typed = Typed()
print(typed.name, typed.build(), Typed(name="other").name, [v.name for v in typed.variables])
copy = Typed()
copy.build()
path = tf.train.Checkpoint(typed).write("trees/typed")
copy.w.assign([0.0])
print(tf.train.Checkpoint(copy).read(path).assert_consumed() is not None, copy.w.numpy())
