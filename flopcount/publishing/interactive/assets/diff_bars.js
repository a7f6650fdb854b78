// Where a difference is: a bar for each of the layers that differ most, right of a line for more and left for less.

const SVG = "http://www.w3.org/2000/svg";
const HIGH = 18, THICK = 12; // px, as the template has them

export class DiffBars {
  // names: of the layers, in their order
  constructor(section, folding, names) {
    this.folding = folding;
    this.names = names;
    this.list = section.querySelector(".bars");
    this.more = section.querySelector(".more");
    this.measure = section.querySelector(".measure");
    this.depth = section.querySelector(".depth");
    for (const field of [this.measure, this.depth]) field.addEventListener("change", () => this.draw());
  }

  draw() {
    const at = this.folding.quantities.findIndex(({ name: key }) => key === this.measure.value);
    const steps = this.folding.at(Number(this.depth.value))
      .filter(({ isThere }) => isThere)
      .map((layer) => ({ ...layer, step: layer.after[at] - layer.before[at] }))
      .filter(({ step }) => step !== 0n)
      .sort((a, b) => Number(sized(b.step) - sized(a.step)));
    const largest = steps.slice(0, this.folding.most), others = steps.slice(this.folding.most);
    const numbers = largest.map(({ step }) => Number(step));
    const low = Math.min(0, ...numbers), wide = Math.max(0, ...numbers) - low;
    this.list.replaceChildren(...largest.map((layer) => this.bar(layer, at, low, wide)));
    const sum = others.reduce((whole, { step }) => whole + step, 0n);
    const text = sum === 0n ? "0" : this.folding.signed(sum, at);
    const many = `${others.length} more layer${others.length === 1 ? "" : "s"}`;
    this.more.textContent = others.length ? `and ${many}: ${text}` : steps.length ? "" : "No layer differs in it.";
  }

  bar({ index, change, step }, at, low, wide) {
    const row = document.createElement("li");
    const place = (value) => `${(100 * (value - low) / wide).toFixed(3)}%`;
    const number = Number(step);
    const picture = drawn("svg", { "aria-hidden": "true", width: "100%", height: HIGH });
    picture.append(
      drawn("rect", {
        class: number > 0 ? "grows" : "shrinks", x: place(Math.min(0, number)), y: (HIGH - THICK) / 2,
        width: `${(100 * Math.abs(number) / wide).toFixed(3)}%`, height: THICK,
      }),
      drawn("line", { x1: place(0), x2: place(0), y1: 0, y2: HIGH }),
    );
    const layer = span("layer", `${this.names[index]} `);
    layer.append(span(`change ${change}`, change));
    row.append(layer, picture, span("step", this.folding.signed(step, at)));
    return row;
  }
}

function sized(step) {
  return step < 0n ? -step : step;
}

function span(kind, text) {
  const element = document.createElement("span");
  element.className = kind;
  element.textContent = text;
  return element;
}

function drawn(kind, attributes) {
  const element = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
