// What a cost is made of, as the page's data lists it: name, title, unit, what multiplies it, what it is made of.

export class Quantities {
  // table: every quantity; columns: names of those of a layer; shares: names of those a layer can have a share of
  constructor({ table, columns, shares }) {
    this.table = new Map(table.map((quantity) => [quantity.name, quantity]));
    this.columns = columns;
    this.shares = shares;
  }

  of(name) {
    return this.table.get(name);
  }

  // With what is made of others; null is what is not known
  completed(amounts) {
    const all = { ...amounts };
    for (const { name, made_of: madeOf } of this.table.values()) {
      const parts = Object.entries(madeOf);
      if (!parts.length) continue;
      const known = parts.every(([part]) => all[part] !== null);
      all[name] = known ? parts.reduce((sum, [part, times]) => sum + BigInt(times) * all[part], 0n) : null;
    }
    return all;
  }

  growsWithViews(name) {
    return this.of(name).grows_with.includes("views");
  }

  // What shares are of: the first that there is any of
  basis(totals) {
    return this.shares.find((name) => totals[name] !== 0n) ?? this.shares.at(-1);
  }
}
