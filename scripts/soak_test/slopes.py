"""Straight lines through what was measured."""
import math
import statistics

Z95 = 1.959964


def student(freedom):
    """Returns the 97.5 % quantile of Student's distribution, by its expansion around the normal one."""
    z, n = Z95, max(freedom, 1)
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)


def slope(times, values):
    """Returns the least-squares slope, and half of its interval of 95 %.

    What is measured each few seconds is no news each time: the interval is that of as many independent values as the
    residuals' correlation with the one before leaves."""
    count = len(values)
    middle, mean = statistics.fmean(times), statistics.fmean(values)
    spread = sum((time - middle) ** 2 for time in times)
    steep = sum((time - middle) * (value - mean) for time, value in zip(times, values)) / spread
    rest = [value - mean - steep * (time - middle) for time, value in zip(times, values)]
    squares = sum(one * one for one in rest)
    likeness = sum(a * b for a, b in zip(rest, rest[1:])) / squares if squares else 0.0
    independent = max(3.0, count * (1 - likeness) / (1 + likeness)) if likeness > 0 else float(count)
    return steep, student(independent - 2) * math.sqrt(squares / (independent - 2) / spread)
