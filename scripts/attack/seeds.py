"""Two clips for each of ten containers, cut from real footage. The second of each has another codec and, mostly, sound."""
import subprocess
import threading

CODECS = {
    "avi": (["-c:v", "mjpeg"], ["-c:v", "libx264", "-map", "1:a", "-c:a", "libmp3lame"]),
    "mkv": (["-c:v", "libx264", "-map", "1:a", "-c:a", "aac"], ["-c:v", "libx265", "-x265-params", "log-level=error:pools=1"]),
    "mp4": (["-c:v", "libx264", "-map", "1:a", "-c:a", "aac"], ["-c:v", "libx264", "-g", "10", "-movflags", "frag_keyframe+empty_moov"]),
    "mov": (["-c:v", "mpeg4"], ["-c:v", "prores_ks", "-map", "1:a", "-c:a", "pcm_s16le"]),
    "webm": (["-c:v", "libvpx", "-b:v", "200k"], ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-map", "1:a", "-c:a", "libopus"]),
    "ts": (["-c:v", "mpeg2video"], ["-c:v", "libx264", "-map", "1:a", "-c:a", "mp2"]),
    "mpg": (["-c:v", "mpeg1video"], ["-c:v", "mpeg2video", "-map", "1:a", "-c:a", "mp2"]),
    "flv": (["-c:v", "flv1"], ["-c:v", "libx264", "-map", "1:a", "-c:a", "libmp3lame"]),
    "3gp": (["-c:v", "mpeg4"], ["-c:v", "libx264", "-map", "1:a", "-c:a", "aac"]),
    "ogv": (["-c:v", "libtheora"], ["-c:v", "libtheora", "-map", "1:a", "-c:a", "libvorbis"]),
    "wmv": (["-c:v", "wmv2"], ["-c:v", "msmpeg4", "-map", "1:a", "-c:a", "wmav2"]),
}
CONTAINERS = list(CODECS)
EXACT = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-threads", "1", "-map_metadata", "-1"]


class Seeds:
    """Clips of two seconds of 192×108, created on first use, byte-identical each time."""

    def __init__(self, footage, folder):
        self.footage, self.folder = footage, folder
        self.lock = threading.Lock()
        self.made = {}

    def clip(self, container, variant=0, seconds=2):
        """Returns the file's path."""
        with self.lock:
            key = (container, variant, seconds)
            if key not in self.made:
                self.made[key] = self.cut(container, variant, seconds)
            return self.made[key]

    def data(self, container, variant=0):
        return self.clip(container, variant).read_bytes()

    def cut(self, container, variant, seconds):
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{container}-{variant}-{seconds}.{container}"
        sound = ["-f", "lavfi", "-t", str(seconds), "-i", "sine=440:r=44100"]
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-ss", "4", "-t", str(seconds), "-i", self.footage, *sound]
        command += ["-vf", "scale=192:108", "-map", "0:v", *CODECS[container][variant], *EXACT, path]
        subprocess.run(command, check=True)
        return path

    @staticmethod
    def codec(container, variant):
        return CODECS[container][variant][1].removeprefix("lib")
