// What the page tells the user when something does not work: what it is, then the rule, what was found, the remedy.
export class Problem extends Error {
  constructor(title, detail) {
    super(title);
    this.detail = detail;
  }

  // Any error as what is posted from the worker to the page.
  static describe(error) {
    if (error instanceof Problem) return { title: error.message, detail: error.detail };
    return {
      title: "Something went wrong",
      detail: `The browser says: ${error?.message ?? error}. Load the page again; if it happens again, the console ` +
        "has more.",
    };
  }
}

export function needWebAssembly() {
  if (typeof WebAssembly !== "undefined") return;
  throw new Problem(
    "This browser has no WebAssembly",
    "The model runs in it. Some browsers turn it off in a lockdown or safest mode: allow it for this page, or open " +
      "the page in another browser.",
  );
}
