// Seconds at any sizes, from a grid of counts: a fit along the exact cost, and a ratio to it between the counts.
// What flopcount/publishing/time_grid.py does, and says more of.

export class Timing {
  constructor({ counted, grid }) {
    this.counted = counted;
    this.grid = grid;
  }

  // Seconds by name, or null where no count says them; `totals` are the exact costs at these sizes
  at(sizes, totals, atBase) {
    if (atBase) return this.counted;
    const { grid } = this;
    if (!grid || grid.features.flat().some((key) => totals[key] === null)) return null;
    const features = [1, ...grid.features.map((keys) => keys.reduce((sum, key) => sum + Number(totals[key]), 0))];
    const shares = grid.sizes.map((along, axis) => sharesOf(along, sizes[grid.axes[axis]]))
      .reduce((points, along) => points.flatMap((share) => along.map((next) => share * next)), [1]);
    const seconds = Object.fromEntries(Object.entries(grid.curves).map(([key, [weights, ratios]]) => {
      const fit = weights.reduce((sum, weight, index) => sum + weight * features[index], 0);
      return [key, fit * Math.exp(shares.reduce((sum, share, point) => sum + share * ratios[point], 0))];
    }));
    const { bound, estimate, low, high } = seconds;
    return {
      bound: Math.min(bound, estimate), estimate, low: Math.min(low, estimate), high: Math.max(high, estimate),
    };
  }

  get how() {
    return this.grid ? `interpolated between ${this.grid.counts} counts` : "not known here";
  }
}

// Two neighbours share a size by its logarithm
function sharesOf(along, size) {
  const found = along.findIndex((point) => point >= size), above = found < 0 ? along.length - 1 : found;
  const shares = along.map(() => 0);
  if (along[above] === size || above === 0) {
    shares[above] = 1;
    return shares;
  }
  const least = along[above - 1];
  shares[above] = Math.log(size / least) / Math.log(along[above] / least);
  shares[above - 1] = 1 - shares[above];
  return shares;
}
