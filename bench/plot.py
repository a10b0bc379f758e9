"""Charts as SVG, with matplotlib: plain, legible on white, the same colour for the same runtime everywhere."""

from pathlib import Path
from typing import Any

from bench.report import Chart

COLOURS = {"pyoci": "#2b6cb0", "in process": "#2b6cb0", "runc": "#c05621", "crun": "#718096", "floor": "#2f855a"}
OTHERS = ["#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b7791f", "#718096", "#c53030", "#319795", "#97266d", "#4a5568"]


def draw(chart: Chart, directory: Path) -> None:
    """Writes one chart."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "pyoci", "font.size": 10, "svg.fonttype": "none"})
    from matplotlib import pyplot

    panels = len(chart.points) if chart.kind == "panels" else 1
    figure, axes = pyplot.subplots(1, panels, figsize=(7.5, 3.4), layout="constrained", squeeze=False)
    if chart.kind == "panels":
        _panels(list(axes[0]), chart)
    else:
        {"bars": _bars, "lines": _lines, "stack": _stack}[chart.kind](axes[0][0], chart)
    figure.suptitle(chart.title.replace("`", ""), x=0.01, ha="left", fontsize=11)
    for each in axes[0]:
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(directory / f"{chart.name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def _colour(name: str, number: int) -> str:
    return COLOURS.get(name.partition("-")[0], OTHERS[number % len(OTHERS)])


def _bars(axes: Any, chart: Chart) -> None:
    """Horizontal bars, the first on top; one point needs no legend, the bars are labelled instead."""
    count, points = len(chart.series), len(chart.points)
    single = points == 1
    height = 0.8 if single else 0.8 / count
    ticks = []
    for number, (name, values) in enumerate(chart.series.items()):
        places = [number] if single else [point + (number - (count - 1) / 2) * height for point in range(points)]
        bars = axes.barh(places, values, height * 0.9, label=name, color=_colour(name, number))
        axes.bar_label(bars, fmt="%.1f" if max(values) < 1000 else "%.0f", padding=3, fontsize=8)
        ticks += [(number, name)] if single else []
    if not single:
        ticks = list(enumerate(chart.points))
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
    axes.invert_yaxis()
    axes.set_xlabel(chart.unit)
    axes.margins(x=0.12)


def _lines(axes: Any, chart: Chart) -> None:
    points = [float(point) for point in chart.points]
    for number, (name, values) in enumerate(chart.series.items()):
        axes.plot(points, values, marker="o", label=name, color=OTHERS[number])
    axes.set_xscale("log")
    axes.set_xticks(points, chart.points)
    axes.set_xlabel("containers alive")
    axes.set_ylabel(chart.unit)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, ncols=2)


def _stack(axes: Any, chart: Chart) -> None:
    left = [0.0] * len(chart.points)
    for number, (name, values) in enumerate(chart.series.items()):
        hatch = "" if number < len(OTHERS) else "//"
        colour = OTHERS[number % len(OTHERS)]
        look = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.5}
        axes.barh(chart.points, values, left=left, label=name, **look)
        left = [before + value for before, value in zip(left, values)]
    axes.invert_yaxis()
    axes.set_xlabel(chart.unit)
    axes.legend(frameon=False, fontsize=8, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _panels(axes: "list[Any]", chart: Chart) -> None:
    """A panel for each point, since their units differ."""
    names = list(chart.series)
    for number, point in enumerate(chart.points):
        values = [chart.series[name][number] for name in names]
        bars = axes[number].bar(range(len(names)), values, color=["#c05621", "#2b6cb0"])
        axes[number].bar_label(bars, fmt="{:,.1f}", padding=2, fontsize=8)
        axes[number].set_title(point, fontsize=9)
        axes[number].set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names], fontsize=8)
        axes[number].margins(y=0.12)
