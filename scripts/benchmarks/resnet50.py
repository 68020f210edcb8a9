"""Keras' ResNet50 in PyTorch: the first version, whose blocks downsample in their first convolution.

torchvision has the later version, which downsamples in the second and needs 6 % more arithmetic.
"""
import torch
from torch import nn

# Width and number of each stage's blocks: He et al. 2015, table 1. A block's output has four times its width.
STAGES = [(64, 3), (128, 4), (256, 6), (512, 3)]


def convolution(given, made, size, stride=1):
    """Returns a convolution with its batch norm, which inference folds into it."""
    return nn.Sequential(nn.Conv2d(given, made, size, stride, size // 2), nn.BatchNorm2d(made))


class Block(nn.Module):
    def __init__(self, given, width, stride):
        super().__init__()
        self.way = nn.Sequential(
            convolution(given, width, 1, stride), nn.ReLU(inplace=True),
            convolution(width, width, 3), nn.ReLU(inplace=True),
            convolution(width, 4 * width, 1),
        )
        changes = stride != 1 or given != 4 * width
        self.shortcut = convolution(given, 4 * width, 1, stride) if changes else nn.Identity()

    def forward(self, pictures):
        return torch.relu(self.way(pictures) + self.shortcut(pictures))


def network(classes=1000):
    """Returns the network: N×3×224×224 to the logits of each picture."""
    layers = [convolution(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    given = 64
    for stage, (width, blocks) in enumerate(STAGES):
        for block in range(blocks):
            layers.append(Block(given, width, 2 if stage and not block else 1))
            given = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(given, classes))
