// A job at any values of its parameters, in whole numbers: how often each stage runs, and what all of them come to.

import { costOf, repeatsOf } from "./passes.js";
import { evaluated, parsed, written } from "./rational.js";

export class JobCount {
  // data: of the page; quantities: what a cost is made of; texts: values of parameters that differ from the data's
  constructor(data, quantities, texts) {
    this.data = data;
    this.quantities = quantities;
    this.values = valuesOf({ ...data.parameters, ...texts });
    const base = valuesOf(data.parameters);
    this.atBase = Object.keys(base).every((key) => written(base[key]) === written(this.values[key]));
    this.stages = data.stages.map((stage) => this.stage(stage));
    this.totals = this.completed(this.sum(this.stages), data.fixed);
    this.units = data.units.map((unit) => this.unit(unit));
  }

  // How often it runs and what that costs; `why` says in words why nobody knows
  stage(stage) {
    const { passes, runs, why } = repeatsOf(stage, this.values);
    if (why) return { why };
    const cost = costOf(stage, passes, this.data.names);
    if (cost.why) return { passes, runs, why: cost.why };
    const all = Object.fromEntries(this.data.names.map((key) => [key, cost.amounts[key] * runs]));
    return { passes, runs, beyond: cost.beyond, all, amounts: this.completed(all, stage.fixed) };
  }

  // Of all these stages; null where one of them is unknown
  sum(stages) {
    const known = stages.every(({ all }) => all);
    return Object.fromEntries(this.data.names.map(
      (key) => [key, known ? stages.reduce((sum, { all }) => sum + all[key], 0n) : null]));
  }

  // With what runs do not multiply, and what is made of others
  completed(amounts, fixed) {
    const still = Object.entries(fixed).map(([key, text]) => [key, BigInt(text)]);
    return this.quantities.completed({ ...amounts, ...Object.fromEntries(still) });
  }

  // What one of a unit costs, in whole numbers, rounded down
  unit({ stage, count, fixed }) {
    const value = evaluated(count, this.values), members = this.membersOf(stage);
    const some = value !== null && value[0] > 0n;
    const each = Object.entries(this.sum(members.map((at) => this.stages[at]))).map(
      ([key, all]) => [key, some && all !== null ? all * value[1] / value[0] : null]);
    return { value, some, members, amounts: this.completed(Object.fromEntries(each), fixed) };
  }

  // Which stages are within one, or all
  membersOf(stage) {
    return [...this.data.stages.keys()].filter((at) => {
      const { place } = this.data.stages[at];
      return !stage || place === stage || place.startsWith(`${stage}.`);
    });
  }
}

function valuesOf(texts) {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, parsed(text)]));
}
