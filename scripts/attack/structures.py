"""Small malicious models that are well formed."""
import onnx

I64 = lambda value: (value & (1 << 64) - 1).to_bytes(8, "little")


def loop(limit):
    """Passes the pixels through a loop of `limit` iterations that changes nothing."""
    body = [onnx.text(1, onnx.node("Identity", ["going"], ["still"])), onnx.text(1, onnx.node("Identity", ["state"], ["next"]))]
    body += [onnx.text(2, "body")]
    inputs = [("turn", [], onnx.INT64), ("going", [], onnx.BOOL), ("state", ["batch", 3, 32, 32], onnx.FLOAT)]
    body += [onnx.text(11, onnx.value_info(*entry)) for entry in inputs]
    outputs = [("still", [], onnx.BOOL), ("next", ["batch", 3, 32, 32], onnx.FLOAT)]
    body += [onnx.text(12, onnx.value_info(*entry)) for entry in outputs]
    nodes, weights = onnx.head("looped")
    nodes.insert(0, onnx.node("Loop", ["most", "yes", "pixels"], ["looped"], [onnx.subgraph("body", onnx.encode(body))]))
    weights += [onnx.tensor("most", [], I64(limit), onnx.INT64), onnx.tensor("yes", [], b"\1", onnx.BOOL)]
    return onnx.model(nodes, weights)


def sound():
    """a small model that is sound"""
    return onnx.model(*onnx.head("pixels"))


def endless_loop():
    """a loop without end"""
    return loop((1 << 63) - 1)


def long_loop():
    """a loop of ten thousand turns"""
    return loop(10_000)


def deep():
    """subgraphs 3000 deep"""
    inner = onnx.encode([onnx.text(2, "inner")])
    for _ in range(3000):
        inner = onnx.encode([onnx.text(1, onnx.node("If", ["yes"], ["out"], [onnx.subgraph("then_branch", inner)])), onnx.text(2, "g")])
    nodes, weights = onnx.head("pixels")
    nodes.append(onnx.node("If", ["yes"], ["unused"], [onnx.subgraph("then_branch", inner), onnx.subgraph("else_branch", inner)]))
    return onnx.model(nodes, [*weights, onnx.tensor("yes", [], b"\1", onnx.BOOL)])


def chain():
    """a chain of 20000 nodes"""
    names = ["pixels", *(f"n{i}" for i in range(20_000))]
    nodes, weights = onnx.head(names[-1])
    return onnx.model([onnx.node("Identity", [a], [b]) for a, b in zip(names, names[1:])] + nodes, weights)


def wide():
    """an answer of 40 MB for each picture in between"""
    nodes, weights = onnx.head("shrunk")
    before = [onnx.node("Tile", ["pixels", "times"], ["large"]), onnx.node("GlobalAveragePool", ["large"], ["shrunk"])]
    times = b"".join(map(I64, (1, 1, 60, 60)))
    return onnx.model(before + nodes, [*weights, onnx.tensor("times", [4], times, onnx.INT64)])


def too_many_labels():
    """a hundred thousand labels for three numbers"""
    labels = "[" + ",".join(f'"l{i}"' for i in range(100_000)) + "]"
    return onnx.model(*onnx.head("pixels"), metadata={**onnx.METADATA, "labels": labels})


def control_labels():
    """labels of control characters"""
    return onnx.model(*onnx.head("pixels"), metadata={**onnx.METADATA, "labels": '["\\u001b[31mred", "a\\nb", "\\u0007\\u009b2J"]'})


def key_labels():
    """labels that are called like the timeline's keys"""
    return onnx.model(*onnx.head("pixels"), metadata={**onnx.METADATA, "labels": '["frames", "intervals", "schema"]'})


def escaped_labels():
    """labels that are called like a key, and like the name that is given it in its place"""
    return onnx.model(*onnx.head("pixels"), metadata={**onnx.METADATA, "labels": '["frames", "label:frames", "other"]'})


def negative():
    """probabilities below zero"""
    nodes, weights = onnx.head("pixels")
    nodes[-1] = onnx.node("Neg", ["logits"], ["probabilities"])
    return onnx.model(nodes, weights)


def not_a_number():
    """probabilities that are no numbers"""
    nodes, weights = onnx.head("pixels")
    nodes[-1:] = [onnx.node("Sub", ["logits", "logits"], ["zero"]), onnx.node("Div", ["zero", "zero"], ["probabilities"])]
    return onnx.model(nodes, weights)


def four_numbers():
    """four numbers for three labels"""
    nodes, _ = onnx.head("pixels")
    return onnx.model(nodes, [onnx.tensor("weight", [3, 4], bytes(48))], classes=4)


def no_batch():
    """an answer that is not a row for each picture"""
    nodes, weights = onnx.head("pixels")
    nodes.insert(2, onnx.node("ReduceMean", ["flat"], ["one"]))
    return onnx.model(nodes, weights)


def text_file():
    """a text"""
    return b"this is no model\n" * 100


ALL = [
    sound, long_loop, deep, chain, wide, too_many_labels, control_labels, key_labels, escaped_labels, negative, not_a_number, four_numbers, no_batch,
    text_file, endless_loop,
]  # fmt: skip
