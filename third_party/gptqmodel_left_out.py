"""What gptqmodel takes from packages that a Llama on a CPU does not need."""


def convert_model(*args, **kwargs):  # defuser, for mixtures of experts
    return False


def replace_fused_blocks(*args, **kwargs):  # defuser
    return False


def materialize_model(*args, **kwargs):  # defuser, for weights on disk
    pass


class Device:  # device_smi, for telemetry

    def __init__(self, *args, **kwargs):
        raise RuntimeError("left out")


class LogBar:  # logbar, for colours and bars
    widths = ()

    @classmethod
    def shared(cls):
        return cls()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs):
        return self


class Tokenicer:  # tokenicer, for calibration with texts
    tokenizer = None

    @classmethod
    def load(cls, *args, **kwargs):
        return cls
