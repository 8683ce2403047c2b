"""inspect_checkpoint in its three modes."""

from tensorflow.python.tools.inspect_checkpoint import print_tensors_in_checkpoint_file

print_tensors_in_checkpoint_file("run/model-20", tensor_name="", all_tensors=True)
print_tensors_in_checkpoint_file("run/model-20", tensor_name="dense/kernel", all_tensors=False)
print_tensors_in_checkpoint_file("run/model-20", tensor_name="", all_tensors=False)
print_tensors_in_checkpoint_file(
    "run/model-20", tensor_name="", all_tensors=False, all_tensor_names=True,
    count_exclude_pattern="bias",
)  # fmt: skip
print_tensors_in_checkpoint_file("run/model-20", tensor_name="nope", all_tensors=False)
