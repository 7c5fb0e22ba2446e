import style from "./docs.css";
import page from "./docs.html";
import script from "./docs.js";

/** One answer with all that it needs: its policy names no address that a script or a style could come from. */
export const wholePage = page.replace("/* STYLE */", () => `\n${style}`).replace("/* SCRIPT */", () => `\n${script}`);
