// Cost by module as an icicle: each bar is a module with all that is in it, opened by click or Enter.

import { CONFIG, font, hoverLabel, ink, mixed, readable, roving } from "./drawing.js";
import { exact, percent, si } from "./exact.js";
import { isDark } from "./theme.js";

const PARTS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D00", "#7F7F7F"];
const NEARLY_ALL = 0.85;
const COLUMN = 130; // px that most names with their numbers need
const TEXT = 12.5; // px

export class Icicle {
  // layers: [{path, label, parent, children}] and their types; `amounts(measure)` has each one's whole and own cost
  constructor(panel, layers, types, amounts) {
    this.types = types;
    this.chart = panel.querySelector(".icicle");
    this.crumbs = panel.querySelector(".crumbs");
    this.measure = panel.querySelector(".measure");
    this.layers = layers;
    this.amounts = amounts;
    this.level = 0;
    this.heightOnPaper = 250; // px
    this.plotly = null; // until it is unpacked
    this.measure.addEventListener("change", () => { this.level = 0; this.draw(); });
    for (const option of [...this.measure.options]) {
      if (!this.amounts(option.value).whole[0]) option.remove();
    }
  }

  // Each part of the model has a colour; of a part that is nearly all of it, its own parts have
  colours(whole) {
    const found = new Array(this.layers.length).fill(ink("chip"));
    let next = 0;
    const divide = (index) => this.layers[index].children.filter((child) => whole[child]).forEach((part) => {
      if (Number(whole[part]) > NEARLY_ALL * Number(whole[0]) && this.layers[part].children.length) divide(part);
      else this.paint(part, PARTS[next++ % PARTS.length], 1, found);
    });
    divide(0);
    return found;
  }

  paint(index, colour, share, found) {
    found[index] = mixed(colour, ink("ground"), isDark() ? 0.85 * share : share);
    const fainter = Math.max(isDark() ? 0.55 : 0.42, share * 0.82);
    this.layers[index].children.forEach((child) => this.paint(child, colour, fainter, found));
  }

  draw(width = this.chart.clientWidth, height = width < 800 ? 360 : 460) {
    if (!this.plotly || !width) return;
    const measure = this.measure.value;
    const { whole, own } = this.amounts(measure);
    const unit = this.measure.selectedOptions[0].text;
    const used = this.layers.map((_, index) => index).filter((index) => whole[index]);
    const colours = this.colours(whole), columns = Math.min(5, Math.max(3, Math.floor(width / COLUMN)));
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${TEXT}px ${font(TEXT).family}`;
    const fits = (line) => pen.measureText(line).width < width / columns - 8;
    const text = (index) => said(whole, index);
    const layers = used.map((index) => this.layers[index]);
    const trace = {
      type: "icicle",
      ids: used.map(String),
      labels: layers.map((layer) => layer.label),
      parents: layers.map((layer) => (layer.parent < 0 ? "" : String(layer.parent))),
      values: used.map((index) => Number(own[index])),
      branchvalues: "remainder",
      text: layers.map((layer, i) => [`${layer.label}  ${text(used[i])}`, layer.label].find(fits) ?? ""),
      textinfo: "text",
      insidetextfont: { color: used.map((index) => readable(colours[index])) },
      customdata: used.map((index) => [this.layers[index].path || this.layers[index].label, this.types[index],
        exact(whole[index]), exact(own[index]), percent(whole[index], whole[0])]),
      hovertemplate: `<b>%{customdata[0]}</b> %{customdata[1]}<br>%{customdata[2]} ${unit}, %{customdata[4]}`
        + `<br>%{customdata[3]} of its own<extra></extra>`,
      marker: { colors: used.map((index) => colours[index]), line: { width: 1, color: ink("ground") } },
      level: String(this.level),
      maxdepth: columns,
      tiling: { orientation: "h", pad: 1 },
      pathbar: { visible: false },
      sort: false,
      root: { color: "rgba(0,0,0,0)" },
    };
    const layout = {
      width,
      height,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      paper_bgcolor: "rgba(0,0,0,0)",
      font: font(TEXT),
      hoverlabel: hoverLabel(),
      uniformtext: { minsize: 11, mode: "hide" },
    };
    this.trail();
    this.plotly.react(this.chart, [trace], layout, CONFIG).then(() => this.reach(whole, unit));
    this.chart.removeAllListeners?.("plotly_icicleclick");
    this.chart.on("plotly_icicleclick", (click) => {
      const id = click.points?.[0]?.id;
      if (id !== undefined) this.open(Number(id));
      return false; // plotly would animate by itself, and know nothing of the crumbs
    });
  }

  open(index) {
    const same = index === this.level;
    const next = same ? this.layers[index].parent : index;
    if (next < 0 || (!same && !this.layers[next].children.length)) return;
    this.level = next;
    this.draw();
  }

  trail() {
    const above = [];
    for (let at = this.level; at >= 0; at = this.layers[at].parent) above.unshift(at);
    this.crumbs.replaceChildren(...above.flatMap((index, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = this.layers[index].label;
      if (i === above.length - 1) button.setAttribute("aria-current", "location");
      button.addEventListener("click", () => { this.level = index; this.draw(); this.crumbs.lastChild.focus(); });
      return i ? [document.createTextNode(" › "), button] : [button];
    }));
  }

  // Plotly's bars become buttons that the keyboard reaches
  reach(whole, unit) {
    const marks = [...this.chart.querySelectorAll("g.slice")].map((element) => (
      { element, index: Number(element.__data__.data.data.id) }));
    const by = new Map(marks.map((mark) => [mark.index, mark]));
    const depth = (index) => (this.layers[index].parent < 0 ? 0 : 1 + depth(this.layers[index].parent));
    marks.sort((a, b) => a.index - b.index);
    const focused = this.focus;
    this.focus = undefined;
    roving(marks, {
      // has the text on the bar, as those who speak to a page expect
      label: ({ index }) => `${this.layers[index].path || this.layers[index].label}  ${said(whole, index)} of ${unit}`
        + `${this.layers[index].children.length ? ", opens" : ""}`,
      step: (mark, way) => {
        if (way === "Left") return by.get(this.layers[mark.index].parent);
        if (way === "Right") return this.layers[mark.index].children.map((child) => by.get(child)).find(Boolean);
        const row = marks.filter((other) => depth(other.index) === depth(mark.index));
        return row[row.indexOf(mark) + (way === "Down" ? 1 : -1)];
      },
      enter: ({ index }) => { this.focus = index; this.open(index); },
      leave: () => { this.focus = this.level; if (this.level) this.open(this.level); },
    });
    if (focused !== undefined) (by.get(focused) ?? marks[0])?.element.focus();
  }
}

function said(whole, index) {
  return `${si(whole[index])} · ${percent(whole[index], whole[0])}`;
}
