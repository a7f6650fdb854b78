// Light and dark as the system is, until the reader chooses; paper is light. `redraw` is for what is drawn in colours.

export function isDark() {
  return getComputedStyle(document.documentElement).getPropertyValue("--dark").trim() === "1";
}

export function themed(redraw) {
  const root = document.documentElement, button = document.getElementById("theme");
  const dress = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    redraw();
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    dress();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
  addEventListener("beforeprint", () => { root.dataset.printing = ""; });
  addEventListener("afterprint", () => { delete root.dataset.printing; });
  button.setAttribute("aria-pressed", String(isDark()));
}
