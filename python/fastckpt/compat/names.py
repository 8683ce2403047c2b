"""Which names of TensorFlow there are here, and what stands behind each.

Paths are written without ``tensorflow.``, and in the short form of TensorFlow 1: ``train.Saver``
is ``tf.train.Saver``, ``tf.compat.v1.train.Saver`` and what ``tensorflow.python.training.saver``
has.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["VERSION", "advice", "find", "is_namespace", "members"]

# The version whose names these are.
VERSION = "2.21.0"


def _rows(folder: str, module: str, words: str, prefix: str = "") -> dict[str, str]:
    """Rows for `words` of one namespace, each the attribute of that name of a module."""
    at = f"{folder}." if folder else ""
    return {f"{at}{word}": f"{module}:{prefix}{word}" for word in words.split()}


def _renamed(folder: str, module: str, pairs: str) -> dict[str, str]:
    """Rows written as ``Name=attribute``."""
    at = f"{folder}." if folder else ""
    split = (pair.partition("=") for pair in pairs.split())
    return {f"{at}{name}": f"{module}:{attribute}" for name, _, attribute in split}


_DTYPES = (
    "float16 float32 float64 bfloat16 complex64 complex128 int8 int16 int32 int64 uint8 uint16 "
    "uint32 uint64 bool string resource variant qint8 quint8 qint16 quint16 qint32 int4 uint4 "
    "half double DType as_dtype"
)
_GFILE = _renamed(
    "io.gfile",
    "fastckpt.compat.gfile",
    "GFile=GFile exists=exists isdir=isdir listdir=listdir glob=glob makedirs=makedirs "
    "mkdir=mkdir remove=remove rmtree=rmtree copy=copy rename=rename stat=stat walk=walk "
    "join=join",
) | _renamed(
    "gfile",
    "fastckpt.compat.gfile",
    "GFile=GFile Open=GFile FastGFile=FastGFile Exists=exists IsDirectory=isdir "
    "ListDirectory=listdir Glob=glob MakeDirs=makedirs MkDir=mkdir Remove=remove "
    "DeleteRecursively=rmtree Copy=copy Rename=rename Stat=stat Walk=old_walk",
)
_MESSAGES = (
    "GraphDef NodeDef AttrValue NameAttrList OpDef OpList FunctionDef FunctionDefLibrary "
    "VersionDef MetaGraphDef SaverDef CollectionDef SignatureDef TensorInfo VariableDef "
    "SaveSliceInfoDef TensorProto TensorShapeProto SavedModel TrackableObjectGraph "
    "QueueRunnerDef CheckpointState AssetFileDef SavedObjectGraph FingerprintDef"
)

# Paths -> "module:attribute"; "message:Name" is a class of protocol buffers.
TABLE: dict[str, str] = {
    **_rows(
        "train",
        "fastckpt",
        "latest_checkpoint get_checkpoint_state update_checkpoint_state checkpoint_exists "
        "remove_checkpoint get_checkpoint_mtimes list_variables load_variable load_checkpoint "
        "NewCheckpointReader checkpoints_iterator wait_for_new_checkpoint "
        "CheckpointManager export_meta_graph write_graph",
    ),
    "train.Saver": "fastckpt.compat.saving:Saver",
    **_rows("train", "fastckpt.compat.checkpointing", "Checkpoint CheckpointOptions"),
    "Module": "fastckpt.compat.checkpointing:Module",
    "train.init_from_checkpoint": "fastckpt.compat.initializing:init_from_checkpoint",
    "types_pb2": "fastckpt.compat.type_numbers:",
    "train.import_meta_graph": "fastckpt.compat.importing:import_meta_graph",
    **_rows(
        "train",
        "fastckpt.compat.operations",
        "get_global_step get_or_create_global_step global_step",
    ),
    "train.generate_checkpoint_state_proto": (
        "fastckpt.training.state_writing:generate_checkpoint_state_proto"
    ),
    "train.SaverDef": "message:SaverDef",
    "train.CheckpointReader": "fastckpt.checkpoint.tensorflow_reader:CheckpointReader",
    "io.write_graph": "fastckpt:write_graph",
    **_GFILE,
    **_renamed(
        "python.lib.io.file_io",
        "fastckpt.compat.gfile",
        "FileIO=GFile file_exists=exists file_exists_v2=exists is_directory=isdir "
        "is_directory_v2=isdir get_matching_files=glob get_matching_files_v2=glob "
        "list_directory=listdir list_directory_v2=listdir create_dir=mkdir create_dir_v2=mkdir "
        "recursive_create_dir=makedirs recursive_create_dir_v2=makedirs delete_file=remove "
        "delete_file_v2=remove delete_recursively=rmtree delete_recursively_v2=rmtree copy=copy "
        "copy_v2=copy rename=rename rename_v2=rename stat=stat stat_v2=stat walk=old_walk "
        "walk_v2=walk read_file_to_string=read_file_to_string "
        "write_string_to_file=write_string_to_file "
        "atomic_write_string_to_file=write_string_to_file join=join",
    ),
    **_rows(
        "errors",
        "fastckpt.compat.errors",
        "AbortedError AlreadyExistsError DataLossError FailedPreconditionError InternalError "
        "InvalidArgumentError NotFoundError OpError OutOfRangeError PermissionDeniedError "
        "ResourceExhaustedError UnavailableError UnimplementedError UnknownError",
    ),
    **_rows(
        "logging",
        "fastckpt.compat.logging",
        "DEBUG ERROR FATAL INFO WARN debug error fatal get_verbosity info log set_verbosity vlog "
        "warn warning",
    ),
    "get_logger": "fastckpt.compat.logging:get_logger",
    "app": "fastckpt.compat.absl:app",
    "flags": "fastckpt.compat.absl:flags",
    **_rows("", "fastckpt.compat.dtypes", _DTYPES),
    **_rows("dtypes", "fastckpt.compat.dtypes", _DTYPES),
    "make_tensor_proto": "fastckpt.graph:make_tensor_proto",
    "MakeNdarray": "fastckpt.compat.importing:make_ndarray",
    "make_ndarray": "fastckpt.compat.importing:make_ndarray",
    **_rows(
        "graph_util",
        "fastckpt.graph",
        "extract_sub_graph remove_training_nodes convert_variables_to_constants",
    ),
    **_rows("graph_util", "fastckpt.compat.importing", "import_graph_def"),
    **_rows("", "fastckpt.compat.importing", "import_graph_def"),
    **_rows(
        "",
        "fastckpt.compat.graph_mode",
        "Graph GraphKeys get_default_graph reset_default_graph get_collection add_to_collection",
    ),
    **_rows("", "fastckpt.compat.session", "Session InteractiveSession get_default_session"),
    **_rows(
        "",
        "fastckpt.compat.scopes",
        "AUTO_REUSE VariableScope get_variable get_variable_scope variable_scope",
    ),
    "Variable": "fastckpt.compat.variables:Variable",
    **_rows(
        "",
        "fastckpt.compat.operations",
        "assign assign_add cast constant control_dependencies convert_to_tensor "
        "device global_variables global_variables_initializer group identity local_variables "
        "local_variables_initializer name_scope no_op ones placeholder "
        "report_uninitialized_variables "
        "trainable_variables variables_initializer zeros",
    ),
    **_renamed(
        "",
        "fastckpt.compat.operations",
        "all_variables=global_variables initialize_all_variables=global_variables_initializer "
        "initialize_variables=variables_initializer "
        "initialize_local_variables=local_variables_initializer",
    ),
    **_rows(
        "",
        "fastckpt.compat.initializers",
        "constant_initializer ones_initializer random_normal_initializer "
        "random_uniform_initializer truncated_normal_initializer zeros_initializer",
    ),
    **_renamed(
        "",
        "fastckpt.compat.operations",
        "random_normal=random_normal random.normal=random_normal "
        "random_uniform=random_uniform random.uniform=random_uniform "
        "truncated_normal=truncated_normal random.truncated_normal=truncated_normal",
    ),
    **_renamed(
        "initializers",
        "fastckpt.compat.initializers",
        "constant=constant_initializer ones=ones_initializer zeros=zeros_initializer "
        "random_normal=random_normal_initializer random_uniform=random_uniform_initializer "
        "truncated_normal=truncated_normal_initializer",
    ),
    "TensorShape": "fastckpt.graph.tensor_types:TensorShape",
    "keras.backend.set_value": "fastckpt.compat.session:set_value",
    **_renamed(
        "",
        "fastckpt.compat.switches",
        "ConfigProto=Options GPUOptions=Options RunOptions=Options OptimizerOptions=Options "
        "GraphOptions=Options VERSION=VERSION GIT_VERSION=GIT_VERSION "
        "COMPILER_VERSION=COMPILER_VERSION executing_eagerly=executing_eagerly "
        "disable_v2_tensorshape=nothing "
        "disable_resource_variables=nothing enable_resource_variables=nothing "
        "disable_control_flow_v2=nothing "
        "set_random_seed=nothing random.set_seed=nothing random.set_random_seed=nothing",
    ),
    **_renamed(
        "",
        "fastckpt.compat.modes",
        "disable_v2_behavior=say_graph disable_eager_execution=say_graph "
        "enable_v2_behavior=say_eager enable_eager_execution=say_eager",
    ),
    **_renamed(
        "compat",
        "fastckpt.compat.switches",
        "as_bytes=as_bytes as_text=as_text as_str=as_text as_str_any=as_text",
    ),
    **_rows("nest", "fastckpt.compat.nest", "flatten is_nested map_structure"),
    "function": "fastckpt.compat.switches:function",
    "TensorSpec": "fastckpt.compat.switches:TensorSpec",
    **_renamed(
        "version",
        "fastckpt.compat.switches",
        "VERSION=VERSION GIT_VERSION=GIT_VERSION COMPILER_VERSION=COMPILER_VERSION",
    ),
    **_renamed(
        "",
        "fastckpt.compat.switches",
        "config.list_physical_devices=list_physical_devices "
        "config.get_visible_devices=list_physical_devices "
        "config.experimental.list_physical_devices=list_physical_devices "
        "config.set_visible_devices=nothing config.experimental.set_visible_devices=nothing "
        "config.experimental.set_memory_growth=nothing test.is_gpu_available=never "
        "test.is_built_with_cuda=never",
    ),
    **_rows(
        "saved_model",
        "fastckpt.compat.saved_models",
        "load maybe_saved_model_directory contains_saved_model tag_constants signature_constants",
    ),
    "saved_model.loader.load": "fastckpt.compat.saved_models:load",
    "saved_model.loader.maybe_saved_model_directory": (
        "fastckpt.compat.saved_models:maybe_saved_model_directory"
    ),
    **_renamed(
        "saved_model",
        "fastckpt.compat.saved_models",
        "SERVING=tag_constants.SERVING TRAINING=tag_constants.TRAINING "
        "DEFAULT_SERVING_SIGNATURE_DEF_KEY="
        "signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY "
        "PREDICT_METHOD_NAME=signature_constants.PREDICT_METHOD_NAME",
    ),
    **{name: f"message:{name}" for name in _MESSAGES.split()},
    "python.tools.inspect_checkpoint": "fastckpt.inspect_checkpoint:",
    "python.tools.freeze_graph.freeze_graph": "fastckpt.graph:freeze_graph",
}

# Modules of TensorFlow that programs import, and the namespace each is part of.
_MODULES: dict[str, str] = {
    "python": "",
    "python.framework.ops": "",
    "python.framework.dtypes": "dtypes",
    "python.framework.errors": "errors",
    "python.framework.errors_impl": "errors",
    "python.framework.graph_util": "graph_util",
    "python.framework.graph_util_impl": "graph_util",
    "python.framework.importer": "graph_util",
    "python.framework.graph_io": "train",
    "python.framework.meta_graph": "train",
    "python.framework.tensor_util": "",
    "python.framework.tensor_shape": "",
    "python.framework.convert_to_constants": "graph_util",
    "python.platform.gfile": "gfile",
    "python.platform.app": "app",
    "python.platform.flags": "flags",
    "python.platform.tf_logging": "logging",
    "python.lib.io.file_io": "io.gfile",
    "python.pywrap_tensorflow": "train",
    "pywrap_tensorflow": "train",
    "python.training.checkpoint_management": "train",
    "python.training.checkpoint_utils": "train",
    "python.training.checkpoint_state_pb2": "",
    "python.training.py_checkpoint_reader": "train",
    "python.training.saver": "train",
    "python.training.training": "train",
    "python.training.training_util": "train",
    "python.checkpoint.checkpoint_management": "train",
    "python.util.compat": "compat",
    "python.ops.variables": "",
    "python.ops.variable_scope": "",
    "python.ops.gen_io_ops": "raw_ops",
    "python.client.session": "",
    "python.saved_model.tag_constants": "saved_model.tag_constants",
    "python.saved_model.signature_constants": "saved_model.signature_constants",
    "python.saved_model.loader": "saved_model.loader",
    "python.saved_model.loader_impl": "saved_model.loader",
    "contrib.framework": "train",
    "contrib.framework.python.framework.checkpoint_utils": "train",
    "contrib.framework.python.framework.checkpoint_ops": "train",
    "core.framework": "",
    "core.framework.graph_pb2": "",
    "core.framework.node_def_pb2": "",
    "core.framework.attr_value_pb2": "",
    "core.framework.tensor_pb2": "",
    "core.framework.tensor_shape_pb2": "",
    "core.framework.types_pb2": "types_pb2",
    "core.framework.variable_pb2": "",
    "core.framework.versions_pb2": "",
    "core.framework.function_pb2": "",
    "core.framework.op_def_pb2": "",
    "core.protobuf": "",
    "core.protobuf.meta_graph_pb2": "",
    "core.protobuf.saver_pb2": "",
    "core.protobuf.saved_model_pb2": "",
    "core.protobuf.config_pb2": "",
    "core.protobuf.trackable_object_graph_pb2": "",
    "core": "",
    "contrib": "",
    "compat": "compat",
}

# Names that are modules of another package.
_WHOLE = ("app", "flags")

_VERSIONED = ("compat.v1", "compat.v2")

_ADVICE = {
    "contrib": "tf.contrib is gone from TensorFlow too",
    "keras": "models of Keras need Keras; fastckpt.graph.object_graph names their weights",
    "data": "fastckpt reads no data sets; NumPy or the program's own loader does",
    "estimator": (
        "it is gone from TensorFlow too; its checkpoints open with tf.train.load_checkpoint"
    ),
    "raw_ops": "fastckpt.save, fastckpt.load and fastckpt.merge do what these operations do",
}
_GENERAL_ADVICE = (
    "this namespace reads and writes checkpoints, graphs and files, and computes nothing: use "
    "NumPy, or run this part with TensorFlow itself"
)


def find(path: str) -> str | None:
    """What stands behind a path, as ``module:attribute``; None where there is none."""
    return TABLE.get(_short(path))


def is_namespace(path: str) -> bool:
    """Whether names are below a path."""
    short = _short(path)
    if path in _MODULES or path in _VERSIONED or short == "":
        return True
    if short in TABLE:
        return TABLE[short].endswith(":") or short in _WHOLE
    names = (*TABLE, *_MODULES)
    return any(name.startswith(below) for below in (f"{short}.", f"{path}.") for name in names)


def members(path: str) -> set[str]:
    """Names directly below a path."""
    short = _short(path)
    at = f"{short}." if short else ""
    found = {name[len(at) :].partition(".")[0] for name in TABLE if name.startswith(at)}
    return found if at else found | {"compat"}


def advice(path: str) -> str:
    """Say what to use in place of a name that is missing."""
    words = path.split(".")
    return next((_ADVICE[word] for word in words if word in _ADVICE), _GENERAL_ADVICE)


def _short(path: str) -> str:
    """Bring a path into the form that the table has."""
    for version in _VERSIONED:
        if path == version or path.startswith(f"{version}."):
            return _short(path[len(version) + 1 :])
    if path in TABLE:
        return path
    for module in _prefixes(path):
        if module in _MODULES:
            rest = path[len(module) + 1 :]
            return ".".join(filter(None, (_MODULES[module], rest)))
    return path


def _prefixes(path: str) -> Iterable[str]:
    """A path and those above it, longest first."""
    while path:
        yield path
        path = path.rpartition(".")[0]
