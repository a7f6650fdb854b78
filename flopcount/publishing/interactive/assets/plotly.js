// Plotly comes packed in the page. Its names are taken off the window again.

async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

export async function unpackedPlotly(packed) {
  const script = document.createElement("script");
  script.textContent = await unpacked(packed);
  const before = new Set(Object.getOwnPropertyNames(window));
  document.head.append(script); // which runs it at once
  const { Plotly } = window;
  for (const key of Object.getOwnPropertyNames(window)) {
    if (!before.has(key)) delete window[key];
  }
  return Plotly;
}
