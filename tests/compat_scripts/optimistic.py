"""Restore what fits by name and shape, and list the rest, as fine-tuning programs do."""

import tensorflow as tf

tf1 = tf.compat.v1


def optimistic_restore(session, save_file, ignore=("output_bias",)):
    reader = tf1.train.NewCheckpointReader(save_file)
    saved = reader.get_variable_to_shape_map()
    names = sorted(
        (v.name, v.name.split(":")[0])
        for v in tf1.global_variables()
        if v.name.split(":")[0] in saved and v.op.name not in ignore
    )
    by_name = dict(
        zip(
            (v.name.split(":")[0] for v in tf1.global_variables()),
            tf1.global_variables(),
            strict=True,
        )
    )
    restore_vars = []
    with tf1.variable_scope("", reuse=True):
        for _, saved_name in names:
            current = by_name[saved_name]
            if current.get_shape().as_list() == saved[saved_name]:
                restore_vars.append(current)
            else:
                print("shape differs", saved_name, current.shape, saved[saved_name])
    tf1.train.Saver(restore_vars).restore(session, save_file)
    return [v.op.name for v in restore_vars]


with tf.Graph().as_default(), tf1.Session() as sess:
    tf1.get_variable("bert/pooler/dense/kernel", [4, 4])
    tf1.get_variable("output_weights", [3, 4])
    tf1.get_variable("output_bias", [2], initializer=tf1.constant_initializer(7))
    tf1.get_variable("head/new", [2], initializer=tf1.zeros_initializer)
    sess.run(tf1.variables_initializer(tf1.global_variables()))
    print(optimistic_restore(sess, "bert/bert_model.ckpt"))
    print(sess.run(by) if (by := tf1.global_variables("output_bias")) else None)
    print(float(sess.run(tf1.global_variables("bert")[0]).sum()) != 0)
    left = set(sess.run(tf1.report_uninitialized_variables()))
    print(left)
