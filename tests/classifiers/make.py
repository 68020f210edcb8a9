"""Writes two classifiers that are no ResNet50, as other programs export them, with random weights; a picture; and what
they say of it. The tests import them.

usage: make.py FOLDER
  picture.bmp  colours that change slowly, so that halving their resolution, as video does, changes little
  mobile.onnx  inverted residuals with depthwise convolutions, as Keras exports: [batch, size, size, 3], no softmax
  vision.onnx  a small vision transformer, as PyTorch exports: [1, 3, size, size], batch fixed to 1, softmax at its end
  half.onnx    the first in float16, with its batch fixed to 2
  mobile.json, vision.json, half.json  probabilities of the picture, computed here
"""

import json
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / ".deps/python"))

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

CLASSES = 4
SIZE = 64
MEAN, SCALE = numpy.array([123.7, 116.3, 103.5]), numpy.array([0.0171, 0.0175, 0.0174])


class Graph:
    """Nodes with random weights, one after the other."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def weight(self, *shape, scale=None):
        fan_in = numpy.prod(shape[1:]) if len(shape) > 1 else 1
        values = self.random.normal(0, scale or 1.5 / numpy.sqrt(fan_in), shape).astype(numpy.float32)
        return self.constant(values)

    def constant(self, values):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.asarray(values), name))
        return name

    def add(self, op, *inputs, output=None, **attributes):
        name = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def save(self, path, entry, exit, kind=TensorProto.FLOAT):
        graph = helper.make_graph(
            self.nodes,
            "classifier",
            [helper.make_tensor_value_info(entry[0], kind, entry[1])],
            [helper.make_tensor_value_info(exit[0], kind, exit[1])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def mobile(graph):
    """Inverted residuals: widen by a 1x1 convolution, filter each channel by itself, narrow again, add."""
    x = graph.add("Transpose", "input_1", perm=[0, 3, 1, 2])
    x = graph.add("Conv", x, graph.weight(8, 3, 3, 3), graph.weight(8), strides=[2, 2], pads=[1, 1, 1, 1])
    for _ in range(3):
        wide = graph.add("Clip", graph.add("Conv", x, graph.weight(32, 8, 1, 1)), graph.constant(numpy.float32(0)))
        deep = graph.add("Conv", wide, graph.weight(32, 1, 3, 3), group=32, pads=[1, 1, 1, 1])
        x = graph.add("Add", x, graph.add("Conv", graph.add("HardSwish", deep), graph.weight(8, 32, 1, 1)))
    x = graph.add("GlobalAveragePool", x)
    return graph.add("Conv", x, graph.weight(CLASSES, 8, 1, 1, scale=0.3), graph.weight(CLASSES), output="predictions")


def vision(graph, width=32, heads=4, patch=16):
    """Patches become tokens, tokens attend to each other, their mean is classified."""
    count = (SIZE // patch) ** 2
    x = graph.add("Conv", "x", graph.weight(width, 3, patch, patch), strides=[patch, patch])
    # The batch of 1 stands in the shapes, as it does where a tracer has seen one picture.
    x = graph.add("Reshape", x, graph.constant(numpy.array([1, width, count], numpy.int64)))
    x = graph.add("Add", graph.add("Transpose", x, perm=[0, 2, 1]), graph.weight(1, count, width, scale=0.1))
    ones, zeros = graph.constant(numpy.ones(width, numpy.float32)), graph.constant(numpy.zeros(width, numpy.float32))
    split = graph.constant(numpy.array([1, count, heads, width // heads], numpy.int64))
    for _ in range(2):
        norm = graph.add("LayerNormalization", x, ones, zeros)
        query, key, value = (
            graph.add("Transpose", graph.add("Reshape", graph.add("MatMul", norm, graph.weight(width, width)), split), perm=perm)
            for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        )
        seen = graph.add("MatMul", graph.add("Softmax", graph.add("MatMul", query, key), axis=-1), value)
        seen = graph.add("Transpose", seen, perm=[0, 2, 1, 3])
        seen = graph.add("Reshape", seen, graph.constant(numpy.array([1, count, width], numpy.int64)))
        x = graph.add("Add", x, seen)
    x = graph.add("ReduceMean", x, axes=[1], keepdims=0)
    x = graph.add("Gemm", x, graph.weight(CLASSES, width, scale=0.1), graph.weight(CLASSES), transB=1)
    return graph.add("Softmax", x, output="probs", axis=1)


def softmax(values):
    powers = numpy.exp(values - values.max())
    return (powers / powers.sum()).tolist()


def run(path, tensor):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: tensor})[0].astype(numpy.float64)


def picture(path):
    down, right = numpy.mgrid[0:SIZE, 0:SIZE] * (120 / SIZE)
    pixels = numpy.stack([60 + right, 180 - down, 60 + (down + right) / 2], 2).astype(numpy.uint8)
    rows = pixels[::-1, :, ::-1].tobytes()
    header = struct.pack("<2sIHHI", b"BM", 54 + len(rows), 0, 0, 54)
    header += struct.pack("<IiiHHIIiiII", 40, SIZE, SIZE, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    path.write_bytes(header + rows)
    return pixels


def main(folder):
    folder = pathlib.Path(folder)
    pixels = picture(folder / "picture.bmp")
    last = ((pixels - MEAN) * SCALE).astype(numpy.float32)[None]

    graph = Graph(1)
    mobile(graph)
    graph.save(folder / "mobile.onnx", ("input_1", ["n", None, None, 3]), ("predictions", ["n", CLASSES, 1, 1]))
    logits = run(folder / "mobile.onnx", last)
    (folder / "mobile.json").write_text(json.dumps(softmax(logits.ravel())))

    graph.weights = [
        numpy_helper.from_array(numpy_helper.to_array(weight).astype(numpy.float16), weight.name) for weight in graph.weights
    ]
    half = (("input_1", [2, SIZE, SIZE, 3]), ("predictions", [2, CLASSES, 1, 1]))
    graph.save(folder / "half.onnx", *half, kind=TensorProto.FLOAT16)
    logits = run(folder / "half.onnx", numpy.concatenate([last, last]).astype(numpy.float16))[0]
    (folder / "half.json").write_text(json.dumps(softmax(logits.ravel())))

    graph = Graph(2)
    vision(graph)
    graph.save(folder / "vision.onnx", ("x", [1, 3, SIZE, SIZE]), ("probs", [1, CLASSES]))
    # Blue, green, red, as OpenCV reads pictures.
    first = numpy.ascontiguousarray(((pixels[:, :, ::-1] - MEAN[::-1]) * SCALE[::-1]).astype(numpy.float32).transpose(2, 0, 1))
    (folder / "vision.json").write_text(json.dumps(run(folder / "vision.onnx", first[None])[0].tolist()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
