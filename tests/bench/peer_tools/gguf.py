"""gguf: its own SafetensorsLocal, for each tensor quants.quantize in numpy, and
GGUFWriter, which writes a tensor before the next one is read; without torch."""

import gguf
import numpy

_TYPES = {"q8_0": gguf.GGMLQuantizationType.Q8_0,
          "q4_0": gguf.GGMLQuantizationType.Q4_0}


def make_weight(dtype, rows, columns):
    values = numpy.random.default_rng(1).standard_normal((rows, columns),
                                                         numpy.float32) * 0.02
    if dtype == "F32":
        return values
    return (values.view(numpy.uint32) >> 16).astype(numpy.uint16)


def _floats(weight):
    """float32 of float32, or of the bits of bfloat16 in uint16."""
    if weight.dtype == numpy.float32:
        return weight
    return gguf.quants.dequantize(weight.view(numpy.uint8),
                                  gguf.GGMLQuantizationType.BF16)


def _read(tensor):
    part = tensor.data_range
    dtype = {"BF16": numpy.uint16, "F32": numpy.float32}[tensor.dtype]
    data = numpy.memmap(part.filename, mode="r", offset=part.offset,
                        shape=(part.size,))
    return data.view(dtype).reshape(tensor.shape)


def quantize(weight, scheme):
    return gguf.quants.quantize(_floats(weight), _TYPES[scheme])


def quantize_file(model, output, scheme):
    writer = gguf.GGUFWriter(output, "llama")
    with gguf.utility.SafetensorsLocal(model) as tensors:
        for name, tensor in tensors.items():
            shape = gguf.quant_shape_to_byte_shape(tensor.shape,
                                                   _TYPES[scheme])
            writer.add_tensor_info(name, shape, numpy.dtype(numpy.uint8),
                                   int(numpy.prod(shape)), _TYPES[scheme])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors.values():
            writer.write_tensor_data(quantize(_read(tensor), scheme))
    writer.close()


def load(output, name, scheme):
    for tensor in gguf.GGUFReader(output).tensors:
        if tensor.name == name:
            return gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    raise KeyError(name)


def load_original(model, name):
    with gguf.utility.SafetensorsLocal(model) as tensors:
        return _floats(_read(tensors[name]))
