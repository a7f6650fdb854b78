// What a device spends on passes, and how it is written, as flopcount/core/units.py writes it.

import { measured, significant } from "./exact.js";

const LONG = 2, UNITS = [[86400, "days"], [3600, "h"], [60, "min"]], HOUR = 3600, WIDTH = 3;

// All passes of a stage: numbers in the order of the data; null is unknown. Passes that grow are priced at a few of
// them, between which each number goes along straight lines.
export function spentBy(stage, passes, runs) {
  const { each, whole, along, passes: counted } = stage;
  if (each) return each.map((value) => value && value * passes * runs);
  if (passes === counted) return whole.map((value) => value && value * runs);
  const now = sumsAlong(along, passes), then = sumsAlong(along, counted);
  return whole.map((value, at) => (value && then[at] ? value * now[at] / then[at] * runs : value));
}

function sumsAlong(along, passes) {
  const sums = along[0][1].map(() => 0);
  for (let k = 0; k < passes; k += 1) {
    const next = along.findIndex(([pass]) => pass >= k), last = along.length - 1;
    const above = next < 0 ? last : Math.max(1, next);
    const [start, low] = along[Math.max(0, above - 1)], [end, high] = along[Math.min(above, last)];
    const share = end > start ? (k - start) / (end - start) : 0;
    low.forEach((value, index) => { sums[index] += value + share * (high[index] - value); });
  }
  return sums;
}

export function added(vectors) {
  return vectors[0].map((_, at) => vectors.reduce(
    (sum, vector) => (sum === null || vector[at] === null ? null : sum + vector[at]), 0));
}

export function duration(seconds) {
  const [size, word] = UNITS.find(([least]) => seconds >= LONG * least) ?? [];
  return word ? `${significant(seconds / size)} ${word}` : measured(seconds, "s");
}

export function joules(value) {
  return value >= HOUR ? measured(value / HOUR, "Wh") : measured(value, "J");
}

export function amount(value, currency) {
  if (value >= 10 ** WIDTH) return `${grouped(value)} ${currency}`;
  const [digits, power] = value.toExponential(WIDTH - 1).split("e");
  if (Number(power) >= -4 && Number(power) < WIDTH) return `${Number(value.toPrecision(WIDTH))} ${currency}`;
  return `${Number(digits)}e${power[0]}${power.slice(1).padStart(2, "0")} ${currency}`;
}

// Python rounds a half to the even number
function grouped(value) {
  const half = value % 1 === 0.5 && Math.floor(value) % 2 === 0;
  return String(half ? Math.floor(value) : Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}
