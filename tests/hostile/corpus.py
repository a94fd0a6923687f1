"""All hostile cases, one module a container or a kind of malice."""

from tests.hostile import (
    config_cases,
    dcp_cases,
    flatbuffer_cases,
    index_cases,
    legacy_cases,
    mqir_cases,
    numpy_cases,
    pickle_bombs,
    polyglot_cases,
    pt2_cases,
    recipe_cases,
    safetensors_cases,
    scanner_bypasses,
    tar_cases,
    tensor_cases,
    torchscript_cases,
    zip_cases,
)

_MODULES = (
    zip_cases,
    tensor_cases,
    pickle_bombs,
    scanner_bypasses,
    torchscript_cases,
    pt2_cases,
    flatbuffer_cases,
    legacy_cases,
    tar_cases,
    numpy_cases,
    safetensors_cases,
    index_cases,
    config_cases,
    dcp_cases,
    mqir_cases,
    recipe_cases,
    polyglot_cases,
)


def cases():
    for module in _MODULES:
        yield from module.cases()
