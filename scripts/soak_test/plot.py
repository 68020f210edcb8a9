"""The run as a picture: what the program held, over time."""
import promises
import report

WIDTH, LEFT, RIGHT, PANEL, GAP, TOP = 760, 64, 16, 96, 34, 44
PANELS = [("rss_kib", "resident memory, MiB", 1024), ("threads", "threads", 1), ("descriptors", "open descriptors", 1), ("disk_bytes", "on the disk, MiB", 1 << 20)]
# Readable on a light and on a dark page: the ground is part of the picture.
STYLE = """
.ground { fill: #ffffff } .ink { fill: #24292f } .faint { fill: #656d76 } .grid { stroke: #d8dee4 } .line { stroke: #0969da; fill: none; stroke-width: 1.4 }
.fit { stroke: #bc4c00; stroke-width: 1.6; stroke-dasharray: 6 4 } .warm { fill: #f3f4f6 } .full { fill: #bc4c00; fill-opacity: 0.22 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #30363d } .line { stroke: #58a6ff }
.fit { stroke: #f0883e } .warm { fill: #1b222b } .full { fill: #f0883e; fill-opacity: 0.3 } }"""


def ceiling(value):
    """Returns a round number that is not smaller."""
    step = 10 ** (len(str(int(value))) - 1)
    return next(step * factor for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * factor >= value)


def text(x, y, words, kind="ink", anchor="start"):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{words}</text>'


def ticks(minutes):
    step = next((step for step in (1, 2, 5, 10, 20, 60, 120) if minutes / step <= 12), 240)
    return range(0, int(minutes) + 1, step)


def panel(evidence, top, name, title, unit, x):
    """Draws one measurement, from 0."""
    minutes, lines = evidence.facts["minutes"], promises.lines(evidence)
    points = [(time / 60, value / unit) for time, value in zip(evidence.samples["seconds"], evidence.samples[name]) if value is not None]
    highest = ceiling(max(value for _, value in points))
    y = lambda value: top + PANEL * (1 - value / highest)
    warm = promises.warm(evidence) / 60
    parts = [f'<rect x="{x(0):.1f}" y="{top}" width="{x(warm) - x(0):.1f}" height="{PANEL}" class="warm"/>']
    for at, seconds in evidence.full:
        begun = (at - evidence.began) / 60
        parts.append(f'<rect x="{x(begun):.1f}" y="{top}" width="{max(x(begun + seconds / 60) - x(begun), 1):.1f}" height="{PANEL}" class="full"/>')
    for value in (0, highest / 2, highest):
        parts.append(f'<line x1="{x(0):.0f}" x2="{x(minutes):.0f}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>')
        parts.append(text(LEFT - 8, y(value) + 4, f"{value:g}", "faint", "end"))
    parts.append(f'<polyline class="line" points="{" ".join(f"{x(minute):.1f},{y(value):.1f}" for minute, value in points)}"/>')
    parts.append(text(LEFT, top - 8, title))
    if name in lines:
        mean, slope, half = (value / unit for value in lines[name])
        at = lambda minute: mean + slope * (minute - (warm + minutes) / 2) / 60
        parts.append(f'<line class="fit" x1="{x(warm):.1f}" y1="{y(at(warm)):.1f}" x2="{x(minutes):.1f}" y2="{y(at(minutes)):.1f}"/>')
        parts.append(text(WIDTH - RIGHT, top - 8, f"{slope:+.1f} ± {half:.1f} an hour", "faint", "end"))
    return parts


def svg(evidence):
    minutes = evidence.facts["minutes"]
    x = lambda minute: LEFT + (WIDTH - LEFT - RIGHT) * minute / minutes
    tops = [TOP + number * (PANEL + GAP) for number in range(len(PANELS))]
    bottom = tops[-1] + PANEL
    height = bottom + 62
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="DejaVu Sans, sans-serif" font-size="12">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" class="ground"/>',
    ]
    for top, (name, title, unit) in zip(tops, PANELS):
        parts += panel(evidence, top, name, title, unit, x)
    parts += [text(x(minute), bottom + 18, minute, "faint", "middle") for minute in ticks(minutes)]
    parts.append(text(LEFT, bottom + 44, f"minutes; {len(evidence.facts['cameras'])} cameras, {sum(count for _, count in report.faults(evidence)):,} faults"))
    parts.append(f'<rect x="{WIDTH - 330}" y="{bottom + 33}" width="14" height="14" class="full"/>' + text(WIDTH - 310, bottom + 44, "the disk is full", "faint"))
    parts.append(f'<rect x="{WIDTH - 190}" y="{bottom + 33}" width="14" height="14" class="warm"/>' + text(WIDTH - 170, bottom + 44, "not in the slope (dashed)", "faint"))
    return "\n".join([*parts, "</svg>"]) + "\n"
