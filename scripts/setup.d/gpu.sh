# What GPUs need.

# ONNX Runtime's GPU build with the parts of CUDA 13 that it needs, for `--device cuda`; only with --gpu.
gpu() {
  local folder=$DEPS/onnxruntime-gpu part library=libonnxruntime.so.1.31.1 archive
  [ ! -e "$folder/$library" ] || [ ! -e "$folder/libcudnn.so.9" ] || return 0
  need_x86_64 "ONNX Runtime's GPU build" "take --device cpu"
  need_space 4000
  say "fetching ONNX Runtime 1.31.1 for CUDA 13 with cuDNN (1.4 GB)"
  part=$folder.part
  archive=$(wheel onnxruntime-gpu 1.31.1 e26c475fe361b2015f45b4b824bd13f0bb20204e59b62814e6f0acd5f3d491a6 \
    cp cp311 manylinux_2_28_x86_64)
  unpack "$archive" "$part" "onnxruntime/capi/$library" onnxruntime/LICENSE \
    onnxruntime/capi/libonnxruntime_providers_shared.so onnxruntime/capi/libonnxruntime_providers_cuda.so
  archive=$(wheel nvidia-cublas 13.10.0.20 dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84 \
    py none manylinux_2_5_x86_64)
  unpack "$archive" "$part" nvidia/cu13/lib/libcublas.so.13 nvidia/cu13/lib/libcublasLt.so.13
  archive=$(wheel nvidia-curand 10.4.5.25 22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529 \
    py none manylinux_2_27_x86_64)
  unpack "$archive" "$part" nvidia/cu13/lib/libcurand.so.10
  archive=$(wheel nvidia-cuda-runtime 13.0.96 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548 \
    py none manylinux_2_17_x86_64)
  unpack "$archive" "$part" nvidia/cu13/lib/libcudart.so.13
  archive=$(wheel nvidia-cuda-nvrtc 13.0.88 ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575 \
    py none manylinux_2_12_x86_64)
  unpack "$archive" "$part" nvidia/cu13/lib/libnvrtc.so.13 'nvidia/cu13/lib/libnvrtc-builtins.so.13.*'
  archive=$(wheel nvidia-cudnn-cu13 9.28.1.4 a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec \
    py none manylinux_2_27_x86_64)
  unpack "$archive" "$part" 'nvidia/cudnn/lib/*.so.9'
  ln -sf "$library" "$part/libonnxruntime.so"
  place "$folder"
}
