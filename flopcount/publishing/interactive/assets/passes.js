// Passes of a stage, all alike or growing: how many there are, and what they come to.

import { exact } from "./exact.js";
import { evaluated, written } from "./rational.js";

const VERIFIED = 3; // passes from which on a polynomial was held against another than those that made it

// How often a stage runs: { passes, runs }, whole numbers; or { why }, in words
export function repeatsOf({ place, passes, around }, values) {
  const whole = [];
  for (const expression of [passes, ...around]) {
    const value = evaluated(expression, values);
    if (value === null) return { why: `how often ${place} runs is a division by zero` };
    if (value[1] !== 1n || value[0] < 0n) {
      return { why: `${place} would run ${written(value)} times, which is no whole number of 0 or more` };
    }
    whole.push(value[0]);
  }
  const [count, ...others] = whole;
  return { passes: count, runs: others.reduce((runs, value) => runs * value, 1n) };
}

// What so many passes cost: { amounts }, with `beyond` where more than were counted; or { why }
export function costOf({ place, each, pieces }, passes, names) {
  if (!pieces) return { amounts: byName(names, (key) => BigInt(each[key]) * passes) };
  const counted = pieces.reduce((sum, { count }) => sum + BigInt(count), 0n);
  const goesOn = pieces.length === 1 && counted >= VERIFIED;
  if (passes > counted && !goesOn) {
    return { why: `${exact(counted)} growing passes of ${place} were counted, which do not tell what ${exact(passes)} `
      + "cost: count again with that value" };
  }
  const beyond = passes > counted
    ? `${exact(counted)} passes of ${place} were counted; beyond them its cost is taken to grow in the same way` : "";
  return { beyond, amounts: byName(names, (key) => pieces.reduce((sum, { start, count, differences }) => {
    const rest = passes - BigInt(start), n = goesOn || rest < count ? rest : BigInt(count);
    return n > 0n ? sum + summed(differences[key], n) : sum;
  }, 0n)) };
}

function byName(names, of) {
  return Object.fromEntries(names.map((key) => [key, of(key)]));
}

// The sum of n passes from their forward differences at the first
function summed(differences, n) {
  const [first, second, third] = differences.map(BigInt);
  return first * n + second * (n * (n - 1n) / 2n) + third * (n * (n - 1n) * (n - 2n) / 6n);
}
