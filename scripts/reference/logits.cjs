// Computes the logits of ResNet50 with TensorFlow.js, from the published topology and weights.
//
// usage: NODE_PATH=node_modules node logits.cjs MODEL_FOLDER TENSORS COUNT
// TENSORS contains COUNT pictures of 224x224x3 float32 numbers, channels last. Prints a JSON list of logits for each.
const fs = require("fs");
const path = require("path");
const tf = require("@tensorflow/tfjs-core");
const layers = require("@tensorflow/tfjs-layers");
const wasm = require("@tensorflow/tfjs-backend-wasm");
require("@tensorflow/tfjs-backend-cpu");

function artifacts(folder) {
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, "model.json"), "utf8"));
  const groups = manifest.weightsManifest;
  const shards = groups.flatMap((group) => group.paths.map((shard) => fs.readFileSync(path.join(folder, shard))));
  const bytes = Buffer.concat(shards);
  return {
    modelTopology: manifest.modelTopology,
    weightSpecs: groups.flatMap((group) => group.weights),
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  };
}

async function main([folder, tensors, count]) {
  const home = path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json"));
  wasm.setWasmPaths(path.join(home, "dist") + path.sep);
  await tf.setBackend("wasm");
  const model = await layers.loadLayersModel({ load: async () => artifacts(folder) });
  const pooled = layers.model({ inputs: model.inputs, outputs: model.getLayer("avg_pool").output });
  const [kernel, bias] = model.getLayer("fc1000").getWeights();
  const bytes = fs.readFileSync(tensors);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const pictures = tf.tensor(values, [Number(count), 224, 224, 3]);
  const logits = tf.add(tf.matMul(pooled.predict(pictures), kernel), bias);
  console.log(JSON.stringify(await logits.array()));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
