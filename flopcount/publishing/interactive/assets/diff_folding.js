// Layers of two reports down to a depth: those at it hold what is in them, as `Diff.rows` of Python has them.

import { exact, measured, si } from "./exact.js";

const PICO = 1e12;

export class Folding {
  // quantities: with units; layers: each after the one that holds it; most: how many a picture shows
  constructor({ quantities, layers, most }) {
    this.quantities = quantities;
    this.layers = layers;
    this.most = most;
    this.own = layers.map((layer) => ({ before: layer.old.map(BigInt), after: layer.new.map(BigInt) }));
    this.whole = this.own.map(({ before, after }) => ({ before: [...before], after: [...after] }));
    this.inside = layers.map(() => false); // whether a layer in it differs
    for (let index = layers.length - 1; index > 0; index -= 1) {
      const { parent: holder, change } = layers[index], own = this.whole[index], above = this.whole[holder];
      own.before.forEach((value, at) => { above.before[at] += value; });
      own.after.forEach((value, at) => { above.after[at] += value; });
      this.inside[holder] ||= this.inside[index] || change !== "unchanged";
    }
  }

  // Every layer at a depth (-1: all levels): what became of it, its amounts, and whether it has a row
  at(depth) {
    return this.layers.map((layer, index) => {
      const isWhole = layer.depth === depth;
      const { before, after } = (isWhole ? this.whole : this.own)[index];
      const isChanged = isWhole && layer.change === "unchanged" && this.inside[index];
      const counts = [...before, ...after].some((value) => value !== 0n);
      const isThere = (depth < 0 || layer.depth <= depth) && (counts || layer.shown);
      return { index, before, after, isThere, change: isChanged ? "changed" : layer.change };
    });
  }

  // The texts and the keys of a row's numbers: before, after and the difference, or the difference alone
  cells(before, after, isExact) {
    return this.quantities.flatMap((quantity, at) => {
      const step = after[at] - before[at];
      const shown = quantity.stepwise ? [before[at], after[at]] : [];
      const texts = shown.map((value) => [value === 0n ? "" : this.text(value, at, isExact), String(value)]);
      return [...texts, [step === 0n ? "" : this.signed(step, at, isExact), String(step)]];
    });
  }

  signed(step, at, isExact = false) {
    return `${step < 0n ? "−" : "+"}${this.text(step < 0n ? -step : step, at, isExact)}`;
  }

  text(value, at, isExact) {
    const { unit, pico } = this.quantities[at];
    if (pico) return measured(Number(value) / PICO, unit);
    return isExact ? exact(value) : si(value, unit);
  }
}

export function added(vectors, size) {
  return vectors.reduce((sums, vector) => sums.map((sum, at) => sum + vector[at]), Array(size).fill(0n));
}
