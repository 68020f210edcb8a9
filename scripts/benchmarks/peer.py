#!/usr/bin/env python3
"""Does the same job as `livelabel run CLIP --output OUT`, as it is usually written in Python.

usage: peer.py CLIP OUT.avi --engine ort|openvino|keras [--model FILE] [--threaded] [--window N]
       peer.py --quantize OUT.xml --model FP32.onnx --calibrate CLIP

Frame by frame, or with --threaded on one thread each for decoding, inference and encoding, with queues of eight between
them. `ort` is ONNX Runtime, `openvino` is OpenVINO with the int8 network that --quantize made with NNCF, `keras` is what the
original used: Keras' ResNet50, one `predict` a frame. Prints a JSON line with the number of frames and the seconds they took,
without start-up.
"""
import argparse
import collections
import json
import os
import queue
import threading
import time

import cv2
import numpy as np

MEANS = np.array([103.939, 116.779, 123.68], np.float32)
QUEUE = 8


def ort(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda tensor: session.run(["probabilities"], {name: tensor})[0][0]


def openvino(path, threads):
    import openvino as ov

    network = ov.Core().read_model(path)
    network.reshape([1, 3, 224, 224])
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    request = ov.Core().compile_model(network, "CPU", hints).create_infer_request()
    return lambda tensor: request.infer([tensor], share_inputs=True)["probabilities"][0].copy()


def keras(_, threads):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    layers = tf.keras.layers
    base = tf.keras.applications.ResNet50(weights=None, include_top=False, input_tensor=layers.Input((224, 224, 3)))
    x = layers.Flatten()(layers.AveragePooling2D((7, 7))(base.output))
    x = layers.Dropout(0.5)(layers.Dense(512, activation="relu")(x))
    network = tf.keras.Model(base.input, layers.Dense(3, activation="softmax")(x))
    return lambda tensor: network.predict(tensor.transpose(0, 2, 3, 1), verbose=0)[0]


ENGINES = {"ort": ort, "openvino": openvino, "keras": keras}


class Labeller:
    """Smooths predictions, draws the best label, writes the frame."""

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


def prepared(frame):
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
        labeller.label(frame, network(prepared(frame)))
        labeller.write(frame)


def threaded(capture, network, labeller):
    decoded, labelled = queue.Queue(QUEUE), queue.Queue(QUEUE)

    def decode():
        for frame in frames(capture):
            decoded.put((frame, prepared(frame)))
        decoded.put(None)

    def encode():
        while (frame := labelled.get()) is not None:
            labeller.write(frame)

    workers = [threading.Thread(target=decode), threading.Thread(target=encode)]
    for worker in workers:
        worker.start()
    while (pair := decoded.get()) is not None:
        frame, tensor = pair
        labeller.label(frame, network(tensor))
        labelled.put(frame)
    labelled.put(None)
    for worker in workers:
        worker.join()


def quantize(model, clip, out):
    import nncf
    import openvino as ov

    pictures = [prepared(frame) for i, frame in enumerate(frames(cv2.VideoCapture(clip))) if i % 13 == 0][:50]
    preset = nncf.QuantizationPreset.PERFORMANCE
    data = nncf.Dataset(pictures)
    network = nncf.quantize(ov.Core().read_model(model), data, subset_size=len(pictures), preset=preset)
    ov.save_model(network, out, compress_to_fp16=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", nargs="?")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--model")
    parser.add_argument("--engine", choices=ENGINES, default="ort")
    parser.add_argument("--threaded", action="store_true")
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--quantize", metavar="OUT")
    parser.add_argument("--calibrate", metavar="CLIP")
    given = parser.parse_args()
    if given.quantize:
        return quantize(given.model, given.calibrate, given.quantize)
    network = ENGINES[given.engine](given.model, given.threads)
    network(np.zeros((1, 3, 224, 224), np.float32))
    capture = cv2.VideoCapture(given.clip)
    labeller = Labeller(given.out, capture.get(cv2.CAP_PROP_FPS) or 30, given.window)
    began = time.perf_counter()
    (threaded if given.threaded else in_turn)(capture, network, labeller)
    labeller.close()
    print(json.dumps({"frames": labeller.frames, "wall_s": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
