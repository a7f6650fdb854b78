// Cost against accuracy: families by colour and marker, kinds of pre-training by how far it is filled, each with its
// Pareto front; details and source of a point on demand.

import { CONFIG, font, hoverLabel, ink, roving } from "./drawing.js";
import { exact, measured, si } from "./exact.js";
import { isDark } from "./theme.js";

const GIGA = 1e9, MILLI = 1e-3;
const STAR = 1.7; // the reader's own: a star covers less than what is round

export class Scatter {
  constructor(section, data) {
    this.chart = section.querySelector(".scatter");
    this.per = section.querySelector(".per");
    this.picked = section.querySelector(".picked");
    this.data = data;
    this.heightOnPaper = 400; // px
    this.plotly = null; // until it is unpacked
    this.per.addEventListener("change", () => this.draw());
  }

  get timed() {
    return this.per.value === "time";
  }

  // What has a cost to draw: a time may be unknown
  shown() {
    return this.data.points.filter((point) => !this.timed || point.seconds);
  }

  cost(point) {
    return this.timed ? point.seconds[0] / MILLI : Number(point.macs[this.per.value]) / GIGA;
  }

  ranges(points) {
    if (!this.timed) return {};
    return {
      error_x: {
        type: "data", symmetric: false, thickness: 1.1, width: 3,
        array: points.map(({ seconds: [estimate, , high] }) => (high - estimate) / MILLI),
        arrayminus: points.map(({ seconds: [estimate, low] }) => (estimate - low) / MILLI),
      },
    };
  }

  draw(width = this.chart.clientWidth, height = width < 620 ? 460 : 560) {
    if (!this.plotly || !width) return;
    const { points, families, fronts, dataset, metric, conditions } = this.data;
    const narrow = width < 620;
    const lines = fronts[this.per.value].map(({ points: indices, ...line }) => ({
      ...line, points: indices.map((index) => points[index]),
    }));
    const front = [...new Set(lines.flatMap((line) => line.points))];
    this.traces = families.map((family) => {
      const own = this.shown().filter((point) => point.family === family.name).sort((a, b) => a.reported - b.reported);
      return {
        type: "scatter", mode: "markers", name: family.name,
        x: own.map((p) => this.cost(p)), y: own.map((p) => p.score),
        customdata: own, hovertemplate: own.map((p) => `${this.details(p)}<extra></extra>`),
        marker: {
          symbol: own.map((p) => family.symbol + p.filled), color: isDark() ? family.dark : family.light, opacity: 0.88,
          size: own.map((p) => (p.own ? STAR : 1) * 1.25 * Math.sqrt(22 + 1.6 * Math.min(Number(p.params) / 1e6, 300))),
          line: {
            color: own.map((p) => (p.filled ? (isDark() ? family.dark : family.light) : ink("ink"))),
            width: own.map((p) => (p.reported ? 2.6 : p.filled ? 1.4 : 0.7)),
          },
        },
        ...this.ranges(own),
      };
    });
    const drawn = lines.map((line) => ({
      type: "scatter", mode: "lines", name: `front: ${line.name}`,
      x: line.points.map((p) => this.cost(p)), y: line.points.map((p) => p.score),
      line: { color: ink("faded"), width: 1.3, dash: line.dash }, hoverinfo: "skip",
    }));
    this.before = drawn.length;
    const layout = {
      width, height,
      margin: { l: 52, r: narrow ? 8 : 150, t: 14, b: narrow ? 150 : 56 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: font(12.5),
      hoverlabel: hoverLabel(), hovermode: "closest", dragmode: false,
      showlegend: true,
      legend: narrow ? { orientation: "h", y: -0.2, x: 0 } : { x: 1.02, y: 0.5, yanchor: "middle" },
      xaxis: this.axis(
        this.timed ? `ms per video, estimated on ${conditions}` : `GMACs per ${this.per.value} (papers’ GFLOPs)`,
        { type: "log", dtick: "D2", tickformat: ",~r", ...this.reaches(narrow) }),
      yaxis: this.axis(
        `${metric.name} on ${dataset} (${metric.unit}), as printed`, metric.lower ? { autorange: "reversed" } : {}),
    };
    this.plotly.react(this.chart, [...drawn, ...this.traces], layout, CONFIG).then(() => {
      this.name(front);
      this.reach();
    });
    this.chart.removeAllListeners?.("plotly_click");
    this.chart.on("plotly_click", (click) => this.pick(click.points[0].customdata));
  }

  reaches(narrow) {
    const spanned = (point) => (this.timed ? point.seconds.map((seconds) => seconds / MILLI) : [this.cost(point)]);
    const costs = this.shown().flatMap(spanned).map(Math.log10);
    const least = Math.min(...costs), most = Math.max(...costs);
    const room = Math.max(0.12, (most - least) * (narrow ? 0.12 : 0.07));
    return { range: [least - room, most + room] };
  }

  axis(title, more) {
    return {
      title: { text: title, standoff: 10 },
      gridcolor: ink("line"), linecolor: ink("faded"), showline: true, zeroline: false,
      ticks: "outside", tickcolor: ink("faded"), fixedrange: true, automargin: false, ...more,
    };
  }

  accuracy(point) {
    return `${point.score} ${this.data.metric.unit} ${this.data.metric.name}`;
  }

  details(point) {
    const accuracy = `${this.accuracy(point)}${point.top5 === null ? "" : `, ${point.top5} % top-5`}`;
    const cost = `${si(BigInt(point.macs.view))}MACs per view, ${si(BigInt(point.macs.video))}MACs per video`;
    const time = point.seconds ? [spoken(point.seconds)] : [];
    return [`<b>${safeText(point.name)}</b> · ${safeText(point.family)}`, accuracy, cost, ...time,
      safeText(`${point.clip}, ${point.views}; ${point.params_si} params`),
      ...(point.pretrain ? [safeText(`pre-training: ${point.pretrain}`)] : []), safeText(point.source)].join("<br>");
  }

  pick(point) {
    if (!point) return;
    const strong = document.createElement("b");
    strong.textContent = point.name;
    const parts = [strong, `: ${this.accuracy(point)} at ${exact(BigInt(point.macs.view))} MACs per view, `
      + `${exact(BigInt(point.macs.video))} per video (${point.clip}, ${point.views})`];
    if (point.seconds) parts.push(`; ${spoken(point.seconds)}`);
    if (point.note) parts.push(`; ${point.note}`);
    parts.push("; accuracy: ");
    if (point.url) {
      const link = document.createElement("a");
      link.href = point.url;
      link.rel = "noopener noreferrer";
      link.textContent = point.source;
      parts.push(link);
    } else parts.push(point.source);
    this.picked.replaceChildren(...parts);
  }

  // Names of this page's models, then of the front, wherever there is room
  name(front) {
    const { xaxis, yaxis } = this.chart._fullLayout;
    const at = (point) => [xaxis.l2p(Math.log10(this.cost(point))), yaxis.l2p(point.score)];
    const taken = this.shown().map((point) => {
      const [x, y] = at(point);
      return { left: x - 5, right: x + 5, top: y - 5, bottom: y + 5 };
    });
    const wanted = [...this.shown().filter((p) => p.reported), ...front.filter((p) => !p.reported)];
    const notes = [];
    for (const point of wanted) {
      const [x, y] = at(point), wide = point.name.length * 6.4 + 4, high = 14;
      const spots = [
        [-wide / 2 - 8, -12], [0, -17], [wide / 2 + 12, -10], [wide / 2 + 14, 6], [-wide / 2 - 12, 8], [0, 19],
        [0, -32], [-wide / 2 - 20, -26], [wide / 2 + 20, 22], [0, 34],
      ];
      const box = ([dx, dy]) => ({
        left: x + dx - wide / 2, right: x + dx + wide / 2, top: y + dy - high / 2, bottom: y + dy + high / 2,
      });
      const spot = spots.find((offset) => {
        const b = box(offset);
        return b.left > 0 && b.right < xaxis._length && b.top > 0 && b.bottom < yaxis._length
          && !taken.some((t) => t.left < b.right && b.left < t.right && t.top < b.bottom && b.top < t.bottom);
      });
      if (!spot) continue;
      taken.push(box(spot));
      notes.push({
        x: Math.log10(this.cost(point)), y: point.score, ax: spot[0], ay: spot[1], text: safeText(point.name),
        showarrow: true, arrowhead: 0, arrowwidth: 0.6,
        arrowcolor: Math.abs(spot[1]) > 20 ? ink("faded") : "rgba(0,0,0,0)",
        standoff: 4, borderpad: 0, font: { ...font(11.5), weight: point.reported ? 700 : 400 }, captureevents: false,
      });
    }
    this.plotly.relayout(this.chart, { annotations: notes }).then(() => this.reach());
  }

  reach() {
    const marks = this.traces.flatMap((trace, t) => {
      const drawn = this.chart.querySelectorAll(".scatterlayer .trace")[t + this.before];
      const paths = drawn?.querySelectorAll("path.point") ?? [];
      return [...paths].map((element, i) => ({ element, point: trace.customdata[i], curve: t + this.before, i }));
    });
    marks.sort((a, b) => this.cost(a.point) - this.cost(b.point));
    roving(marks, {
      label: ({ point }) => `${point.name}, ${this.accuracy(point)}, `
        + (this.timed
          ? spoken(point.seconds) : `${si(BigInt(point.macs[this.per.value]))}MACs per ${this.per.value}`),
      step: (mark, way) => marks[marks.indexOf(mark) + (way === "Right" || way === "Up" ? 1 : -1)],
      enter: ({ point }) => this.pick(point),
      seen: ({ curve, i }) => this.plotly.Fx.hover(this.chart, [{ curveNumber: curve, pointNumber: i }]),
    });
  }
}

function spoken([estimate, low, high]) {
  return `${measured(estimate, "s")} per video, ${measured(low, "s")} to ${measured(high, "s")}`;
}

function safeText(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
