"""Converts a float32 model file to int8: static quantization, QDQ, a scale for each output channel.

Activations are unsigned and weights signed, which is fastest in ONNX Runtime on CPUs with VNNI. The dense layers stay in
float: they are 2 % of the work, and they compute the probabilities.

usage: quantize.py MODEL.onnx PICTURES.f32 OUTPUT.onnx
PICTURES.f32 contains input tensors of the model, one after the other, in little-endian float32.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / ".deps/python"))

import numpy  # noqa: E402
import onnx  # noqa: E402
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static  # noqa: E402

BATCH = 8


class Pictures(CalibrationDataReader):
    """Reads the pictures in batches."""

    def __init__(self, path, name, shape):
        each = int(numpy.prod(shape))
        self.pictures = numpy.memmap(path, dtype="<f4", mode="r").reshape(-1, *shape)
        assert self.pictures.size == len(self.pictures) * each
        self.name = name
        self.next = 0

    def get_next(self):
        batch = numpy.array(self.pictures[self.next : self.next + BATCH])
        self.next += BATCH
        return {self.name: batch} if len(batch) else None


def main(model_path, pictures_path, output):
    model = onnx.load(model_path)
    entry = model.graph.input[0]
    shape = [dim.dim_value for dim in entry.type.tensor_type.shape.dim][1:]
    part = f"{output}.part"
    quantize_static(
        model_path,
        part,
        Pictures(pictures_path, entry.name, shape),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Add", "MaxPool", "Relu", "GlobalAveragePool", "GlobalMaxPool"],
    )
    quantized = onnx.load(part)
    del quantized.metadata_props[:]
    for entry in model.metadata_props:
        value = "int8" if entry.key == "precision" else entry.value
        quantized.metadata_props.add(key=entry.key, value=value)
    with open(part, "wb") as file:
        file.write(quantized.SerializeToString(deterministic=True))
    os.replace(part, output)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
