"""The run as Markdown."""
import collections
import statistics

import promises

MIB = 1 << 20
PARTS = 10
UNITS = {"rss_kib": ("resident memory, MiB", 1024), "threads": ("threads", 1), "descriptors": ("descriptors", 1), "disk_bytes": ("on the disk, MiB", MIB)}


def table(evidence):
    """Returns a row for each tenth of the run."""
    rows = ["| minute | MiB | threads | descriptors | MiB on disk | files | frames | dropped | reconnects | stalls | balance |"]
    rows.append("|" + "---|" * 11)
    samples, minutes = evidence.samples, evidence.facts["minutes"]
    indices = range(len(samples["seconds"]))
    shown = {min(indices, key=lambda i: abs(samples["seconds"][i] - 60 * minutes * part / PARTS)) for part in range(PARTS + 1)}
    for nearest in sorted(shown):
        value = lambda name: samples[name][nearest] or 0
        seconds = samples["seconds"][nearest]
        counts = totals(evidence, seconds)
        cells = [
            f"{seconds / 60:.0f}" if minutes >= PARTS else f"{seconds / 60:.1f}",
            f"{value('rss_kib') / 1024:.0f}",
            *(f"{value(name):.0f}" for name in ("threads", "descriptors")),
            f"{value('disk_bytes') / MIB:.0f}",
            f"{value('files'):.0f}",
            *(f"{counts[name]:,}" for name in ("decoded", "dropped", "reconnects", "stalls")),
            "BROKEN" if counts["broken"] else "holds",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def totals(evidence, seconds):
    """Returns the counts of all cameras until then. A camera that is added again counts from 0."""
    sums, before = collections.Counter(), collections.defaultdict(dict)
    for at, fields in evidence.statuses:
        if at > seconds:
            break
        last = before[fields["stream"]]
        for name in ("decoded", "dropped", "reconnects", "stalls"):
            count = fields[name]
            sums[name] += count - last.get(name, 0) if fields["decoded"] >= last.get("decoded", 0) else count
        before[fields["stream"]] = fields
        sums["broken"] += not promises.is_balanced(fields)
    return sums


def slopes(evidence):
    rows = [f"| after minute {promises.warm(evidence) / 60:.0f} | least | mean | most | slope an hour, 95 % |", "|---|---|---|---|---|"]
    for name, (mean, slope, half) in promises.lines(evidence).items():
        title, unit = UNITS[name]
        values = [value for time, value in zip(evidence.samples["seconds"], evidence.samples[name]) if value is not None and time >= promises.warm(evidence)]
        rows.append(f"| {title} | {min(values) / unit:.0f} | {mean / unit:.1f} | {max(values) / unit:.0f} | {slope / unit:+.1f} ± {half / unit:.1f} |")
    return rows


def faults(evidence):
    """Returns how often each fault occurred, most frequent first."""
    counts, kinds = collections.Counter(), {"disk": "a full disk", "SIGHUP": "a reload", "broker": "the broker", "webhook": "the webhook"}
    for _, target, what, _ in evidence.faults:
        kind = kinds.get(target) or what.split(" ")[0].split(":")[0]
        if kind != "none":
            counts[kind] += 1
    return counts.most_common()


def cores(evidence):
    samples = evidence.samples
    return (samples["cpu_s"][-1] - samples["cpu_s"][0]) / (samples["seconds"][-1] - samples["seconds"][0])


def text(evidence):
    facts = evidence.facts
    ends = {(event["stream"], event["label"], event["start_ms"], event["ms"]) for event in evidence.events if event["event"] == "end"}
    browsers = sum(count for *_, count in facts["answers"])
    figures = [
        f"- cameras {len(facts['cameras'])}, minutes {facts['minutes']:g}, seed {facts['seed']}; the disk was {'' if facts['disk_filled'] else 'not '}filled",
        f"- faults {sum(count for _, count in faults(evidence)):,}: {', '.join(f'{name} {count}' for name, count in faults(evidence))}",
        f"- browsers {browsers}; the page had {statistics.fmean(value for value in evidence.samples['viewers'] if value is not None):.1f} connections on average",
        f"- cores {cores(evidence):.2f}",
        f"- status lines {len(evidence.statuses)}, in which the balance is checked",
        f"- events {len(evidence.events)}; of MQTT and webhook delivered and not: {evidence.delivered('mqtt')}, {evidence.delivered('http')}",
        f"- intervals {len(ends)}, of which {len(ends - set(evidence.intervals))} are in no journal, since the disk was full",
        f"- journals {len(evidence.journals)}, with {sum(torn for _, torn in evidence.journals.values())} lines cut off by a full disk",
        f"- videos read {len(evidence.videos)}, of which {sum('matroska' in words for *_, words in evidence.videos)} end where the disk was full",
    ]
    return "\n".join([*table(evidence), "", *slopes(evidence), "", *figures])
