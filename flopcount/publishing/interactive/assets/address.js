// What a page shows, in its address after the #, so that a link shows the same; what a link asks in vain is said.

const SOON = 150; // ms, since a browser refuses an address that changes with every pixel of a slider

// Pairs of name and value, in their order
export function askedFor() {
  return [...new URLSearchParams(location.hash.slice(1))];
}

export class Address {
  constructor() {
    this.box = document.querySelector(".asked");
    this.box.querySelector("button").addEventListener("click", () => { this.box.hidden = true; });
  }

  // state: gives the pairs of name and value that differ from what the page shows at first
  // restore: gets such pairs, shows them, and gives lines that say what cannot be shown
  serve(state, restore) {
    this.state = state;
    this.restore = restore;
    addEventListener("hashchange", () => this.read());
    this.read();
  }

  read() {
    const wrong = this.restore(askedFor());
    this.box.hidden = !wrong.length;
    this.box.querySelector("ul").replaceChildren(...wrong.map((text) => {
      const line = document.createElement("li");
      line.textContent = text;
      return line;
    }));
  }

  // back: whether the browser's way back leads to what was shown before
  write(back = false) {
    clearTimeout(this.later);
    this.back ||= back;
    this.later = setTimeout(() => {
      const text = new URLSearchParams(this.state()).toString(), how = this.back ? "pushState" : "replaceState";
      this.back = false;
      if (text !== location.hash.slice(1)) history[how](null, "", text ? `#${text}` : location.pathname);
    }, SOON);
  }
}
