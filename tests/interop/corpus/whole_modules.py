"""Whole modules and training checkpoints: weights among the objects of classes
that a reader does not have. The classes here stand for anybody's."""

import argparse
import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import types
import uuid

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from tests.interop import stock
from tests.interop.stock import linear, save

builder = stock.Family("torch")


class Block(nn.Module):

    def __init__(self, width=24):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, width, bias=False)
        self.gate = nn.Parameter(torch.randn(width))
        self.register_buffer("mask", torch.ones(width, dtype=torch.bool))
        self.register_buffer("cache", torch.zeros(3), persistent=False)
        self.register_buffer("unused", None)
        self.register_parameter("absent", None)
        # Plain attributes: state_dict() does not have them.
        self.anchors = torch.randn(4)
        self.history = [torch.randn(2), {"last": torch.randn(2)}]


class Net(nn.Module):

    class Head(nn.Linear):
        pass

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 24)
        self.blocks = nn.ModuleList([Block() for _ in range(3)])
        self.by_name = nn.ModuleDict({"a b": nn.Linear(24, 8),
                                      "\u00fc": Block(12)})
        self.shared = self.blocks[1]
        self.head = nn.Linear(24, 30, bias=False)
        self.head.weight = self.embed.weight
        self.scales = nn.ParameterList([torch.randn(3), torch.randn(4)])
        self.tables = nn.ParameterDict({"z": torch.randn(2),
                                        "a": torch.randn(3)})
        self.apart = None


class Renaming(nn.Module):
    """Pickles itself in its own way."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 5)
        self.handle = lambda x: x

    def __getstate__(self):
        state = dict(self.__dict__)
        del state["handle"]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state, handle=None)


class Kind(enum.Enum):
    SMALL = "small"
    LARGE = 2


class Flags(enum.IntFlag):
    ONE = 1
    TWO = 2


@dataclasses.dataclass
class Settings:
    width: int
    weight: torch.Tensor
    children: list


class Slots:
    __slots__ = ("left", "right")

    def __init__(self, left, right):
        self.left, self.right = left, right


Point = collections.namedtuple("Point", "x y")


def hook(module, inputs, output):
    return output


def trained():
    model = nn.Sequential(nn.Linear(12, 10), nn.BatchNorm1d(10),
                          nn.Linear(10, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(5, 12)).sum().backward()
    optimizer.step()
    return model, optimizer


# Modules.


@builder
def own_module(path):
    return save(path, Net())


@builder
def own_module_protocol_5(path):
    return save(path, Net(), pickle_protocol=5)


@builder
def recurrent_module(path):
    """Keeps its weights a second time, in a list."""
    return save(path, nn.LSTM(10, 12, 2, bidirectional=True, proj_size=5))


@builder
def attention_modules(path):
    return save(path, nn.ModuleList([
        nn.Transformer(16, 2, 1, 1, 24), nn.MultiheadAttention(16, 4, kdim=8,
                                                               vdim=12)]))


@builder
def module_of_every_layer(path):
    return save(path, nn.ModuleList([
        nn.Conv1d(4, 6, 3), nn.ConvTranspose2d(4, 6, 3), nn.Bilinear(3, 4, 5),
        nn.BatchNorm2d(6), nn.BatchNorm1d(6, affine=False),
        nn.InstanceNorm1d(6, affine=True, track_running_stats=True),
        nn.GroupNorm(2, 6), nn.RMSNorm(6), nn.PReLU(3), nn.EmbeddingBag(9, 4),
        nn.LocalResponseNorm(2), nn.Dropout(), nn.AdaptiveLogSoftmaxWithLoss(
            8, 20, [5, 10]), nn.GRUCell(3, 4), nn.Identity()]))


@builder
def module_with_hooks(path):
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
    model[0].register_forward_hook(hook)
    model.register_forward_pre_hook(hook)
    return save(path, model)


@builder
def weight_norm_of_old(path):
    return save(path, nn.utils.weight_norm(nn.Linear(6, 5)))


@builder
def spectral_norm_of_old(path):
    return save(path, nn.utils.spectral_norm(nn.Conv2d(3, 4, 3)))


@builder
def parametrized(path):
    """state_dict() only: torch does not pickle such modules."""
    model = nn.ModuleDict({
        "weight": parametrizations.weight_norm(nn.Linear(6, 5)),
        "spectral": parametrizations.spectral_norm(nn.Linear(6, 5)),
        "orthogonal": parametrizations.orthogonal(nn.Linear(6, 5))})
    return save(path, model.state_dict())


@builder
def pruned(path):
    model = nn.Linear(20, 10)
    prune.l1_unstructured(model, "weight", 0.3)
    return save(path, model)


@builder
def data_parallel(path):
    return save(path, {"model": nn.DataParallel(Net()).state_dict()})


@builder
def data_parallel_module(path):
    return save(path, nn.DataParallel(Block()))


@builder
def averaged_module(path):
    return save(path, torch.optim.swa_utils.AveragedModel(Block()))


@builder
def traced_by_fx(path):
    """Pickled as its dict and the text of its code, which torch would run."""
    return stock.loaded(
        save(path, torch.fx.symbolic_trace(
            nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)))),
        arguments=("--allow-opaque",))


@builder
def compiled_names(path):
    return save(path, {"_orig_mod." + name: tensor
                       for name, tensor in Block().state_dict().items()})


@builder
def module_with_its_own_pickling(path):
    return save(path, Renaming())


@builder
def lazy_module(path):
    """Parameters whose shape is not known yet have no data.

    Refused by default: its hooks are private methods, looked up by getattr.
    """
    path = save(path, nn.Sequential(nn.LazyLinear(5), nn.Linear(5, 3)))
    return stock.Checkpoint(path, lambda: {
        name: tensor for name, tensor in stock.load_value(path)
        .state_dict().items() if name.startswith("1.")},
        arguments=("--allow-opaque",))


@builder
def deep_module(path):
    model = nn.Linear(3, 2)
    for _ in range(40):
        model = nn.Sequential(model)
    return save(path, model)


@builder
def module_from_before_2020(path):
    """Without the attributes that later versions added."""
    model = Block()
    for name in ("_non_persistent_buffers_set", "_is_full_backward_hook",
                 "_state_dict_hooks", "_forward_hooks_with_kwargs"):
        model.__dict__.pop(name, None)
    path = save(path, model)
    return stock.Checkpoint(path, lambda: {
        "gate": model.gate, "mask": model.mask, "cache": model.cache,
        **{"norm." + k: v for k, v in model.norm.state_dict().items()},
        "project.weight": model.project.weight})


@builder
def list_of_modules(path):
    return save(path, [nn.Linear(3, 4), {"b": nn.Linear(4, 5)}, (Block(),)])


# Training checkpoints.


@builder
def lightning(path):
    model, optimizer = trained()
    return save(path, {
        "epoch": 4, "global_step": 120, "pytorch-lightning_version": "2.5.0",
        "state_dict": collections.OrderedDict(
            ("net." + k, v) for k, v in model.state_dict().items()),
        "loops": {"fit_loop": {"epoch_progress": {"current": {"done": 4}}}},
        "callbacks": {"EarlyStopping{'monitor': 'loss'}":
                      {"best_score": torch.tensor(0.25)}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [{"last_epoch": 4, "_last_lr": [np.float64(0.1)]}],
        "MixedPrecision": {"scale": 65536.0},
        "hparams_name": "args",
        "hyper_parameters": argparse.Namespace(
            lr=1e-3, root=pathlib.PurePosixPath("data/x"))})


@builder
def yolo(path):
    model, optimizer = trained()
    return save(path, {
        "epoch": 1, "best_fitness": np.float64(0.5), "model": model.half(),
        "ema": copy.deepcopy(model), "updates": 90,
        "optimizer": optimizer.state_dict(),
        "opt": argparse.Namespace(weights="x.pt", imgsz=[640]),
        "date": datetime.datetime(2020, 1, 2, 3, 4, 5).isoformat()})


@builder
def yolo_stripped(path):
    """After training only the averaged model is kept."""
    return save(path, {"model": None, "ema": Net().half(), "updates": None,
                       "optimizer": None, "date": datetime.datetime.now()})


@builder
def yolo_other_root(path):
    path = save(path, {"model": Block(), "ema": Net().half()})
    return stock.Checkpoint(
        path, lambda: stock.flatten(stock.load_value(path)["ema"]),
        arguments=("--root", "ema"))


@builder
def super_resolution(path):
    return save(path, {"params_ema": {"conv.weight": linear()},
                       "params": {"conv.weight": linear()}})


@builder
def generator_and_discriminator(path):
    return save(path, {"discriminator": Block().state_dict(),
                       "generator": Net().state_dict(), "step": 3})


@builder
def model_within_model(path):
    return save(path, {"model": {"state_dict": {"w": linear()}, "arch": "x"},
                       "cfg": {"model": {"width": 3}}})


@builder
def speech_model(path):
    """As fairseq does it: settings and a history around the model."""
    model, optimizer = trained()
    return save(path, {
        "args": None, "cfg": {"common": {"seed": 1}},
        "model": model.state_dict(), "criterion": {},
        "optimizer_history": [{"num_updates": 9}],
        "task_state": {"dictionary": argparse.Namespace(symbols=["a", "b"])},
        "last_optimizer_state": optimizer.state_dict(),
        "extra_state": {"train_iterator": {"epoch": 2}}})


@builder
def everything_of_it(path):
    model, optimizer = trained()
    path = save(path, {"model": model.state_dict(),
                       "optimizer": optimizer.state_dict()})
    return stock.Checkpoint(
        path, lambda: stock.flatten(stock.load_value(path)),
        arguments=("--root", "."))


@builder
def optimizer_alone(path):
    return save(path, trained()[1].state_dict())


@builder
def without_any_root(path):
    """Weights in groups, training state left out."""
    model, optimizer = trained()
    return save(path, {
        "encoder": model.state_dict(), "decoder": Block().state_dict(),
        "optimizer_g": optimizer.state_dict(), "lr_scheduler": {"n": 1},
        "rng_state": {"cpu": torch.get_rng_state()}, "epoch": 1,
        "amp": {"loss_scaler0": {"scale": torch.tensor(2.0)}}})


@builder
def two_state_dicts(path):
    return save(path, (Block().state_dict(), trained()[0].state_dict()))


# Objects.


@builder
def objects_of_the_standard_library(path):
    return save(path, {
        "w": linear(), "namespace": argparse.Namespace(w=linear(), lr=0.1),
        "simple": types.SimpleNamespace(w=linear()),
        "path": pathlib.PurePosixPath("/a/b"),
        "point": Point(linear(), [linear()]),
        "time": datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc),
        "delta": datetime.timedelta(days=2), "uuid": uuid.UUID(int=7),
        "decimal": decimal.Decimal("1.5"), "ratio": fractions.Fraction(1, 3),
        "complex": 1 + 2j, "set": {1, 2}, "frozen": frozenset("ab"),
        "bytes": b"\0\xff", "bytearray": bytearray(b"xy"),
        "range": range(3), "slice": slice(1, 2), "ellipsis": ...,
        "deque": collections.deque([linear()], 5),
        "default": collections.defaultdict(list, {"x": [linear()]}),
        "counter": collections.Counter("aab"), "class": Block, "function": hook,
        "big": 1 << 100, "negative": -(1 << 70), "float": 1e300})


@builder
def members_of_enumerations(path):
    """Python 3.11 pickles them as getattr(Kind, 'SMALL')."""
    return save(path, {"w": linear(), "kind": Kind.SMALL, "one": Flags.ONE})


@builder
def sums_of_flags(path):
    """Python 3.11 pickles them as reduce(or_, [...]): refused by default."""
    path = save(path, {"w": linear(), "flags": Flags.ONE | Flags.TWO})
    return stock.loaded(path, arguments=("--allow-opaque",))


@builder
def classes_within_classes(path):
    """Protocols before 4 have getattr(Net, 'Head') for the class."""
    return save(path, {"model": Net.Head(3, 4), "class": Net.Head})


@builder
def bound_methods(path):
    """Pickled as getattr(object, 'forward')."""
    model = nn.Linear(4, 5)
    model.register_forward_pre_hook(Block(4).norm.forward)
    return save(path, model)


@builder
def objects_of_torch(path):
    return save(path, {
        "w": linear(), "dtype": torch.float16, "device": torch.device("cpu"),
        "size": torch.Size([2, 3]), "scheme": torch.per_tensor_affine,
        "scalar": np.float32(0.5), "integer": np.int64(3),
        "loss": nn.CrossEntropyLoss(weight=torch.ones(3))})


@builder
def objects_made_of_tensors(path):
    return save(path, {
        "packed": nn.utils.rnn.pack_padded_sequence(torch.randn(4, 3, 2),
                                                    [4, 3, 1]),
        "normal": torch.distributions.Normal(torch.zeros(2), torch.ones(2)),
        "data": torch.utils.data.TensorDataset(torch.ones(2, 3),
                                               torch.zeros(2))})


@builder
def empty_root(path):
    """A customary name counts only if it has tensors."""
    return save(path, {"state_dict": {}, "model": {"w": linear()}})


@builder
def nothing_at_all(path):
    return save(path, {"settings": {}, "epoch": 3})


@builder
def dataclasses_with_tensors(path):
    inner = Settings(1, linear(), [])
    return save(path, {"net": Settings(3, linear(), [inner]), "other": 1})


@builder
def slots_with_tensors(path):
    """The state of such objects is a pair of dicts."""
    left, right = linear(), linear()
    path = save(path, {"pair": Slots(left, right)})
    return stock.expecting(path, {"pair.left": left, "pair.right": right})


@builder
def a_list_that_contains_itself(path):
    cycle = [linear()]
    cycle.append(cycle)
    path = save(path, {"c": cycle})
    return stock.expecting(path, {"c.0": cycle[0]},
                           noted=("contain themselves",))


@builder
def a_parent_that_knows_its_child(path):
    child = types.SimpleNamespace(weight=linear(), parent=None)
    child.parent = types.SimpleNamespace(child=child, bias=torch.ones(3))
    path = save(path, {"a": child})
    return stock.expecting(path, {"a.weight": child.weight,
                                  "a.parent.bias": torch.ones(3)})


@builder
def the_same_module_twice(path):
    block = Block()
    return save(path, {"student": block, "teacher": block})


@builder
def keys_shared_a_thousand_times(path):
    """The pickle refers back to strings, classes and tuples it has had."""
    shared = linear(2, 3)
    return save(path, {
        "group.%d" % i: {"weight": shared[i % 2], "shape": (2, 3)}
        for i in range(1000)}, pickle_protocol=4)
