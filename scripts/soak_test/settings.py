"""The pipeline file, and its changes while the run goes on."""
import os
import signal

KEEP_MB = 5
# A minute of labelled pictures takes as much.
LABELLED_KEEP_MB = 20
STRIDE = 10
# What a reload may change of one camera. Some take effect between two frames, others restart the camera.
CHANGES = {
    "action": [None, '"cooking"'],
    "threshold": [None, 0.5, 0.8],
    "window": ['"0.5s"', '"1.2s"', '"2s"'],
    "hysteresis": [None, 0.0, 0.3],
    "segment": ['"30s"', '"1m"'],
    "paused": [None, "true"],
}
WRONG = ["threshold = 7", 'segment = "never"', "colour = 3", 'action = "flying"', "[[stream"]


class Settings:
    def __init__(self, path, cameras, top):
        self.path, self.top = path, top
        self.streams = {camera.name: {"input": f'"{camera.address}"', "segment": '"1m"', "keep": f'"{KEEP_MB}MB"'} for camera in cameras}
        self.away, self.asked = set(), 0
        for number, settings in enumerate(self.streams.values()):
            # `auto` would take whatever the machine has.
            if number % 8:
                settings["stride"] = STRIDE
            if number % 8 == 6:
                settings.update(segment_video='"labelled"', keep=f'"{LABELLED_KEEP_MB}MB"')
            if number % 8 == 5:
                settings["only_active"] = "true"
            if number % 8 in (2, 5):
                settings.update(action='"cooking"', threshold=0.5)
        self.write()

    def write(self, last=""):
        lines = [f"{key} = {value}" for key, value in self.top.items()]
        for name, settings in self.streams.items():
            if name not in self.away:
                lines += ["", "[[stream]]", f'name = "{name}"', *(f"{key} = {value}" for key, value in settings.items() if value is not None)]
        fresh = self.path.with_suffix(".new")
        fresh.write_text("\n".join([*lines, last, ""]))
        os.replace(fresh, self.path)

    def change(self, chance, pid):
        """Changes something, and has the program read it. Returns what, and what is to be undone later."""
        name = chance.choice(list(self.streams))
        kind = chance.choices(["setting", "camera", "wrong"], [6, 2, 1])[0]
        undo = None
        if kind == "wrong":
            wrong = chance.choice(WRONG)
            self.write(wrong)
            what = f"wrong: {wrong}"
        elif kind == "camera":
            self.away.add(name)
            self.write()
            what, undo = f"removed {name}", lambda: self.back(name, pid)
        else:
            key = chance.choice([key for key in CHANGES if not (key == "action" and self.streams[name].get("only_active"))])
            value = chance.choice([value for value in CHANGES[key] if value != self.streams[name].get(key)])
            self.streams[name][key] = value
            self.write()
            what = f"{name}: {key} = {value}"
            if key == "paused":
                undo = lambda: self.resume(name, pid)
        self.reload(pid)
        return what, undo

    def back(self, name, pid):
        self.away.discard(name)
        self.write()
        self.reload(pid)

    def resume(self, name, pid):
        self.streams[name].pop("paused", None)
        self.write()
        self.reload(pid)

    def reload(self, pid):
        self.asked += 1
        os.kill(pid, signal.SIGHUP)
