#!/usr/bin/env python3
"""The trainer's job in PyTorch: frozen stages once over all views, then epochs of the last stage. Prints rows/s of both.

Decoding and augmentation run in a DataLoader's processes, one for each core; the network computes in bf16, channels-last. The
weights are random: only time is measured.
"""
import argparse
import json
import math
import os
import random
import time

import cv2
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

import resnet50

SIZE, SIDE = 224, 288
MEAN = torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
# The stem's three layers and the 13 blocks of the first three stages.
FROZEN = 16


def augmented(large, rng):
    """The augmentation `strong`: crop, rotation, flip, loss of detail, colours."""
    area, aspect = rng.uniform(0.25, 1), math.exp(rng.uniform(math.log(0.75), math.log(4 / 3)))
    height, width = min(1, math.sqrt(area / aspect)), min(1, math.sqrt(area * aspect))
    x, y = rng.uniform(-1, 1) * (1 - width), rng.uniform(-1, 1) * (1 - height)
    angle, flip = math.radians(rng.uniform(-15, 15)), rng.choice([-1, 1])
    map = torch.tensor([[[width * math.cos(angle) * flip, -width * math.sin(angle), x], [height * math.sin(angle) * flip, height * math.cos(angle), y]]])
    grid = F.affine_grid(map, [1, 3, SIZE, SIZE], align_corners=False)
    view = F.grid_sample(large[None], grid, mode="bilinear", padding_mode="border", align_corners=False)
    if rng.random() < 0.5:
        small = max(1, round(SIZE * rng.uniform(0.35, 1)))
        view = F.interpolate(F.interpolate(view, (small, small), mode="area"), (SIZE, SIZE), mode="bilinear")
    view = view[0]
    brightness, contrast, saturation = (rng.uniform(0.7, 1.3) for _ in range(3))
    weights = torch.tensor([0.114, 0.587, 0.299]).view(3, 1, 1)
    view = view * brightness
    mean = (view * weights).sum(0).mean()
    view = mean + contrast * (view - mean)
    grey = (view * weights).sum(0, keepdim=True)
    return (grey + saturation * (view - grey)).clamp(0, 255)


class Pictures(torch.utils.data.Dataset):
    """An item is one picture's views."""

    def __init__(self, paths, views):
        self.paths, self.views = paths, views

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        picture, rng = cv2.imread(self.paths[index]), random.Random(index)
        tensor = lambda size: torch.from_numpy(cv2.resize(picture, (size, size))).permute(2, 0, 1).float()
        large = tensor(SIDE)
        return torch.stack([tensor(SIZE), *(augmented(large, rng) for _ in range(self.views - 1))]) - MEAN


def one_thread(_):
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def fused(module):
    """Folds batch norms into convolutions."""
    for name, child in module.named_children():
        convolution = isinstance(child, nn.Sequential) and len(child) == 2 and isinstance(child[1], nn.BatchNorm2d)
        setattr(module, name, fuse_conv_bn_eval(child[0], child[1]) if convolution else fused(child))
    return module


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("list")
    parser.add_argument("--views", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(os.cpu_count())
    paths = open(given.list).read().split("\n")
    layers = list(fused(resnet50.network().eval()))
    frozen = nn.Sequential(*layers[:FROZEN]).to(memory_format=torch.channels_last)
    trained = nn.Sequential(*layers[FROZEN:-1], nn.Linear(2048, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 3))
    trained = trained.to(memory_format=torch.channels_last).train()
    precision = lambda: torch.autocast("cpu", torch.bfloat16)

    # A forked process would inherit the locks of torch's threads, and hang.
    how = {"num_workers": os.cpu_count(), "worker_init_fn": one_thread, "multiprocessing_context": "spawn"}
    loader = torch.utils.data.DataLoader(Pictures(paths, given.views), 4, **how)
    began, maps = None, []
    with torch.inference_mode(), precision():
        for views in loader:
            maps.append(frozen(views.flatten(0, 1).contiguous(memory_format=torch.channels_last)).half())
            # The first batch waits for the processes to start.
            began = began or time.perf_counter()
    maps = torch.cat(maps)
    extraction = (len(maps) - 4 * given.views) / (time.perf_counter() - began)

    optimizer = torch.optim.AdamW(trained.parameters(), 2e-4, weight_decay=0.01)
    classes, best = torch.randint(3, [len(paths)]), 0.0
    for _ in range(given.epochs):
        began, done = time.perf_counter(), 0
        for picks in torch.randperm(len(paths)).split(32):
            rows = maps[picks * given.views + torch.randint(given.views, [len(picks)])].float()
            with precision():
                loss = F.cross_entropy(trained(rows.contiguous(memory_format=torch.channels_last)).float(), classes[picks])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += len(picks)
        best = max(best, done / (time.perf_counter() - began))
    print(json.dumps({"extraction": extraction, "training": best}))


if __name__ == "__main__":
    main()
