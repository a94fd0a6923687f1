"""Models of random weights with every module that torch quantizes dynamically."""

import torch
from torch import nn


class Layers(nn.Module):
    """Linear, with and without a bias; a normalisation and a convolution, which
    stay."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 3)
        self.first = nn.Linear(18, 33)
        self.norm = nn.BatchNorm1d(33)
        self.blocks = nn.Sequential(nn.Linear(33, 24, bias=False), nn.ReLU(),
                                    nn.Linear(24, 5))

    def forward(self, x):
        x = self.conv(x.reshape(-1, 2, 8)).flatten(1)
        return self.blocks(self.norm(self.first(x)).relu())

    inputs = (16, 16)


class Classifier(nn.Module):
    """Two layers of an LSTM in both directions, and an embedding, which stays."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 12)
        self.lstm = nn.LSTM(12, 10, num_layers=2, bidirectional=True)
        self.out = nn.Linear(20, 4)

    def forward(self, x):
        tokens = (x.abs() * 20).long() % 50
        return self.out(self.lstm(self.embed(tokens))[0][-1])

    inputs = (7, 6)


class Gru(nn.Module):

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(9, 11, num_layers=2, batch_first=True)
        self.head = nn.Linear(11, 3)

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])

    inputs = (5, 8, 9)


class Cells(nn.Module):

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTMCell(6, 8)
        self.gru = nn.GRUCell(8, 8)
        self.tanh = nn.RNNCell(8, 8)
        self.relu = nn.RNNCell(8, 8, nonlinearity="relu")

    def forward(self, x):
        return self.relu(self.tanh(self.gru(self.lstm(x)[0])))

    inputs = (10, 6)


class Tied(nn.Module):
    """Two layers of one weight."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(16, 16)
        self.two = nn.Linear(16, 16)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(self.one(x).relu())

    inputs = (4, 16)


class Attention(nn.Module):
    """What torch leaves in float of it has to stay."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.out = nn.Linear(16, 4)

    def forward(self, x):
        return self.out(self.attention(x, x, x)[0])

    inputs = (2, 5, 16)


class Mixed(nn.Module):
    """Convolutions and embeddings, which torch quantizes where it is asked to: in
    groups, without a bias, with padding of every kind that it has. A transposed
    convolution, which stays."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 12)
        self.bag = nn.EmbeddingBag(20, 8, mode="sum")
        self.one = nn.Conv1d(12, 6, 3, padding=1, groups=2, bias=False)
        self.two = nn.Conv2d(1, 4, 3, padding=(1, 1), padding_mode="reflect")
        self.up = nn.ConvTranspose2d(4, 2, 2)
        self.three = nn.Conv3d(1, 3, 2, dilation=(1, 2, 1))
        self.out = nn.Linear(83, 4)

    def forward(self, x):
        tokens = (x.abs() * 20).long() % 20
        x = self.one(self.embed(tokens).transpose(1, 2)).unsqueeze(1)
        x = self.three(self.up(self.two(x).relu()).unsqueeze(1))
        return self.out(torch.cat([x.flatten(1), self.bag(tokens)], 1))

    inputs = (6, 5)


class VoiceEncoder(nn.Module):
    """That of the package resemblyzer, of whose weights it is made."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        self.similarity_weight = nn.Parameter(torch.zeros(1))
        self.similarity_bias = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        embedding = self.linear(self.lstm(x.abs())[1][0][-1]).relu()
        return embedding / embedding.norm(dim=1, keepdim=True)

    inputs = (6, 160, 40)


ALL = (Layers, Classifier, Gru, Cells, Tied, Attention)


def make(kind):
    """One whose rows differ, as those of trained weights do."""
    torch.manual_seed(1)
    model = kind().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter *= torch.rand(parameter.shape[0], 1) + 0.2
    return model


def outputs(model, kind):
    torch.manual_seed(2)
    with torch.no_grad():
        return model(torch.randn(kind.inputs))
