// The scripts that a browser runs: ES modules of the HTML page, and a script of the site.

import js from "@eslint/js";
import globals from "globals";

const rules = {
  ...js.configs.recommended.rules,
  "eqeqeq": "error",
  "max-len": ["error", 120],
  "no-implicit-globals": "error",
  "no-shadow": ["error", { builtinGlobals: true, hoist: "all" }],
  "no-undef": "error",
  "no-unused-vars": "error",
  "no-use-before-define": ["error", { functions: false }],
  "no-var": "error",
  "prefer-const": "error",
};

export default [
  { linterOptions: { reportUnusedDisableDirectives: "error" }, rules },
  { files: ["flopcount/publishing/interactive/assets/*.js"], languageOptions: { globals: globals.browser } },
  { files: ["docs/assets/*.js"], languageOptions: { globals: globals.browser, sourceType: "script" } },
];
