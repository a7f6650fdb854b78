// What each device spends on a job: of the whole, of each unit, and by stage.

import { percentOf, swatched } from "./job_stages.js";
import { added, amount, duration, joules, spentBy } from "./spent.js";
import { put, sorted } from "./tables.js";

const NONE = "–"; // where nobody knows
const BOUND = 0, ESTIMATE = 1, LOW = 2, HIGH = 3, JOULES = 5, AMOUNT = 7; // in what passes spend

export class Device {
  // summary: of the whole and of the units; detail: by stage
  constructor(data, summary, detail) {
    this.data = data;
    this.summary = summary;
    this.detail = detail;
    this.table = detail.querySelector("table");
    this.rows = swatched(this.table);
    this.place = sorted(this.table);
  }

  show(count) {
    const vectors = count.stages.map((stage, at) => this.spentBy(stage, this.data.stages[at]));
    const sum = (those) => (those.includes(null) ? null : added(those));
    const whole = sum(vectors);
    const units = count.units.filter((_, at) => count.data.units[at].shown).map(({ value, some, members }) => {
      const all = sum(members.map((at) => vectors[at]));
      return some && all ? all.map((number) => number && number * Number(value[1]) / Number(value[0])) : null;
    });
    const rows = [...this.summary.querySelector("tbody").rows];
    [whole, ...units].forEach((vector, at) => this.write(rows[at], vector));
    const shares = vectors.map((vector) => (vector && whole?.[ESTIMATE] ? vector[ESTIMATE] / whole[ESTIMATE] : 0));
    percentOf(this.rows.map((row) => row.cells[row.cells.length - 1]), shares, whole !== null);
    vectors.forEach((vector, at) => this.write(this.rows[at], vector));
    this.write(this.table.tFoot.rows[0], whole);
    this.place();
    for (const part of [this.summary, this.detail]) part.querySelector(".basis").textContent = this.basis(count);
  }

  // null is unknown
  spentBy({ passes, runs, why }, stage) {
    if (why) return null;
    if (stage) return spentBy(stage, Number(passes), Number(runs));
    return passes * runs ? null : Array(AMOUNT + 1).fill(0);
  }

  basis(count) {
    if (count.atBase) return "as counted";
    const between = count.data.stages.filter((_, at) => {
      const { passes } = count.stages[at], priced = this.data.stages[at];
      return passes !== undefined && priced?.along && Number(passes) !== priced.passes;
    });
    const grown = between.map(({ place }) => place).join(", ");
    return `in proportion to the passes${grown ? `; those of ${grown} along a few priced ones` : ""}`;
  }

  // Estimate, range and bound, and what else the device has
  write(row, vector) {
    const { currency } = this.data;
    const of = (at, text) => [Number.isFinite(vector?.[at]) ? text(vector[at]) : NONE, String(vector?.[at] ?? "")];
    const range = of(LOW, (low) => `${duration(low)} to ${duration(vector[HIGH])}`);
    const texts = [of(ESTIMATE, duration), range, of(BOUND, duration)];
    if (this.data.joules) texts.push(of(JOULES, joules));
    if (currency) texts.push(of(AMOUNT, (value) => amount(value, currency)));
    texts.forEach(([text, key], at) => put(row.cells[at + 1], text, key));
  }
}
