"""Charts as SVG, with matplotlib: plain, legible on white; a runtime or a command has the same colour everywhere."""

from pathlib import Path
from typing import Any

from bench.report import Chart

COLOURS = {
    "pyoci": "#2b6cb0", "in process": "#2b6cb0", "pyoci.run": "#2b6cb0", "pyoci sandbox": "#63a0d8",
    "runc": "#c05621", "crun": "#718096", "bubblewrap": "#6b46c1",
    "bubblewrap as nsjail": "#9f7aea", "docker run": "#b7791f", "floor": "#2f855a",
    "virtual machines, emulated": "#c05621", "containers": "#2b6cb0", "bare start": "#a0aec0",
}  # fmt: skip
COMMANDS = {
    "run": "#1f77b4", "create": "#d62728", "start": "#2ca02c", "delete": "#9467bd", "kill": "#e377c2",
    "state": "#ff7f0e", "list": "#17becf", "exec": "#8c564b", "ps": "#bcbd22", "update": "#3d5a80",
    "pause": "#7a9e7e", "resume": "#c9a227",
}  # fmt: skip
OTHERS = [
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#bab0ac",
    "#2f4b7c", "#a05195", "#665191", "#d45087",
]  # fmt: skip
PALER = (0.7, 0.4)  # newer versions of a runtime have the runtime's colour, paler, two in a row differently


def draw(chart: Chart, directory: Path) -> None:
    """Writes one chart."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "pyoci", "font.size": 10, "svg.fonttype": "none"})
    from matplotlib import pyplot

    panels = len(chart.points) if chart.kind == "panels" else 1
    bars = len(chart.series) * len(chart.points) if chart.kind == "bars" else 0
    size = (7.5, max(3.4, 0.7 + bars * 0.17))
    figure, axes = pyplot.subplots(1, panels, figsize=size, layout="constrained", squeeze=False)
    if chart.kind == "panels":
        _panels(list(axes[0]), chart)
    else:
        {"bars": _bars, "lines": _lines, "stack": _stack}[chart.kind](axes[0][0], chart)
    figure.suptitle(chart.title.replace("`", ""), x=0.01, ha="left", fontsize=11)
    for each in axes[0]:
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(directory / f"{chart.name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def colour(name: str, number: int) -> str:
    """That of a runtime or a command; others have one by their number."""
    for table in (COLOURS, COMMANDS):
        if name in table:
            return table[name]
    kind, dash, version = name.partition("-")
    if kind in COLOURS and dash and version[:1].isdigit():
        parts = (int(COLOURS[kind][at : at + 2], 16) for at in (1, 3, 5))
        return "#" + "".join(f"{round(255 - (255 - part) * PALER[number % 2]):02x}" for part in parts)
    return OTHERS[number % len(OTHERS)]


def _bars(axes: Any, chart: Chart) -> None:
    """Horizontal bars, the first on top; one point needs no legend, the bars are labelled instead."""
    count, points = len(chart.series), len(chart.points)
    single = points == 1
    height = 0.8 if single else 0.8 / count
    ticks = []
    for number, (name, values) in enumerate(chart.series.items()):
        places = [number] if single else [point + (number - (count - 1) / 2) * height for point in range(points)]
        bars = axes.barh(places, values, height * 0.9, label=name, color=colour(name, number))
        axes.bar_label(bars, fmt="%.1f" if max(values) < 1000 else "%.0f", padding=3, fontsize=8)
        ticks += [(number, name)] if single else []
    if not single:
        ticks = list(enumerate(chart.points))
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
    axes.invert_yaxis()
    axes.set_xlabel(chart.unit)
    axes.margins(x=0.12, y=0.02 if points > 1 else 0.05)


def _lines(axes: Any, chart: Chart) -> None:
    """Both axes are logarithmic: what grows with the number of containers is a slope, what does not is level."""
    points = [float(point) for point in chart.points]
    for number, (name, values) in enumerate(chart.series.items()):
        axes.plot(points, values, marker="o", label=name, color=colour(name, number))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(2, 400)  # the same for each runtime, so that the pictures can be laid side by side
    axes.set_xticks(points, chart.points)
    axes.set_yticks([2, 5, 10, 20, 50, 100, 200], ["2", "5", "10", "20", "50", "100", "200"])
    axes.minorticks_off()
    axes.grid(axis="y", color="#e2e8f0")
    axes.set_axisbelow(True)
    axes.set_xlabel("containers alive")
    axes.set_ylabel(chart.unit)
    axes.legend(frameon=False, ncols=2, loc="upper left")


def _stack(axes: Any, chart: Chart) -> None:
    left = [0.0] * len(chart.points)
    for number, (name, values) in enumerate(chart.series.items()):
        look = {"color": OTHERS[number % len(OTHERS)], "edgecolor": "white", "linewidth": 0.5}
        axes.barh(chart.points, values, left=left, label=name, **look)
        left = [before + value for before, value in zip(left, values)]
    axes.invert_yaxis()
    axes.set_xlabel(chart.unit)
    axes.legend(frameon=False, fontsize=8, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _panels(axes: "list[Any]", chart: Chart) -> None:
    """A panel for each point, since their units differ; logarithmic, since their series do by orders of magnitude."""
    names = list(chart.series)
    for number, point in enumerate(chart.points):
        values = [chart.series[name][number] for name in names]
        bars = axes[number].bar(range(len(names)), values, color=[colour(name, at) for at, name in enumerate(names)])
        axes[number].set_yscale("log")
        axes[number].set_ylim(0.1, max(*values, 1) * 4)
        for bar, value in zip(bars, values):
            place = (bar.get_x() + bar.get_width() / 2, max(value, 0.1) * 1.15)
            axes[number].annotate(f"{value:,.1f}", place, ha="center", fontsize=8)
        axes[number].minorticks_off()
        axes[number].yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes[number].set_title(point, fontsize=9)
        labels = [name.replace(", ", ",\n").replace(" ", "\n") for name in names]
        axes[number].set_xticks(range(len(names)), labels, fontsize=7.5)
        axes[number].set_xlim(-0.6, len(names) - 0.4)
