// The page of a difference: where it is, by a quantity and at a depth, and the table of layers.

import { DiffBars } from "./diff_bars.js";
import { Folding } from "./diff_folding.js";
import { DiffLayers } from "./diff_layers.js";
import { themed } from "./theme.js";

const folding = new Folding(JSON.parse(document.getElementById("data").textContent));
const layers = new DiffLayers(document.querySelector(".in-layers"), folding);
const bars = new DiffBars(document.querySelector(".where"), folding, layers.names);
layers.draw();
bars.draw();
themed(() => {});
document.documentElement.dataset.drawn = "yes";
