"""Damaged clips: eleven containers, two hundred mutants each."""
import invariants
import mutations
from outcome import Outcome
from seeds import CONTAINERS

CASES = 2200


def attack(lab, number):
    random = lab.random("media", number)
    container = CONTAINERS[(number - 1) % len(CONTAINERS)]
    slot = (number - 1) // len(CONTAINERS)
    variant, kind = slot // len(mutations.SLOTS) % 2, mutations.SLOTS[slot % len(mutations.SLOTS)]
    others = [name for name in CONTAINERS if name != container]
    other = lab.seeds.data(random.choice(others), random.randrange(2))
    data, done = mutations.mutate(random, kind, lab.seeds.data(container, variant), other, container)
    folder = lab.folder("media", number)
    clip = folder / f"mutant.{container}"
    clip.write_bytes(data)
    results = folder / "out"
    results.mkdir()
    # A Matroska file contains each frame once, an AVI has a constant rate.
    video = "video.mkv" if number % 2 else "video.avi"
    names = {"--output": video, "--timeline": "clip.timeline.json", "--plot": "plot.svg", "--subtitles": "clip.vtt"}
    flags = [text for flag, name in names.items() for text in (flag, f"out/{name}")]
    finished = lab.program.run(["run", clip.name, *flags], folder)
    faults = invariants.ended(finished, lab.program.limits) + invariants.stderr(finished, [clip.name])
    faults += invariants.outputs(results, finished.code) + invariants.strays(results, set(names.values()))
    faults += invariants.strays(folder, {clip.name, "out"})
    if finished.code == 0 and (missing := [name for name in names.values() if not (results / name).exists()]):
        faults.append(f"exit code 0 without {', '.join(missing)}")
    if clip.read_bytes() != data:
        faults.append("the clip was changed")
    codec = lab.seeds.codec(container, variant)
    return Outcome(f"{container}/{codec}: {kind}: {done}", finished.code, faults, finished)
