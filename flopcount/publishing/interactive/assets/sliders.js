// Sliders of a form, each with a field for its number: a step by an arrow key, a tenth of the way by Page Up and Page
// Down. A number that a slider cannot take is never changed in silence. Height and width may move as one.

const NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;
const TENTH = 10;
const TOGETHER = { H: "W", W: "H" };

export class Sliders {
  // moved: called when any of them was
  constructor(form, moved) {
    this.form = form;
    this.moved = moved;
    this.lock = form.querySelector(".locked");
    this.all = new Map([...form.querySelectorAll(".slider")].map((slider) => [slider.dataset.name, {
      slider,
      range: slider.querySelector("[type=range]"),
      number: slider.querySelector("[type=number]"),
      used: slider.querySelector(".used"),
    }]));
    for (const key of this.names()) this.listen(key);
    this.lock?.addEventListener("change", () => {
      if (this.lock.checked) this.follow("H");
      moved();
    });
    form.addEventListener("submit", (submission) => submission.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => {
      for (const key of this.names()) this.say(key, "");
      moved();
    }));
  }

  // Those that can be moved
  names() {
    return [...this.all].filter(([, { range }]) => range).map(([key]) => key);
  }

  // Where each stands, by its name, as text
  values() {
    return Object.fromEntries(this.names().map((key) => [key, this.all.get(key).range.value]));
  }

  // Those that stand elsewhere than at first
  changed() {
    const base = (key) => this.all.get(key).range.defaultValue;
    return Object.entries(this.values()).filter(([key, text]) => Number(text) !== Number(base(key)));
  }

  // All back to where they were at first, unheard
  restart() {
    for (const key of this.names()) {
      const { range, number } = this.all.get(key);
      number.value = range.value = range.defaultValue;
      this.say(key, "");
    }
    if (this.lock) this.lock.checked = true;
  }

  // Put one at a number that a link asks for, unheard; the answer says what is wrong with that, if anything
  ask(key, text) {
    const found = this.all.get(key);
    if (!found) return `there is nothing called ${key} to set`;
    if (!found.range) return `${key} is ${found.slider.querySelector(".why").textContent}`;
    return this.take(key, text);
  }

  // Sides that a link sets apart move apart
  unlockIfApart() {
    if (this.lock) this.lock.checked = this.all.get("H").range.value === this.all.get("W").range.value;
  }

  listen(key) {
    const { range, number } = this.all.get(key);
    range.addEventListener("input", () => this.set(key, range.value));
    number.addEventListener("change", () => {
      this.say(key, this.take(key, number.value));
      this.done(key);
    });
    for (const input of [range, number]) {
      input.addEventListener("keydown", (press) => {
        const sign = { PageUp: 1, PageDown: -1 }[press.key];
        if (!sign) return;
        press.preventDefault();
        const steps = (range.max - range.min) / (range.step || 1);
        const count = Math.max(1, Math.round(steps / TENTH));
        if (sign > 0) range.stepUp(count);
        else range.stepDown(count);
        this.set(key, range.value);
      });
    }
  }

  set(key, text) {
    this.take(key, text);
    this.say(key, "");
    this.done(key);
  }

  done(key) {
    if (this.lock?.checked && key in TOGETHER) this.follow(key);
    this.moved();
  }

  // The other side takes the size of this one
  follow(key) {
    const other = TOGETHER[key];
    this.take(other, this.all.get(key).range.value);
    this.say(other, "");
  }

  // The range takes the nearest size that it can; what is said is empty where that is the one given
  take(key, text) {
    const { range, number } = this.all.get(key);
    const isNumber = NUMBER.test(text);
    if (isNumber) range.value = text.trim();
    number.value = range.value;
    if (isNumber && Number(text) === Number(range.value)) return "";
    const seen = text.trim() === "" ? "an empty field" : isNumber ? text.trim() : `“${text}”, which is no number`;
    const steps = `${key} goes from ${range.min} to ${range.max} in steps of ${range.step}`;
    return `${steps}: ${range.value} is used, not ${seen}`;
  }

  say(key, text) {
    const { used, number } = this.all.get(key);
    used.textContent = text ? `${text}.` : "";
    number.toggleAttribute("data-refused", Boolean(text));
  }
}
