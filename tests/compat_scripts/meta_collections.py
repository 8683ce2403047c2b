"""Import a meta graph, look through its collections, and save some of it."""

import tensorflow.compat.v1 as tf

with tf.Graph().as_default() as graph:
    saver = tf.train.import_meta_graph("trained/model.ckpt-3.meta", clear_devices=True)
    print(sorted(graph.get_all_collection_keys()))
    for v in tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES):
        print(
            v.name,
            v.op.name,
            v.dtype.base_dtype.name,
            v.shape.as_list(),
            v.get_shape().num_elements(),
        )
    print([v.name for v in tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope="w")])
    print([x.name for x in tf.get_collection("losses")])
    print(sorted({op.type for op in graph.get_operations() if op.name.startswith("w")}))
    keep = [v for v in tf.global_variables() if "Momentum" not in v.name]
    with tf.Session(graph=graph) as sess:
        saver.restore(sess, tf.train.latest_checkpoint("trained"))
        values = sess.run(keep)
        print([float(x.sum().round(4)) for x in values])
        small = tf.train.Saver(keep, max_to_keep=None)
        print(small.save(sess, "small/model", global_step=9, write_meta_graph=False))
        for v in keep:
            sess.run(v.assign(values[keep.index(v)] * 0))
        print([sess.run(v).tolist() for v in keep])
        small.restore(sess, "small/model-9")
        print(all((a == b).all() for a, b in zip(values, sess.run(keep), strict=True)))
        print(saver.last_checkpoints, [x.split("/")[-1] for x in small.last_checkpoints])
        gd = tf.graph_util.convert_variables_to_constants(
            sess, graph.as_graph_def(), ["prediction"]
        )
        print(len(gd.node), sorted(n.op for n in gd.node))
        tf.train.write_graph(gd, "small", "frozen.pb", as_text=False)
