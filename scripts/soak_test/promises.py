"""What must hold after a run. Each check returns a line for each promise that was broken."""
import collections

import invariants
import slopes
from evidence import camera_of, identity

WARM_S = 600
# What the page documents, and what browsers meet before they have an answer.
STATUSES = {"200", "400", "404", "409", "429", "503", "507", "nothing"}
# A shorter run is still warming up, and one with less than a minute without faults leaves cameras waiting for their next attempt.
LONG_MINUTES, CALM_MINUTES = 30, 4
# Growth over the run that is no more than this share of what is held is flat.
FLAT = 0.05
RESOURCES = {"rss_kib": "resident memory", "threads": "threads", "descriptors": "descriptors", "disk_bytes": "bytes on the disk"}


def warm(evidence):
    """Returns the seconds from which on the program is expected to hold what it holds: ten minutes, or half of a short run."""
    return min(WARM_S, 30 * evidence.facts["minutes"])


def lines(evidence):
    """Returns for each resource its mean, its slope per hour, and half of the slope's interval, after it is warm."""
    found = {}
    times = evidence.samples["seconds"]
    for name in RESOURCES:
        pairs = [(time / 3600, value) for time, value in zip(times, evidence.samples[name]) if time >= warm(evidence) and value is not None]
        if len(pairs) > 10:
            hours, values = zip(*pairs)
            found[name] = sum(values) / len(values), *slopes.slope(hours, values)
    return found


def flat(evidence):
    """Memory, threads, descriptors and disk do not grow: the slope's interval reaches 0, or the growth is small."""
    if evidence.facts["minutes"] < LONG_MINUTES:
        return
    hours = evidence.facts["minutes"] / 60
    for name, (mean, slope, half) in lines(evidence).items():
        if (slope - half) * hours > FLAT * mean:
            yield f"{RESOURCES[name]} grew by {slope:.0f} ± {half:.0f} an hour, and was {mean:.0f} on average"


def ended(evidence):
    if evidence.facts["code"] != 130:
        yield f"exit code {evidence.facts['code']} after SIGINT"
    for message in evidence.messages:
        if invariants.PANIC.search(message) or "internal" in message:
            yield f"said: {message[:300]}"
    answered = sum("SIGHUP: reload: " in message for message in evidence.messages)
    if answered != evidence.facts["reloads"]:
        yield f"{evidence.facts['reloads']} reloads were asked for, {answered} were answered"


def recovered(evidence):
    """Once nothing has failed for a minute, each camera runs."""
    if evidence.facts["minutes"] < CALM_MINUTES:
        return
    last = {fields["stream"]: fields["state"] for _, fields in evidence.statuses}
    for name in evidence.facts["cameras"]:
        if last.get(name) != "running":
            yield f"{name} is {last.get(name, 'gone')} at the end"


def is_balanced(fields):
    return fields["decoded"] == sum(fields[name] for name in ("analysed", "held", "dropped", "in_flight"))


def balanced(evidence):
    for at, fields in evidence.statuses:
        if not is_balanced(fields):
            yield f"after {at:.0f} s the frames of {fields['stream']} did not add up: {fields}"
    for name, summary in evidence.facts["summaries"].items():
        yield from (f"{name}: {fault}" for fault in invariants.balance(summary["frames"]))


def told(evidence):
    """Each interval has one start and one end, in turns; and so have losses and returns."""
    for identity_, count in collections.Counter(map(identity, evidence.events)).items():
        if count > 1:
            yield f"{count} times in the events: {identity_}"
    shown, away = {}, {}
    for event in evidence.events:
        stream, kind = event["stream"], event["event"]
        if kind == "start":
            if stream in shown:
                yield f"two starts without an end: {shown[stream]} and {event}"
            shown[stream] = event
        elif kind == "end":
            begun = shown.pop(stream, None)
            if not begun or (begun["label"], begun["ms"]) != (event["label"], event["start_ms"]):
                yield f"an end without its start: {event}, but {begun}"
        elif kind in ("lost", "back"):
            if away.get(stream) == kind:
                yield f"{kind} twice: {event}"
            away[stream] = kind
    yield from (f"a start without an end: {event}" for event in shown.values())


def journalled(evidence):
    """Each interval is once in a journal, and each that is there was told. None is missing unless the disk was full."""
    ends = {(event["stream"], event["label"], event["start_ms"], event["ms"]): event["time"] for event in evidence.events if event["event"] == "end"}
    for interval, files in evidence.intervals.items():
        if len(files) > 1:
            yield f"{len(files)} times in the journals: {interval} in {files}"
        if interval not in ends:
            yield f"was never told: {interval} in {files[0]}"
    for interval in missing(evidence, ends):
        yield f"is in no journal: {interval}, which ended {ends[interval]}"
    for name, (_, torn) in evidence.journals.items():
        if torn and not evidence.was_full_during(name):
            yield f"{name}: {torn} lines are cut off, but the disk was not full"


def missing(evidence, ends):
    """Returns the intervals that are in no journal, though one was copied that goes on after them, and the disk was not full."""
    times = {key: evidence.moment(time) for key, time in ends.items() if key not in evidence.intervals}
    return [key for key, time in times.items() if not evidence.was_full(time) and evidence.is_seen(key[0], time)]


def indexed(evidence):
    """The index holds the intervals of the journals that are kept. Where the disk was full it also has those whose frames are in
    the journal, but whose record is not."""
    kept = collections.Counter(file for files in evidence.intervals.values() for file in files if file in evidence.facts["files"])
    for file in sorted({*kept, *evidence.indexed}):
        found = evidence.indexed.get(file, 0)
        if found < kept[file] or (found > kept[file] and not evidence.was_full_during(file)):
            yield f"{file} has {kept[file]} intervals, the index {found} of them"


def received(evidence, receiver, scheme):
    """Whatever was not counted as undelivered has arrived; twice only after a connection that broke."""
    _, undelivered = evidence.delivered(scheme)
    taken = evidence.accepted(receiver)
    known, seen = {identity(event) for event in evidence.events}, {}
    for connection, key, event in taken:
        if identity(event) not in known:
            yield f"{receiver} got what is in no file: {event}"
        before = seen.setdefault(identity(event), (connection, key))
        # A topic is no key, and a connection that goes on needs no repetition.
        repeated = before == (connection, key) if receiver == "mqtt" else before[1] != key
        if before is not seen[identity(event)] and repeated:
            yield f"{receiver} got twice: {event}"
    if len(known) - len(seen) > undelivered:
        yield f"{receiver} got {len(seen)} of {len(known)} events, but only {undelivered} count as undelivered"


def playable(evidence):
    """Each video has pictures, and its container is whole unless the disk was full when it was written.

    A camera's own packets are recorded as they came: what a camera damaged, readers complain about."""
    for name, _, pictures, words in evidence.videos:
        if not pictures or ("matroska" in words and name in evidence.complete_videos):
            yield f"{name}: {pictures} pictures; {words}"


def kept(evidence):
    """Each camera stays within its limit, but for what it is writing."""
    sizes = collections.defaultdict(list)
    for name, size in evidence.facts["files"].items():
        sizes[camera_of(name)].append(size)
    for camera, all_sizes in sizes.items():
        if sum(all_sizes) > evidence.limits[camera] + 2 * max(all_sizes):
            yield f"{camera} has {sum(all_sizes)} bytes, and may keep {evidence.limits[camera]}"


def browsed(evidence):
    for path, status, count in evidence.facts["answers"]:
        # A recording may hold a picture that the camera damaged.
        unreadable = status == "500" and path.startswith("/api/history/picture.jpg")
        if status not in STATUSES and not unreadable:
            yield f"{count} browsers got {status} from {path}"


CHECKS = [ended, flat, balanced, recovered, told, journalled, indexed, playable, kept, browsed]


def broken(evidence):
    found = [line for check in CHECKS for line in check(evidence)]
    return found + [*received(evidence, "mqtt", "mqtt"), *received(evidence, "webhook", "http")]
