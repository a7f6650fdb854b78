// What both charts share: the colours of the theme, and points or modules that the keyboard reaches.

export const CONFIG = { displaylogo: false, responsive: false, displayModeBar: false, showTips: false };

export function ink(colour) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${colour}`).trim();
}

export function font(size) {
  return { family: getComputedStyle(document.body).fontFamily, size, color: ink("ink") };
}

export function hoverLabel() {
  return { bgcolor: ink("raised"), bordercolor: ink("line"), font: font(13), align: "left" };
}

export function mixed(colour, other, share) {
  const [a, b] = [colour, other].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return "#" + a.map((part, i) => Math.round(part * share + b[i] * (1 - share)).toString(16).padStart(2, "0")).join("");
}

// Black or white, whichever stands out more (WCAG's relative luminance)
export function readable(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#111111" : "#ffffff";
}

// One of `marks` takes part in Tab's order; `step` gives the next one for an arrow key
export function roving(marks, { label, step, enter, leave, seen }) {
  const elements = marks.map((mark) => mark.element);
  const hold = (index) => elements.forEach((element, i) => element.setAttribute("tabindex", i === index ? "0" : "-1"));
  marks.forEach((mark, index) => {
    mark.element.setAttribute("role", "button");
    mark.element.setAttribute("aria-label", label(mark));
    mark.element.onfocus = () => { hold(index); seen?.(mark); };
    mark.element.onkeydown = (press) => {
      if (press.key === "Enter" || press.key === " ") enter(mark);
      else if (press.key === "Escape" && leave) leave(mark);
      else {
        const next = press.key.startsWith("Arrow") ? step(mark, press.key.slice(5)) : null;
        if (!next) return;
        next.element.focus();
      }
      press.preventDefault();
    };
  });
  hold(0);
}
