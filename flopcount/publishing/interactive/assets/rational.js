// Exact fractions, [numerator, denominator] in lowest terms, and the arithmetic of flopcount/pipelines/expression.py.

function reduced(numerator, denominator) {
  let [a, b] = [numerator < 0n ? -numerator : numerator, denominator < 0n ? -denominator : denominator];
  while (b) [a, b] = [b, a % b];
  if (denominator < 0n) a = -a;
  return a ? [numerator / a, denominator / a] : [0n, 1n];
}

function floored([numerator, denominator]) {
  const quotient = numerator / denominator;
  return numerator % denominator && numerator < 0n ? quotient - 1n : quotient;
}

function divided([a, b], [c, d]) {
  if (!c) throw new RangeError("division by zero");
  return reduced(a * d, b * c);
}

const minus = ([a, b], [c, d]) => reduced(a * d - c * b, b * d);
const product = ([a, b], [c, d]) => reduced(a * c, b * d);
const isLess = ([a, b], [c, d]) => a * d < c * b;
const floor = (value) => [floored(value), 1n];

const OPERATIONS = {
  "+": ([a, b], [c, d]) => reduced(a * d + c * b, b * d),
  "-": minus,
  "*": product,
  "/": divided,
  "//": (a, b) => floor(divided(a, b)),
  "%": (a, b) => minus(a, product(b, floor(divided(a, b)))), // has the sign of b, as in Python
  floor,
  ceil: ([a, b]) => [-floored([-a, b]), 1n],
  min: (...values) => values.reduce((least, value) => (isLess(value, least) ? value : least)),
  max: (...values) => values.reduce((most, value) => (isLess(most, value) ? value : most)),
};

// "50", "0.3", "-1.25" or "24000/1001"
export function parsed(text) {
  const [above, below = "1"] = text.split("/");
  const [digits, decimals = ""] = above.split(".");
  return reduced(BigInt(digits + decimals), BigInt(below) * 10n ** BigInt(decimals.length));
}

// As a decimal where it is one
export function written([numerator, denominator]) {
  let power = 1n, places = 0;
  while (power % denominator && places < 30) [power, places] = [power * 10n, places + 1];
  if (power % denominator) return `${numerator}/${denominator}`;
  const digits = String((numerator < 0n ? -numerator : numerator) * (power / denominator)).padStart(places + 1, "0");
  const text = places ? `${digits.slice(0, -places)}.${digits.slice(-places)}` : digits;
  return numerator < 0n ? `-${text}` : text;
}

// The value of an expression for the parameters' values, both fractions; null where it divides by zero
export function evaluated(expression, values) {
  const of = ([operation, ...parts]) => {
    if (operation === "q") return reduced(BigInt(parts[0]), BigInt(parts[1]));
    if (operation === "p") return values[parts[0]];
    return OPERATIONS[operation](...parts.map(of));
  };
  try {
    return of(expression);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
