// What a cost is made of, as the page's data lists it: key, title, unit, what multiplies it, what it is twice of.

export class Quantities {
  // table: every quantity; columns: keys of those of a layer; shares: keys of those a layer can have a share of
  constructor({ table, columns, shares }) {
    this.table = new Map(table.map((quantity) => [quantity.key, quantity]));
    this.columns = columns;
    this.shares = shares;
  }

  of(key) {
    return this.table.get(key);
  }

  // With what is twice another; null is what is not known
  completed(amounts) {
    const found = { ...amounts };
    for (const { key, twice } of this.table.values()) {
      if (twice) found[key] = found[twice] === null ? null : 2n * found[twice];
    }
    return found;
  }

  growsWithViews(key) {
    return this.of(key).grows_with.includes("views");
  }

  // What shares are of: the first that there is any of
  basis(totals) {
    return this.shares.find((key) => totals[key] !== 0n) ?? this.shares.at(-1);
  }
}
