// Whole numbers, exactly: BigInt from the data to the screen. `si` writes what flopcount/core/units.py writes.

const PREFIXES = [[10n ** 15n, "P"], [10n ** 12n, "T"], [10n ** 9n, "G"], [10n ** 6n, "M"], [10n ** 3n, "k"]];
const DIGITS = 3;

export function exact(value) {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

const FRACTIONS = [[1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"]];

// A number that is not whole, such as seconds
export function measured(value, unit) {
  if (value === 0) return `${significant(0)} ${unit}`;
  const above = (least) => value >= least * (1 - 0.5 * 10 ** -DIGITS);
  const all = [...PREFIXES, [1, ""], ...FRACTIONS];
  const [power, letter] = all.find(([least]) => above(Number(least))) ?? all.at(-1);
  return `${significant(value / Number(power))} ${letter}${unit}`;
}

export function si(value, unit = "") {
  for (const [scale, prefix] of PREFIXES) {
    if (Number(value) >= Number(scale) * (1 - 0.5 * 10 ** -DIGITS)) {
      return `${significant(Number(value) / Number(scale))} ${prefix}${unit}`;
    }
  }
  return `${value} ${unit}`.trimEnd();
}

// Three digits, as `_significant` of units.py
export function significant(value) {
  const whole = String(Math.trunc(value)).length;
  let decimals = Math.max(0, DIGITS - whole);
  if (String(Math.trunc(Number(fixed(value, decimals)))).length > whole) decimals = Math.max(0, decimals - 1);
  return fixed(value, decimals);
}

// toFixed rounds a tie up, Python to the even digit
function fixed(value, decimals) {
  const up = value.toFixed(decimals);
  const tail = value.toFixed(decimals + 50).slice(-50);
  if (tail !== "5" + "0".repeat(49) || "02468".includes(up.at(-1))) return up;
  return value.toFixed(decimals + 50).slice(0, -50).replace(/\.$/, "");
}

export function percent(part, whole) {
  return part && whole ? `${(100 * Number(part) / Number(whole)).toFixed(1)}%` : "";
}

function floorDivided(a, b) {
  const quotient = a / b;
  return a % b !== 0n && (a < 0n) !== (b < 0n) ? quotient - 1n : quotient;
}

// ⌊(n + shift) / step⌋ of each staircase, once for all polynomials
export function stairsAt(stairs, sizes) {
  return stairs.map(([axis, shift, step]) => floorDivided(BigInt(sizes[axis] + shift), BigInt(step)));
}

export function evaluate(terms, stairs) {
  return terms.reduce(
    (sum, [number, factors]) => sum + factors.reduce((product, stair) => product * stairs[stair], BigInt(number)), 0n);
}
