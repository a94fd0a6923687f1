"""monoquant's own container, made of checkpoints that torch wrote."""

from tests.interop import stock, torch_checkpoints
from tests.interop.corpus import whole_modules
from tests.support import monoquant

builder = stock.Family("mqir")


def _convert(source):
    """`source` is what a builder returned."""
    if not isinstance(source, stock.Checkpoint):
        source = stock.loaded(source)
    path = source.path + ".mqir"
    monoquant.run("convert", source.path, "-o", path)
    return stock.Checkpoint(path, source.load)


@builder
def state_dict(path):
    return _convert(torch_checkpoints.state_dict_of_modules(path))


@builder
def whole_module(path):
    return _convert(whole_modules.own_module(path))


@builder
def integers(path):
    return _convert(torch_checkpoints.integers_and_bool(path))


@builder
def narrow_floats(path):
    return _convert(torch_checkpoints.eight_bit_floats(path))


@builder
def four_bit_floats(path):
    return _convert(torch_checkpoints.four_bit_floats(path))


@builder
def complex_numbers(path):
    return _convert(torch_checkpoints.complex_without_safetensors(path))


@builder
def bit_containers(path):
    return _convert(torch_checkpoints.bit_containers(path))


@builder
def views(path):
    return _convert(torch_checkpoints.strided_views(path))


@builder
def ties(path):
    return _convert(torch_checkpoints.tied_weights(path))


@builder
def names(path):
    return _convert(torch_checkpoints.unicode_names(path))
