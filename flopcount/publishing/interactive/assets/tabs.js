// A list of tabs, one of which shows its panel: by click, by arrow keys, by Home and End, or by a link.

export class Tabs {
  // list: the element with role=tablist; chosen: called when the reader chose another
  constructor(list, chosen) {
    this.tabs = [...list.querySelectorAll("[role=tab]")];
    this.panels = this.tabs.map((tab) => document.getElementById(tab.getAttribute("aria-controls")));
    this.chosen = chosen;
    this.tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => this.choose(index));
      tab.addEventListener("keydown", (press) => this.pressed(press, index));
    });
  }

  get index() {
    return this.tabs.findIndex((tab) => tab.ariaSelected === "true");
  }

  get key() {
    return this.tabs[this.index].dataset.key;
  }

  keys() {
    return this.tabs.map((tab) => tab.dataset.key);
  }

  show(index) {
    this.tabs.forEach((tab, at) => {
      tab.ariaSelected = String(at === index);
      tab.tabIndex = at === index ? 0 : -1;
      this.panels[at].hidden = at !== index;
    });
  }

  choose(index) {
    this.show(index);
    this.chosen();
  }

  pressed(press, index) {
    const last = this.tabs.length - 1;
    const right = index === last ? 0 : index + 1, left = index ? index - 1 : last;
    const next = { ArrowRight: right, ArrowLeft: left, Home: 0, End: last }[press.key];
    if (next === undefined) return;
    press.preventDefault();
    this.choose(next);
    this.tabs[next].focus();
    this.tabs[next].scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
