// What a cost is made of, as the page's data lists it: name, title, unit, what multiplies it, what it is made of.

export class Quantities {
  // table: every quantity; columns: names of those of a layer; shares: names of those a layer can have a share of
  constructor({ table, columns, shares }) {
    this.table = new Map(table.map((quantity) => [quantity.name, quantity]));
    this.columns = columns;
    this.shares = shares;
  }

  of(key) {
    return this.table.get(key);
  }

  // With the quantities made of others; null is unknown
  completed(amounts) {
    const all = { ...amounts };
    for (const { name: key, made_of: madeOf } of this.table.values()) {
      const parts = Object.entries(madeOf);
      if (!parts.length) continue;
      const known = parts.every(([part]) => all[part] !== null);
      all[key] = known ? parts.reduce((sum, [part, times]) => sum + BigInt(times) * all[part], 0n) : null;
    }
    return all;
  }

  growsWithViews(key) {
    return this.of(key).grows_with.includes("views");
  }

  // The quantity that shares are of: the first that there is any of
  basis(totals) {
    return this.shares.find((key) => totals[key] !== 0n) ?? this.shares.at(-1);
  }
}
