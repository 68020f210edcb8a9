"""The clips that cameras send: pictures that the shipped model labels differently, at two sizes."""
import subprocess

RATE = 10
SIZES = {"small": (320, 180), "large": (480, 270)}
# Seconds of each part, from the files of `scripts/setup test`. The network sees cooking in the oranges, and other in the rest.
PARTS = [("sample.mp4", 7), ("footage/orange.jpg", 4), ("footage/bikes.mp4", 5), ("footage/orange.jpg", 6), ("footage/baboon.jpg", 3)]
START_CODE = b"\0\0\0\1"
DELIMITER = 9


def make(source, folder):
    """Writes `small.h264`, `small.mjpg`, `large.h264` and `large.mjpg`."""
    for name, (width, height) in SIZES.items():
        inputs, chains = [], []
        for number, (file, seconds) in enumerate(PARTS):
            still = file.endswith(".jpg")
            inputs += [*(["-loop", "1", "-framerate", str(RATE)] if still else []), "-t", str(seconds), "-i", source / file]
            fit = f"fps={RATE},scale={2 * width}:{2 * height}:force_original_aspect_ratio=increase"
            # What stands still is not analysed: a still picture moves.
            crop = f"crop={width}:{height}:'(iw-ow)/2+(iw-ow)/2*sin(t*2)':'(ih-oh)/2'" if still else f"scale={width}:{height}"
            chains.append(f"[{number}:v]{fit},{crop},setsar=1,format=yuv420p[v{number}]")
        joined = "".join(f"[v{number}]" for number in range(len(PARTS))) + f"concat=n={len(PARTS)}:v=1:a=0,split[a][b]"
        h264 = ["-c:v", "libx264", "-profile:v", "baseline", "-b:v", "90k", "-g", str(RATE), "-x264-params", "aud=1:repeat-headers=1:slices=1"]
        outputs = ["-map", "[a]", *h264, folder / f"{name}.h264", "-map", "[b]", "-c:v", "mjpeg", "-q:v", "8", "-f", "mjpeg", folder / f"{name}.mjpg"]
        subprocess.run(["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", ";".join([*chains, joined]), *outputs], check=True)


def access_units(path):
    """Returns the units of a raw H.264 stream for each picture, without start codes."""
    pictures = []
    for unit in path.read_bytes().replace(b"\0\0\1", START_CODE).replace(b"\0" + START_CODE, START_CODE).split(START_CODE)[1:]:
        if unit[0] & 31 == DELIMITER:
            pictures.append([])
        else:
            pictures[-1].append(unit)
    return pictures


def jpegs(path):
    """Returns the pictures of a Motion JPEG file."""
    return [b"\xff\xd8\xff" + rest for rest in path.read_bytes().split(b"\xff\xd8\xff")[1:]]
