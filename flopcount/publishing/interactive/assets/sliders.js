// Sliders of a form, each with a field for its number beside it.

export function onSliders(form, moved) {
  for (const slider of form.querySelectorAll(".slider:not(.fixed)")) {
    const range = slider.querySelector("[type=range]"), number = slider.querySelector("[type=number]");
    range.addEventListener("input", () => { number.value = range.value; moved(); });
    number.addEventListener("change", () => {
      if (number.value) range.value = number.value; // the range takes the nearest size
      number.value = range.value;
      moved();
    });
  }
  form.addEventListener("submit", (submission) => submission.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => moved()));
}

// Where each slider stands, by its name, as text
export function placed(form) {
  const ranges = [...form.querySelectorAll("[type=range]")];
  return Object.fromEntries(ranges.map((range) => [range.closest(".slider").dataset.name, range.value]));
}
