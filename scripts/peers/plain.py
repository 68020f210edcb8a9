#!/usr/bin/env python3
"""The same job as `livelabel run CLIP --output OUT`, as it is usually written in Python: OpenCV and ONNX Runtime.

usage: plain.py CLIP OUT.avi MODEL.onnx [--threaded] [--window N]

One frame after the other, or with --threaded decoding, inference and encoding on a thread each, with queues of eight
between them. Prints a JSON line with the number of frames and the seconds they took, start-up left out.
"""
import argparse
import collections
import json
import queue
import threading
import time

import cv2
import numpy as np
import onnxruntime

MEANS = np.array([103.939, 116.779, 123.68], np.float32)
QUEUE = 8


class Network:
    def __init__(self, path, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self(np.zeros((1, 3, 224, 224), np.float32))

    def __call__(self, tensor):
        return self.session.run(["probabilities"], {self.input: tensor})[0][0]


class Labeller:
    """Averages predictions, draws the best label, writes the frame."""

    def __init__(self, out, rate, window):
        self.out, self.rate, self.writer, self.frames = out, rate, None, 0
        self.recent = collections.deque(maxlen=window)

    def label(self, frame, prediction):
        self.recent.append(prediction)
        best = int(np.mean(self.recent, axis=0).argmax())
        cv2.putText(frame, f"activity: {best}", (10, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 0), 2)

    def write(self, frame):
        if self.writer is None:
            size = (frame.shape[1], frame.shape[0])
            self.writer = cv2.VideoWriter(self.out, cv2.VideoWriter_fourcc(*"MJPG"), self.rate, size)
        self.writer.write(frame)
        self.frames += 1

    def close(self):
        if self.writer is not None:
            self.writer.release()


def tensor(frame):
    small = cv2.resize(frame, (224, 224)).astype(np.float32) - MEANS
    return np.ascontiguousarray(small.transpose(2, 0, 1)[np.newaxis])


def frames(capture):
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield frame


def in_turn(capture, network, labeller):
    for frame in frames(capture):
        labeller.label(frame, network(tensor(frame)))
        labeller.write(frame)


def threaded(capture, network, labeller):
    decoded, labelled = queue.Queue(QUEUE), queue.Queue(QUEUE)

    def decode():
        for frame in frames(capture):
            decoded.put((frame, tensor(frame)))
        decoded.put(None)

    def encode():
        while (frame := labelled.get()) is not None:
            labeller.write(frame)

    workers = [threading.Thread(target=decode), threading.Thread(target=encode)]
    for worker in workers:
        worker.start()
    while (pair := decoded.get()) is not None:
        frame, ready = pair
        labeller.label(frame, network(ready))
        labelled.put(frame)
    labelled.put(None)
    for worker in workers:
        worker.join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("clip")
    parser.add_argument("out")
    parser.add_argument("model")
    parser.add_argument("--threaded", action="store_true")
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    network = Network(given.model, given.threads)
    capture = cv2.VideoCapture(given.clip)
    labeller = Labeller(given.out, capture.get(cv2.CAP_PROP_FPS) or 30, given.window)
    began = time.perf_counter()
    (threaded if given.threaded else in_turn)(capture, network, labeller)
    labeller.close()
    print(json.dumps({"frames": labeller.frames, "wall_s": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
