/**
 * Whatever shows nothing, shows what is near it in another order, or is a command to what shows it: control and format
 * characters, all that Unicode lets a font pass over, and three characters that fonts leave blank without that. Line
 * breaks and tabs are among them.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\u{16fe4}\u{1d159}]/gu;

/**
 * A text for somebody who decides by it, in lines: what could hide in it stands there as its code, such as `\u{200b}`.
 * No character is spared because some script or emoji needs it, since a sentence fits into any two of them.
 */
export function showHidden(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(HIDDEN, (char) => (char === "\n" || char === "\t" ? char : codeOf(char)));
}

/** The same for what belongs on one line: breaks and tabs stand there as their codes too. */
export function showHiddenLine(text: string): string {
  return text.replace(HIDDEN, codeOf);
}

function codeOf(char: string): string {
  return `\\u{${char.codePointAt(0)?.toString(16)}}`;
}
